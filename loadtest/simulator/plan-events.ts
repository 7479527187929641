/** The canonical events that a player would report while it follows a plan. */
import type { PlaybackEvent, SessionContext } from '../../shared/events/schema.ts'
import {
  checkPlan,
  type PlannedChange,
  type PlannedState,
  type Segment,
  type SessionPlan,
} from './session-plan.ts'

export interface PlannedEvent {
  /** Index of the part it belongs to; frames never mix parts. */
  readonly part: number
  /** True time, epoch ms; the event's own `at` is the device's clock. */
  readonly trueAtMs: number
  readonly event: PlaybackEvent
}

/** An event without what the writer adds: seq and device time. */
type EventBody = PlaybackEvent extends infer Event
  ? Event extends PlaybackEvent
    ? Omit<Event, 'seq' | 'at'>
    : never
  : never

export function partContext(plan: SessionPlan, part: number): SessionContext {
  const { contentId, contentTitle, streamType, cdn } = partOf(plan, part)
  return {
    ...plan.context,
    contentId,
    ...(contentTitle === undefined ? {} : { contentTitle }),
    streamType: streamType ?? 'vod',
    cdn,
  }
}

/** All events in `seq` order; throws an Error for a plan that no player can follow. */
export function planEvents(plan: SessionPlan): PlannedEvent[] {
  checkPlan(plan)
  const writer = new EventWriter(plan)
  for (const [part, { segments }] of plan.parts.entries()) {
    writer.beginPart(part)
    let before: PlannedState | 'idle' = 'idle'
    for (const segment of segments) {
      writer.segment(before, segment)
      before = segment.state
    }
  }
  return writer.events
}

class EventWriter {
  readonly events: PlannedEvent[] = []
  readonly #plan: SessionPlan
  #part = 0
  /** True time at which the next segment begins. */
  #nowMs: number
  #playheadUs = 0
  #rateMilli = 1_000

  constructor(plan: SessionPlan) {
    this.#plan = plan
    this.#nowMs = plan.startAtMs
  }

  beginPart(part: number): void {
    this.#part = part
    this.#playheadUs = 0
    this.#rateMilli = 1_000
  }

  segment(before: PlannedState | 'idle', segment: Segment): void {
    const startMs = this.#nowMs
    const endMs = startMs + segment.ms
    if (before === 'seeking') this.#write(startMs, { type: 'seekEnd', ...this.#playhead() })
    this.#write(startMs, this.#transition(segment))
    const changes = (segment.changes ?? []).map((change) => ({
      ...change,
      atMs: startMs + change.atMs,
    }))
    let accruedToMs = startMs
    const advance = (toMs: number) => {
      if (segment.state === 'playing') this.#playheadUs += (toMs - accruedToMs) * this.#rateMilli
      accruedToMs = toMs
    }
    for (const beatMs of this.#heartbeats(segment, startMs, endMs)) {
      for (;;) {
        const change = changes[0]
        if (change === undefined || change.atMs > beatMs) break
        changes.shift()
        advance(change.atMs)
        this.#change(change.atMs, change)
      }
      advance(beatMs)
      this.#write(beatMs, this.#heartbeat(segment))
    }
    for (const change of changes) {
      advance(change.atMs)
      this.#change(change.atMs, change)
    }
    advance(endMs)
    this.#nowMs = endMs
  }

  /** Multiples of the heartbeat interval since the session's start, strictly inside the segment. */
  #heartbeats({ state }: Segment, startMs: number, endMs: number): number[] {
    const beats: number[] = []
    if (state === 'ended' || state === 'failed') return beats
    const { startAtMs, heartbeatMs } = this.#plan
    const first = startAtMs + (Math.floor((startMs - startAtMs) / heartbeatMs) + 1) * heartbeatMs
    for (let beatMs = first; beatMs < endMs; beatMs += heartbeatMs) beats.push(beatMs)
    return beats
  }

  #transition(segment: Segment): EventBody {
    switch (segment.state) {
      case 'starting':
        return { type: 'playbackRequest', ...this.#playhead() }
      case 'playing':
        return { type: 'playbackStart', ...this.#playhead() }
      case 'paused':
        return { type: 'playbackPause', ...this.#playhead() }
      case 'stalled':
        return { type: 'playbackStall', ...this.#playhead(), bufferMs: 0 }
      case 'seeking':
        return { type: 'seekStart', ...this.#playhead() }
      case 'ended':
        return segment.by === 'viewer'
          ? { type: 'sessionEnd' }
          : { type: 'playbackFinish', ...this.#playhead() }
      case 'failed':
        return { type: 'playbackFail', code: segment.code ?? 'UNKNOWN', domain: 'network' }
    }
  }

  #change(trueAtMs: number, change: PlannedChange): void {
    this.#write(trueAtMs, changeBody(change))
    if (change.kind === 'rate') this.#rateMilli = change.rateMilli
  }

  #heartbeat({ state }: Segment): EventBody {
    const bufferMs = state === 'stalled' || state === 'starting' ? 0 : 12_000
    return { type: 'heartbeat', ...this.#playhead(), bufferMs }
  }

  #playhead(): { playheadMs: number } {
    return { playheadMs: Math.floor(this.#playheadUs / 1_000) }
  }

  #write(trueAtMs: number, body: EventBody): void {
    const seq = this.events.length
    const at = trueAtMs + this.#plan.clockOffsetMs
    this.events.push({ part: this.#part, trueAtMs, event: { seq, at, ...body } })
  }
}

function changeBody(change: PlannedChange): EventBody {
  switch (change.kind) {
    case 'rendition': {
      const audio = change.audioKbps === undefined ? {} : { audioBitrateKbps: change.audioKbps }
      return { type: 'renditionUpdate', videoBitrateKbps: change.videoKbps, ...audio }
    }
    case 'rate':
      return { type: 'playbackRateUpdate', playbackRate: change.rateMilli / 1_000 }
    case 'cdn':
      return { type: 'cdnUpdate', cdn: change.cdn }
    case 'warning':
      return { type: 'warning', code: change.code }
  }
}

function partOf(plan: SessionPlan, part: number) {
  const found = plan.parts[part]
  if (found === undefined) throw new Error(`the plan has no part ${part}`)
  return found
}
