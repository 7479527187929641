/**
 * Generated from shared/events/schema.ts by scripts/docs/client-types.ts; edit the schema
 * instead. Times are epoch milliseconds of the device's clock, durations milliseconds.
 */

export interface SessionContext {
  /** Identity of the playback session; a UUID is recommended. */
  readonly sessionId: string
  /** What is played; a change begins a new part of the session. */
  readonly contentId?: string | undefined
  readonly contentTitle?: string | undefined
  readonly seriesId?: string | undefined
  readonly streamType?: 'vod' | 'live' | 'lowLatencyLive' | undefined
  readonly streamingFormat?: 'hls' | 'dash' | 'smooth' | 'other' | undefined
  readonly cdn?: string | undefined
  readonly device?: {
    /** tv, phone, tablet, desktop, console, set-top, … */
    readonly type?: string | undefined
    readonly make?: string | undefined
    readonly model?: string | undefined
    readonly os?: string | undefined
    readonly osVersion?: string | undefined
  } | undefined
  readonly player?: {
    readonly name?: string | undefined
    readonly version?: string | undefined
  } | undefined
  readonly app?: {
    readonly name?: string | undefined
    readonly version?: string | undefined
  } | undefined
  /** ISO 3166-1 alpha-2. */
  readonly country?: string | undefined
  readonly isp?: string | undefined
  readonly autoplay?: boolean | undefined
  /** The application’s own dimensions. */
  readonly labels?: Readonly<Record<string, string>> | undefined
  /** Raw viewer id; pseudonymised at the gateway, never written. */
  readonly viewerId?: string | undefined
}

export interface PlaybackRequestEvent {
  /** Position in the session, from 0 without gaps. */
  readonly seq: number
  /** Device clock when it happened. */
  readonly at: number
  readonly type: 'playbackRequest'
  /** Position in the content; live: epoch ms. */
  readonly playheadMs?: number | undefined
}

export interface PlaybackStartEvent {
  /** Position in the session, from 0 without gaps. */
  readonly seq: number
  /** Device clock when it happened. */
  readonly at: number
  readonly type: 'playbackStart'
  /** Position in the content; live: epoch ms. */
  readonly playheadMs?: number | undefined
  /** The player’s own measure; kept, never used. */
  readonly startupMs?: number | undefined
}

export interface PlaybackPauseEvent {
  /** Position in the session, from 0 without gaps. */
  readonly seq: number
  /** Device clock when it happened. */
  readonly at: number
  readonly type: 'playbackPause'
  /** Position in the content; live: epoch ms. */
  readonly playheadMs?: number | undefined
}

export interface PlaybackStallEvent {
  /** Position in the session, from 0 without gaps. */
  readonly seq: number
  /** Device clock when it happened. */
  readonly at: number
  readonly type: 'playbackStall'
  /** Position in the content; live: epoch ms. */
  readonly playheadMs?: number | undefined
  /** Media buffered ahead of the playhead. */
  readonly bufferMs?: number | undefined
}

export interface SeekStartEvent {
  /** Position in the session, from 0 without gaps. */
  readonly seq: number
  /** Device clock when it happened. */
  readonly at: number
  readonly type: 'seekStart'
  /** Position in the content; live: epoch ms. */
  readonly playheadMs?: number | undefined
}

export interface SeekEndEvent {
  /** Position in the session, from 0 without gaps. */
  readonly seq: number
  /** Device clock when it happened. */
  readonly at: number
  readonly type: 'seekEnd'
  /** Position in the content; live: epoch ms. */
  readonly playheadMs?: number | undefined
}

export interface PlaybackFinishEvent {
  /** Position in the session, from 0 without gaps. */
  readonly seq: number
  /** Device clock when it happened. */
  readonly at: number
  readonly type: 'playbackFinish'
  /** Position in the content; live: epoch ms. */
  readonly playheadMs?: number | undefined
}

