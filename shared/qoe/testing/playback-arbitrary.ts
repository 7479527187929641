/**
 * Playback that a well-behaved client reports, and the ways a network may deliver it: the same
 * events split into other frames, sent again, and overtaking one another within the reorder time.
 */
import fc from 'fast-check'
import type { PlaybackEvent, PlaybackEventType } from '../../events/schema.ts'
import type { DecodedRecord } from '../../log/record.ts'
import type { FoldLimits } from '../fold.ts'
import { BASE_MS, eventTypes, frameRecord, playbackEvent, SMALL_LIMITS } from './fold-harness.ts'

/** Wide enough that only the silences below end a session, and nothing is capped. */
export const DELIVERY_LIMITS: FoldLimits = {
  ...SMALL_LIMITS,
  sessionTimeoutMs: 600_000,
  allowedLatenessMs: 1_200_000,
  sessionKeepMs: 7_200_000,
  maxAgeMs: 86_400_000,
  seqAheadMax: 4_096,
  skippedRangesMax: 64,
  keysPerCutMinuteMax: 1_000,
  waitingEventsPerSessionMax: 4_096,
  partsPerSessionMax: 64,
}
const EVENTS_MAX = 14
const FRAME_EVENTS_MAX = 4
const GAP_MAX_MS = 15_000
/** Longer than the session's time-out by more than any delay. */
const SILENCE_MS = 700_000
/** Transit and lag together stay below the reorder time. */
const TRANSIT_MAX_MS = 2_000
const LAG_MAX_MS = 2_900
/** The frame of the first event fixes the session's clock, so its transit is always the same. */
const FIRST_TRANSIT_MS = 100

interface Step {
  readonly type: PlaybackEventType
  readonly gapMs: number
  readonly contentIndex: number
  readonly fate: 'accepted' | 'rejected' | 'lost'
}

/** Steps by seq, with their time on a true clock. */
export interface Playback {
  readonly sessionId: string
  readonly steps: readonly TimedStep[]
}

interface TimedStep extends Step {
  readonly atMs: number
  /** Draws the event's own fields. */
  readonly draw: number
}

const step = fc.record({
  type: eventTypes,
  gapMs: fc.oneof(
    { weight: 2, arbitrary: fc.constantFrom(0, 1, 10_000) },
    { weight: 6, arbitrary: fc.nat({ max: GAP_MAX_MS }) },
    { weight: 1, arbitrary: fc.constant(SILENCE_MS) },
  ),
  newContent: fc.oneof(
    { weight: 9, arbitrary: fc.constant(false) },
    { weight: 1, arbitrary: fc.constant(true) },
  ),
  fate: fc.oneof(
    { weight: 12, arbitrary: fc.constant('accepted' as const) },
    { weight: 1, arbitrary: fc.constantFrom('rejected' as const, 'lost' as const) },
  ),
})

export const playbacks: fc.Arbitrary<readonly Playback[]> = fc
  .array(
    fc.record({
      startMs: fc.nat({ max: 90_000 }),
      list: fc.array(step, { minLength: 1, maxLength: EVENTS_MAX, size: 'max' }),
    }),
    { minLength: 1, maxLength: 3 },
  )
  .map((sessions) =>
    sessions.map(({ startMs, list }, index): Playback => {
      // A rejected seq that overtakes the event which re-opens a closed session is not seen.
      const isReopened = list.some(({ gapMs }) => gapMs > GAP_MAX_MS)
      let atMs = BASE_MS + startMs
      let contentIndex = 0
      const steps = list.map(({ type, gapMs, newContent, fate }, seq): TimedStep => {
        atMs += gapMs
        if (newContent) contentIndex += 1
        const isAccepted = seq === 0 || (isReopened && fate === 'rejected')
        return { type, gapMs, contentIndex, fate: isAccepted ? 'accepted' : fate, atMs, draw: seq }
      })
      return { sessionId: `s${index}`, steps }
    }),
  )

export interface Delivery {
  /** Whether a frame ends after the event; by seq. */
  readonly cuts: readonly boolean[]
  readonly transitsMs: readonly number[]
  readonly lagsMs: readonly number[]
  /** Stretches of events that are sent again later. */
  readonly copies: readonly {
    readonly from: number
    readonly count: number
    readonly delayMs: number
  }[]
  /** Breaks ties of the log's time. */
  readonly ties: readonly number[]
}

const perEvent = { minLength: EVENTS_MAX, maxLength: EVENTS_MAX }

export const deliveries: fc.Arbitrary<Delivery> = fc.record({
  cuts: fc.array(fc.boolean(), perEvent),
  transitsMs: fc.array(fc.nat({ max: TRANSIT_MAX_MS }), perEvent),
  lagsMs: fc.array(fc.nat({ max: LAG_MAX_MS }), perEvent),
  copies: fc.array(
    fc.record({
      from: fc.nat({ max: EVENTS_MAX - 1 }),
      count: fc.integer({ min: 1, max: FRAME_EVENTS_MAX }),
      delayMs: fc.nat({ max: 60_000 }),
    }),
    { maxLength: 6 },
  ),
  ties: fc.array(fc.nat({ max: 9 }), perEvent),
})

