/**
 * What a simulated viewer does, written down before anything is sent: a path through the playback
 * states with exact durations. Events (`plan-events.ts`) and expected metrics
 * (`expected-metrics.ts`) are both read off the plan, neither from the other, and nothing here
 * knows how the product computes them.
 */
import type { SessionContext } from '../../shared/events/schema.ts'

export type PlannedState =
  'starting' | 'playing' | 'paused' | 'stalled' | 'seeking' | 'ended' | 'failed'

/** Something that changes during a segment without changing its state. */
export type PlannedChange =
  | { readonly kind: 'rendition'; readonly videoKbps: number; readonly audioKbps?: number }
  | { readonly kind: 'rate'; readonly rateMilli: number }
  | { readonly kind: 'cdn'; readonly cdn: string }
  | { readonly kind: 'warning'; readonly code: string }

export interface Segment {
  readonly state: PlannedState
  /** How long the state lasts; 0 for an end that is final. */
  readonly ms: number
  /** In ascending order of `atMs`, each counted from the segment's start, 0 ≤ atMs ≤ ms. */
  readonly changes?: readonly (PlannedChange & { readonly atMs: number })[]
  /** How an `ended` segment came about: at the natural end, or by the viewer. */
  readonly by?: 'finish' | 'viewer'
  /** Error code of a `failed` segment. */
  readonly code?: string
}

/** A run of one content; a further part is the next content under the same session. */
export interface PartPlan {
  readonly contentId: string
  readonly contentTitle?: string
  readonly streamType?: 'vod' | 'live' | 'lowLatencyLive'
  readonly cdn: string
  readonly segments: readonly Segment[]
}

export interface SessionPlan {
  /** Everything of the context that is the same in all parts. */
  readonly context: Omit<
    SessionContext,
    'contentId' | 'contentTitle' | 'streamType' | 'cdn' | 'sessionId'
  > & { readonly sessionId: string }
  /** True time of the first event, epoch ms. */
  readonly startAtMs: number
  readonly heartbeatMs: number
  /** Device clock minus true time. */
  readonly clockOffsetMs: number
  readonly parts: readonly PartPlan[]
}

/** Which state may follow which; the first state of a part follows `idle`. */
const NEXT_STATES: Readonly<Record<PlannedState | 'idle', readonly PlannedState[]>> = {
  idle: ['starting', 'playing', 'failed'],
  starting: ['playing', 'paused', 'ended', 'failed'],
  playing: ['paused', 'stalled', 'seeking', 'ended', 'failed'],
  paused: ['starting', 'playing', 'ended', 'failed'],
  stalled: ['playing', 'paused', 'ended', 'failed'],
  seeking: ['playing', 'paused', 'ended', 'failed'],
  ended: ['starting'],
  failed: ['starting'],
}

/** Throws an Error naming the segment when a plan asks for what no player does. */
export function checkPlan(plan: SessionPlan): void {
  for (const [partNumber, part] of plan.parts.entries()) {
    let before: PlannedState | 'idle' = 'idle'
    for (const [index, segment] of part.segments.entries()) {
      const where = `part ${partNumber}, segment ${index}`
      if (!NEXT_STATES[before].includes(segment.state))
        throw new Error(`${where}: ${segment.state} cannot follow ${before}`)
      if (!Number.isSafeInteger(segment.ms) || segment.ms < 0)
        throw new Error(`${where}: expected whole milliseconds, received ${segment.ms}`)
      let lastMs = 0
      for (const { atMs } of segment.changes ?? []) {
        if (!Number.isSafeInteger(atMs) || atMs < lastMs || atMs > segment.ms)
          throw new Error(`${where}: a change at ${atMs} is outside its segment or out of order`)
        lastMs = atMs
      }
      before = segment.state
    }
    if (before === 'idle') throw new Error(`part ${partNumber} has no segments`)
    if (plan.parts[partNumber + 1]?.contentId === part.contentId)
      throw new Error(`part ${partNumber + 1} must be of another content than ${part.contentId}`)
  }
}

/** True time at which the plan ends, epoch ms. */
export function planEndMs(plan: SessionPlan): number {
  let endMs = plan.startAtMs
  for (const part of plan.parts) for (const segment of part.segments) endMs += segment.ms
  return endMs
}
