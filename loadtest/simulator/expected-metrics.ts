/**
 * The exactly expected metrics of a plan, by adding up its segments. This is deliberately another
 * way to the result than the product's: a plan knows its states and durations outright, so there
 * is no state machine, no clock and no order here. Definitions: `docs/metrics-definitions.md`.
 */
import type { PartPlan, PlannedState, Segment, SessionPlan } from './session-plan.ts'

export type ExpectedEndReason = 'finish' | 'sessionEnd' | 'fail' | 'content' | 'timeout'

/** Named as the fields of the product's summary of a part. */
export interface ExpectedPart {
  readonly contentId: string
  readonly state: PlannedState
  readonly endReason: ExpectedEndReason | undefined
  readonly attempt: 0 | 1
  readonly play: 0 | 1
  readonly ebvs: 0 | 1
  readonly ebvsLong: 0 | 1
  readonly vsf: 0 | 1
  readonly vpf: 0 | 1
  readonly endedPlay: 0 | 1
  readonly failed: 0 | 1
  readonly startupMs: number | undefined
  readonly stallCount: number
  readonly stallMs: number
  readonly playingMs: number
  readonly watchedMs: number
  readonly mediaUs: number
  readonly ratedMediaUs: number
  readonly bitsPlayed: bigint
}

export interface ExpectationMoment {
  /** True time of the session's last event: nothing is assumed after it. */
  readonly lastEventAtMs: number
  /** Whether the session has been silent for so long that it was closed. */
  readonly timedOut: boolean
}

/** One expectation per part of the plan, at the moment after all its events arrived. */
export function expectSession(plan: SessionPlan, moment: ExpectationMoment): ExpectedPart[] {
  let startAtMs = plan.startAtMs
  return plan.parts.map((part, index) => {
    const isLast = index === plan.parts.length - 1
    const expected = expectPart(part, {
      // A part that is followed by another lasts until that one's first event.
      untilMs: isLast ? moment.lastEventAtMs - startAtMs : Number.POSITIVE_INFINITY,
      endWithoutEvent: isLast ? (moment.timedOut ? 'timeout' : undefined) : 'content',
    })
    for (const segment of part.segments) startAtMs += segment.ms
    return expected
  })
}

interface PartMoment {
  /** Time since the part's start up to which it counts. */
  readonly untilMs: number
  /** How the part ends if it does not end by itself. */
  readonly endWithoutEvent: 'timeout' | 'content' | undefined
}

const WATCHED: readonly PlannedState[] = ['starting', 'playing', 'stalled', 'seeking']

function expectPart(part: PartPlan, { untilMs, endWithoutEvent }: PartMoment): ExpectedPart {
  const { segments } = part
  const lengths = lengthsUntil(segments, untilMs)
  const timeIn = (states: readonly PlannedState[], before = segments.length) =>
    segments.reduce(
      (sum, { state }, index) =>
        index < before && states.includes(state) ? sum + (lengths[index] ?? 0) : sum,
      0,
    )

  const firstStart = segments.findIndex(({ state }) => state === 'playing')
  const firstEnd = segments.findIndex(({ state }) => state === 'ended' || state === 'failed')
  const played = firstStart !== -1
  const endsByItself = firstEnd !== -1
  const ends = endsByItself || endWithoutEvent !== undefined
  const playedBeforeEnd = played && (!endsByItself || firstStart < firstEnd)
  const failed = segments[firstEnd]?.state === 'failed'
  const ebvs = ends && !failed && !playedBeforeEnd
  const watchedAtEndMs = timeIn(WATCHED, endsByItself ? firstEnd : segments.length)

  return {
    contentId: part.contentId,
    ...finalState(segments, endWithoutEvent),
    // Every part begins with a request, or with a start or fail that implies one.
    attempt: 1,
    play: bit(played),
    ebvs: bit(ebvs),
    ebvsLong: bit(ebvs && watchedAtEndMs >= 1_000),
    vsf: bit(failed && !playedBeforeEnd),
    vpf: bit(failed && playedBeforeEnd),
    endedPlay: bit(ends && playedBeforeEnd),
    failed: bit(failed),
    startupMs: firstStart > 0 ? timeIn(WATCHED, firstStart) : undefined,
    stallCount: segments.filter(({ state }) => state === 'stalled').length,
    stallMs: timeIn(['stalled']),
    playingMs: timeIn(['playing']),
    watchedMs: timeIn(WATCHED),
    ...expectMedia(segments, lengths),
  }
}

