/**
 * Generated from shared/events/schema.ts by scripts/docs/client-types.ts; edit the schema
 * instead. Times are epoch milliseconds of the device's clock, durations milliseconds.
 */

export interface SessionContext {
  /** Identity of the playback session; a UUID is recommended. */
  readonly sessionId: string
  /** What is played; a change begins a new part of the session. */
  readonly contentId?: string | undefined
  /** Title of the content, for people. */
  readonly contentTitle?: string | undefined
  /** The series that the content belongs to. */
  readonly seriesId?: string | undefined
  /** On demand, live, or live with low latency. */
  readonly streamType?: 'vod' | 'live' | 'lowLatencyLive' | undefined
  /** How the media is packaged. */
  readonly streamingFormat?: 'hls' | 'dash' | 'smooth' | 'other' | undefined
  /** The CDN that delivers when the frame is sent. */
  readonly cdn?: string | undefined
  readonly device?: {
    /** Kind of device: tv, phone, tablet, desktop, console, set-top, … */
    readonly type?: string | undefined
    /** Maker of the device. */
    readonly make?: string | undefined
    /** The maker’s name of the model. */
    readonly model?: string | undefined
    /** Operating system. */
    readonly os?: string | undefined
    /** Version of the operating system. */
    readonly osVersion?: string | undefined
  } | undefined
  readonly player?: {
    /** Name of the player. */
    readonly name?: string | undefined
    /** Version of the player. */
    readonly version?: string | undefined
  } | undefined
  readonly app?: {
    /** Name of the application. */
    readonly name?: string | undefined
    /** Version of the application. */
    readonly version?: string | undefined
  } | undefined
  /** Country, ISO 3166-1 alpha-2. */
  readonly country?: string | undefined
  /** The viewer’s internet provider. */
  readonly isp?: string | undefined
  /** Whether playback began without the viewer asking. */
  readonly autoplay?: boolean | undefined
  /** The application’s own dimensions. */
  readonly labels?: Readonly<Record<string, string>> | undefined
  /** Raw viewer id; pseudonymised at the gateway, never written. */
  readonly viewerId?: string | undefined
}

export interface PlaybackRequestEvent {
  /** Position in the session, from 0 without gaps. */
  readonly seq: number
  /** Device clock when it happened, epoch ms. */
  readonly at: number
  readonly type: 'playbackRequest'
  /** Position in the content, ms; live: epoch ms. */
  readonly playheadMs?: number | undefined
}

export interface PlaybackStartEvent {
  /** Position in the session, from 0 without gaps. */
  readonly seq: number
  /** Device clock when it happened, epoch ms. */
  readonly at: number
  readonly type: 'playbackStart'
  /** Position in the content, ms; live: epoch ms. */
  readonly playheadMs?: number | undefined
  /** The player’s own measure of start-up, ms; kept, never used. */
  readonly startupMs?: number | undefined
}

export interface PlaybackPauseEvent {
  /** Position in the session, from 0 without gaps. */
  readonly seq: number
  /** Device clock when it happened, epoch ms. */
  readonly at: number
  readonly type: 'playbackPause'
  /** Position in the content, ms; live: epoch ms. */
  readonly playheadMs?: number | undefined
}

export interface PlaybackStallEvent {
  /** Position in the session, from 0 without gaps. */
  readonly seq: number
  /** Device clock when it happened, epoch ms. */
  readonly at: number
  readonly type: 'playbackStall'
  /** Position in the content, ms; live: epoch ms. */
  readonly playheadMs?: number | undefined
  /** Media buffered ahead of the playhead, ms. */
  readonly bufferMs?: number | undefined
}

export interface SeekStartEvent {
  /** Position in the session, from 0 without gaps. */
  readonly seq: number
  /** Device clock when it happened, epoch ms. */
  readonly at: number
  readonly type: 'seekStart'
  /** Position in the content, ms; live: epoch ms. */
  readonly playheadMs?: number | undefined
}

export interface SeekEndEvent {
  /** Position in the session, from 0 without gaps. */
  readonly seq: number
  /** Device clock when it happened, epoch ms. */
  readonly at: number
  readonly type: 'seekEnd'
  /** Position in the content, ms; live: epoch ms. */
  readonly playheadMs?: number | undefined
}

export interface PlaybackFinishEvent {
  /** Position in the session, from 0 without gaps. */
  readonly seq: number
  /** Device clock when it happened, epoch ms. */
  readonly at: number
  readonly type: 'playbackFinish'
  /** Position in the content, ms; live: epoch ms. */
  readonly playheadMs?: number | undefined
}