export interface PlaybackFailEvent {
  /** Position in the session, from 0 without gaps. */
  readonly seq: number
  /** Device clock when it happened. */
  readonly at: number
  readonly type: 'playbackFail'
  /** The player’s own error code. */
  readonly code: string
  readonly message?: string | undefined
  readonly domain?: 'network' | 'media' | 'drm' | 'player' | 'other' | undefined
}

export interface RenditionUpdateEvent {
  /** Position in the session, from 0 without gaps. */
  readonly seq: number
  /** Device clock when it happened. */
  readonly at: number
  readonly type: 'renditionUpdate'
  readonly videoBitrateKbps?: number | undefined
  readonly audioBitrateKbps?: number | undefined
  readonly widthPx?: number | undefined
  readonly heightPx?: number | undefined
  readonly codec?: string | undefined
  readonly frameRate?: number | undefined
}

export interface PlaybackRateUpdateEvent {
  /** Position in the session, from 0 without gaps. */
  readonly seq: number
  /** Device clock when it happened. */
  readonly at: number
  readonly type: 'playbackRateUpdate'
  /** 1 is normal speed. */
  readonly playbackRate: number
}

export interface AdBreakStartEvent {
  /** Position in the session, from 0 without gaps. */
  readonly seq: number
  /** Device clock when it happened. */
  readonly at: number
  readonly type: 'adBreakStart'
  readonly adId?: string | undefined
  /** preroll, midroll, postroll, … */
  readonly position?: string | undefined
}

export interface AdBreakEndEvent {
  /** Position in the session, from 0 without gaps. */
  readonly seq: number
  /** Device clock when it happened. */
  readonly at: number
  readonly type: 'adBreakEnd'
  readonly adId?: string | undefined
  /** preroll, midroll, postroll, … */
  readonly position?: string | undefined
}

export interface PlayerResizeEvent {
  /** Position in the session, from 0 without gaps. */
  readonly seq: number
  /** Device clock when it happened. */
  readonly at: number
  readonly type: 'playerResize'
  readonly widthPx: number
  readonly heightPx: number
}

export interface CdnUpdateEvent {
  /** Position in the session, from 0 without gaps. */
  readonly seq: number
  /** Device clock when it happened. */
  readonly at: number
  readonly type: 'cdnUpdate'
  readonly cdn: string
}

export interface WarningEvent {
  /** Position in the session, from 0 without gaps. */
  readonly seq: number
  /** Device clock when it happened. */
  readonly at: number
  readonly type: 'warning'
  /** The player’s own error code. */
  readonly code: string
  readonly message?: string | undefined
}

export interface HeartbeatEvent {
  /** Position in the session, from 0 without gaps. */
  readonly seq: number
  /** Device clock when it happened. */
  readonly at: number
  readonly type: 'heartbeat'
  /** Position in the content; live: epoch ms. */
  readonly playheadMs?: number | undefined
  /** Media buffered ahead of the playhead. */
  readonly bufferMs?: number | undefined
  /** Since the session began. */
  readonly droppedFrames?: number | undefined
  readonly liveLatencyMs?: number | undefined
  readonly throughputKbps?: number | undefined
}

export interface SessionEndEvent {
  /** Position in the session, from 0 without gaps. */
  readonly seq: number
  /** Device clock when it happened. */
  readonly at: number
  readonly type: 'sessionEnd'
}

export interface CustomEvent {
  /** Position in the session, from 0 without gaps. */
  readonly seq: number
  /** Device clock when it happened. */
  readonly at: number
  readonly type: 'custom'
  readonly name: string
  readonly value?: string | undefined
}

export type PlaybackEvent =
  | PlaybackRequestEvent
  | PlaybackStartEvent
  | PlaybackPauseEvent
  | PlaybackStallEvent
  | SeekStartEvent
  | SeekEndEvent
  | PlaybackFinishEvent
  | PlaybackFailEvent
  | RenditionUpdateEvent
  | PlaybackRateUpdateEvent
  | AdBreakStartEvent
  | AdBreakEndEvent
  | PlayerResizeEvent
  | CdnUpdateEvent
  | WarningEvent
  | HeartbeatEvent
  | SessionEndEvent
  | CustomEvent

export type PlaybackEventType = PlaybackEvent['type']