/** One event a frame, at once and in order. */
export const PLAIN_DELIVERY: Delivery = {
  cuts: Array.from({ length: EVENTS_MAX }, () => true),
  transitsMs: [],
  lagsMs: [],
  copies: [],
  ties: [],
}

/** What the devices' clocks and the sending add; neither may change a duration. */
export interface Disturbance {
  readonly deviceShiftMs: number
  /** By seq of a frame's first event; the first frame has none. */
  readonly sendJitterMs: readonly number[]
}

/** The playback with every event accepted and a heartbeat in the middle of each interval. */
export function withHeartbeats({ sessionId, steps }: Playback): Playback {
  const more = steps.flatMap((one, index): TimedStep[] => {
    const accepted: TimedStep = { ...one, fate: 'accepted' }
    const next = steps[index + 1]
    if (next === undefined || next.gapMs > GAP_MAX_MS) return [accepted]
    const halfMs = Math.floor(next.gapMs / 2)
    const atMs = one.atMs + halfMs
    return [accepted, { ...accepted, type: 'heartbeat', gapMs: halfMs, atMs }]
  })
  return { sessionId, steps: more }
}

/** The records of the playbacks, delivered so, then ticks until every session is forgotten. */
export function deliver(
  sessions: readonly Playback[],
  delivery: Delivery,
  disturbance: Disturbance = { deviceShiftMs: 0, sendJitterMs: [] },
): readonly DecodedRecord[] {
  const frames = sessions
    .flatMap((playback) => framesOf(playback, delivery, disturbance))
    .sort((a, b) => a.loggedAtMs - b.loggedAtMs || a.tie - b.tie)
  const records = frames.map((frame, offset) => frameRecord({ ...frame, offset }))
  const endMs = BASE_MS + EVENTS_MAX * SILENCE_MS + 1_000_000
  const { sessionTimeoutMs, sessionKeepMs } = DELIVERY_LIMITS
  const ticks = [endMs, endMs + sessionTimeoutMs, endMs + sessionTimeoutMs + sessionKeepMs]
  return [
    ...records,
    ...ticks.map((loggedAtMs, index): DecodedRecord => {
      return { kind: 'tick', offset: records.length + index, loggedAtMs }
    }),
  ]
}

interface Stretch {
  readonly from: number
  readonly to: number
  readonly sentMs: number
}

function framesOf(playback: Playback, delivery: Delivery, disturbance: Disturbance) {
  const originals = stretches(playback, delivery)
  return [...originals, ...copied(playback, delivery, originals)].map((stretch) =>
    frameOf(playback, stretch, { delivery, disturbance }),
  )
}

/** Frames never hold more than one content, nor a silence: a client sends within seconds. */
function stretches({ steps }: Playback, { cuts }: Delivery): Stretch[] {
  const list: Stretch[] = []
  let from = 0
  for (const [seq, { atMs }] of steps.entries()) {
    const isFull = seq + 1 - from === FRAME_EVENTS_MAX
    if (cuts[seq] !== true && !isFull && belongTogether(steps[seq], steps[seq + 1])) continue
    list.push({ from, to: seq + 1, sentMs: atMs })
    from = seq + 1
  }
  return list
}

/** A copy is sent after the frame that first held its last event. */
function copied({ steps }: Playback, { copies }: Delivery, originals: Stretch[]): Stretch[] {
  return copies.flatMap(({ from, count, delayMs }) => {
    let to = from + 1
    while (to - from < count && belongTogether(steps[to - 1], steps[to])) to += 1
    const original = originals.find((stretch) => stretch.from < to && to <= stretch.to)
    return original === undefined ? [] : [{ from, to, sentMs: original.sentMs + delayMs }]
  })
}

function belongTogether(left: Step | undefined, right: Step | undefined): boolean {
  if (left === undefined || right === undefined) return false
  return left.contentIndex === right.contentIndex && right.gapMs <= GAP_MAX_MS
}

function frameOf(
  { sessionId, steps }: Playback,
  { from, to, sentMs }: Stretch,
  { delivery, disturbance }: { delivery: Delivery; disturbance: Disturbance },
) {
  const transitMs = from === 0 ? FIRST_TRANSIT_MS : (delivery.transitsMs[from] ?? FIRST_TRANSIT_MS)
  const jitterMs = from === 0 ? 0 : (disturbance.sendJitterMs[from] ?? 0)
  const events: PlaybackEvent[] = []
  const rejectedSeqs: number[] = []
  for (let seq = from; seq < to; seq++) {
    const one = steps[seq]
    if (one?.fate === 'rejected') rejectedSeqs.push(seq)
    else if (one?.fate === 'accepted')
      events.push({
        ...playbackEvent(one.type, one.draw, one.atMs + disturbance.deviceShiftMs),
        seq,
      })
  }
  return {
    loggedAtMs: sentMs + transitMs + (delivery.lagsMs[to - 1] ?? 0),
    receivedAtMs: sentMs + transitMs,
    sentAtMs: sentMs + disturbance.deviceShiftMs + jitterMs,
    tie: delivery.ties[from] ?? 0,
    context: {
      sessionId,
      contentId: `movie-${steps[from]?.contentIndex}`,
      cdn: 'cdn-0',
      viewerPseudonym: `${sessionId.slice(1)}a0`.padEnd(32, '0123456789abcdef'),
    },
    rejectedSeqs,
    events,
  }
}