export interface PlaybackFailEvent {
  /** Position in the session, from 0 without gaps. */
  readonly seq: number
  /** Device clock when it happened, epoch ms. */
  readonly at: number
  readonly type: 'playbackFail'
  /** The player’s own error code. */
  readonly code: string
  /** The player’s own words about the error. */
  readonly message?: string | undefined
  /** Where the error comes from. */
  readonly domain?: 'network' | 'media' | 'drm' | 'player' | 'other' | undefined
}

export interface RenditionUpdateEvent {
  /** Position in the session, from 0 without gaps. */
  readonly seq: number
  /** Device clock when it happened, epoch ms. */
  readonly at: number
  readonly type: 'renditionUpdate'
  /** Video bitrate, kbit/s. */
  readonly videoBitrateKbps?: number | undefined
  /** Audio bitrate, kbit/s. */
  readonly audioBitrateKbps?: number | undefined
  /** Width of the picture, pixels. */
  readonly widthPx?: number | undefined
  /** Height of the picture, pixels. */
  readonly heightPx?: number | undefined
  /** Codecs of the rendition. */
  readonly codec?: string | undefined
  /** Frames per second. */
  readonly frameRate?: number | undefined
}

export interface PlaybackRateUpdateEvent {
  /** Position in the session, from 0 without gaps. */
  readonly seq: number
  /** Device clock when it happened, epoch ms. */
  readonly at: number
  readonly type: 'playbackRateUpdate'
  /** 1 is normal speed. */
  readonly playbackRate: number
}

export interface AdBreakStartEvent {
  /** Position in the session, from 0 without gaps. */
  readonly seq: number
  /** Device clock when it happened, epoch ms. */
  readonly at: number
  readonly type: 'adBreakStart'
  /** The advertisement. */
  readonly adId?: string | undefined
  /** Where the break stands: preroll, midroll, postroll, … */
  readonly position?: string | undefined
}

export interface AdBreakEndEvent {
  /** Position in the session, from 0 without gaps. */
  readonly seq: number
  /** Device clock when it happened, epoch ms. */
  readonly at: number
  readonly type: 'adBreakEnd'
  /** The advertisement. */
  readonly adId?: string | undefined
  /** Where the break stands: preroll, midroll, postroll, … */
  readonly position?: string | undefined
}

export interface PlayerResizeEvent {
  /** Position in the session, from 0 without gaps. */
  readonly seq: number
  /** Device clock when it happened, epoch ms. */
  readonly at: number
  readonly type: 'playerResize'
  /** Width of the picture, pixels. */
  readonly widthPx: number
  /** Height of the picture, pixels. */
  readonly heightPx: number
}

export interface CdnUpdateEvent {
  /** Position in the session, from 0 without gaps. */
  readonly seq: number
  /** Device clock when it happened, epoch ms. */
  readonly at: number
  readonly type: 'cdnUpdate'
  /** The CDN that delivers from now on. */
  readonly cdn: string
}

export interface WarningEvent {
  /** Position in the session, from 0 without gaps. */
  readonly seq: number
  /** Device clock when it happened, epoch ms. */
  readonly at: number
  readonly type: 'warning'
  /** The player’s own error code. */
  readonly code: string
  /** The player’s own words about the error. */
  readonly message?: string | undefined
}

export interface HeartbeatEvent {
  /** Position in the session, from 0 without gaps. */
  readonly seq: number
  /** Device clock when it happened, epoch ms. */
  readonly at: number
  readonly type: 'heartbeat'
  /** Position in the content, ms; live: epoch ms. */
  readonly playheadMs?: number | undefined
  /** Media buffered ahead of the playhead, ms. */
  readonly bufferMs?: number | undefined
  /** Frames dropped since the session began. */
  readonly droppedFrames?: number | undefined
  /** Distance from the live edge, ms. */
  readonly liveLatencyMs?: number | undefined
  /** Measured throughput, kbit/s. */
  readonly throughputKbps?: number | undefined
}

export interface SessionEndEvent {
  /** Position in the session, from 0 without gaps. */
  readonly seq: number
  /** Device clock when it happened, epoch ms. */
  readonly at: number
  readonly type: 'sessionEnd'
}

export interface CustomEvent {
  /** Position in the session, from 0 without gaps. */
  readonly seq: number
  /** Device clock when it happened, epoch ms. */
  readonly at: number
  readonly type: 'custom'
  /** The application’s name of what happened. */
  readonly name: string
  /** What the application says of it. */
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