/** How long each segment lasts when the part is cut `untilMs` after its start. */
function lengthsUntil(segments: readonly Segment[], untilMs: number): number[] {
  let startMs = 0
  return segments.map(({ ms }) => {
    const endMs = startMs + ms
    const lengthMs = Math.max(0, Math.min(endMs, untilMs) - startMs)
    startMs = endMs
    return lengthMs
  })
}

function finalState(
  segments: readonly Segment[],
  endWithoutEvent: PartMoment['endWithoutEvent'],
): Pick<ExpectedPart, 'state' | 'endReason'> {
  const last = segments.at(-1)
  if (last?.state === 'failed') return { state: 'failed', endReason: 'fail' }
  if (last?.state === 'ended')
    return { state: 'ended', endReason: last.by === 'viewer' ? 'sessionEnd' : 'finish' }
  if (endWithoutEvent !== undefined) return { state: 'ended', endReason: endWithoutEvent }
  return { state: last?.state ?? 'starting', endReason: undefined }
}

/** Media time and bits: every playing stretch of constant rate and bitrate, added up. */
function expectMedia(
  segments: readonly Segment[],
  lengths: readonly number[],
): Pick<ExpectedPart, 'mediaUs' | 'ratedMediaUs' | 'bitsPlayed'> {
  let rateMilli = 1_000
  let videoKbps: number | undefined
  let audioKbps: number | undefined
  let mediaUs = 0
  let ratedMediaUs = 0
  let bitsPlayed = 0n
  const play = (ms: number) => {
    mediaUs += ms * rateMilli
    if (videoKbps === undefined && audioKbps === undefined) return
    ratedMediaUs += ms * rateMilli
    bitsPlayed += BigInt((videoKbps ?? 0) + (audioKbps ?? 0)) * BigInt(ms * rateMilli)
  }
  for (const [index, segment] of segments.entries()) {
    const lengthMs = lengths[index] ?? 0
    let fromMs = 0
    for (const change of segment.changes ?? []) {
      if (change.atMs > lengthMs) break
      if (segment.state === 'playing') play(change.atMs - fromMs)
      fromMs = change.atMs
      if (change.kind === 'rate') rateMilli = change.rateMilli
      if (change.kind === 'rendition') {
        videoKbps = change.videoKbps
        audioKbps = change.audioKbps ?? audioKbps
      }
    }
    if (segment.state === 'playing') play(lengthMs - fromMs)
  }
  return { mediaUs, ratedMediaUs, bitsPlayed }
}

function bit(value: boolean): 0 | 1 {
  return value ? 1 : 0
}

/** Sums over parts, named as the counters of an aggregate. */
export interface ExpectedTotals {
  readonly sessions: number
  readonly attempts: number
  readonly plays: number
  readonly ebvs: number
  readonly ebvsLong: number
  readonly vsf: number
  readonly vpf: number
  readonly endedPlays: number
  readonly failures: number
  readonly startups: number
  readonly startupSumMs: number
  readonly stalls: number
  readonly stallMs: number
  readonly playingMs: number
  readonly watchedMs: number
  readonly mediaUs: number
  readonly ratedMediaUs: number
  readonly bitsPlayed: bigint
}

export function sumExpected(parts: Iterable<ExpectedPart>): ExpectedTotals {
  const list = [...parts]
  const sum = (value: (part: ExpectedPart) => number) =>
    list.reduce((total, part) => total + value(part), 0)
  return {
    sessions: list.length,
    attempts: sum((part) => part.attempt),
    plays: sum((part) => part.play),
    ebvs: sum((part) => part.ebvs),
    ebvsLong: sum((part) => part.ebvsLong),
    vsf: sum((part) => part.vsf),
    vpf: sum((part) => part.vpf),
    endedPlays: sum((part) => part.endedPlay),
    failures: sum((part) => part.failed),
    startups: sum((part) => (part.startupMs === undefined ? 0 : 1)),
    startupSumMs: sum((part) => part.startupMs ?? 0),
    stalls: sum((part) => part.stallCount),
    stallMs: sum((part) => part.stallMs),
    playingMs: sum((part) => part.playingMs),
    watchedMs: sum((part) => part.watchedMs),
    mediaUs: sum((part) => part.mediaUs),
    ratedMediaUs: sum((part) => part.ratedMediaUs),
    bitsPlayed: list.reduce((total, part) => total + part.bitsPlayed, 0n),
  }
}
