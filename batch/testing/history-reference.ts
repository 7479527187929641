/**
 * What the history says of a log, from the oracle: nothing is late, amended or after a close there,
 * so each incarnation is told to the oracle anew, its winning copies in seq order, in a partition of
 * its own. What the order of arrival decides (winners, incarnations, arrival) is counted here.
 */
import { computeOracle } from '../../loadtest/oracle/oracle.ts'
import type { DecodedRecord, FrameRecord } from '../../shared/log/record.ts'
import type { MinuteAggregates } from '../../shared/qoe/aggregates.ts'
import type { Cut } from '../../shared/qoe/cuts.ts'
import type { FoldLimits } from '../../shared/qoe/fold.ts'
import type { PartSummary } from '../../shared/speed/rows.ts'
import { CUTS } from './facts-run.ts'
import type { LogGroup } from './facts-versus-oracle.ts'

export interface ReferenceSession {
  readonly sessionId: string
  readonly incarnation: number
  readonly parts: readonly PartSummary[]
  readonly closed: boolean
  readonly duplicates: number
  readonly rejected: number
  readonly lost: number
  /** Whether nothing came so late that a close before the last one may have counted `lost`. */
  readonly closedOnce: boolean
}

export interface HistoryReference {
  readonly sessions: readonly ReferenceSession[]
  /** By `cut|key|minuteStartMs`; without facts of arrival. */
  readonly minutes: ReadonlyMap<string, MinuteAggregates>
  /** Frames, bytes and duplicates by minute of arrival. */
  readonly arrivals: ReadonlyMap<number, { frames: number; bytes: number; duplicates: number }>
}

interface Winner {
  readonly frame: FrameRecord
  readonly seq: number
  /** The event's index in the frame; absent for a rejected seq. */
  readonly index: number | undefined
  readonly watermarkMs: number
}

interface Incarnation {
  readonly sessionId: string
  readonly number: number
  readonly winners: Map<number, Winner>
  largestLoggedAtMs: number
  hasEvent: boolean
  duplicates: number
  silent: boolean
}

export function historyOf(
  { limits, logs }: LogGroup,
  cuts: readonly Cut[] = CUTS,
): HistoryReference {
  const arrivals = new Map<number, { frames: number; bytes: number; duplicates: number }>()
  const told = logs.flatMap(({ records }) => {
    const { incarnations, watermarkMs } = splitLog(records, limits, arrivals)
    return incarnations.map((incarnation) => ({ incarnation, watermarkMs }))
  })
  const { sessions, minutes } = computeOracle({
    partitions: told.map(({ incarnation, watermarkMs }, partition) => ({
      partition,
      records: tidyLog(incarnation, watermarkMs + limits.outOfOrdernessMs),
    })),
    limits: { ...limits, ...PATIENT },
    cuts,
  })
  const byPartition = new Map(sessions.map((session) => [session.partition, session]))
  return {
    minutes,
    arrivals,
    sessions: told.map(({ incarnation }, partition) => {
      const session = byPartition.get(partition)
      return {
        sessionId: incarnation.sessionId,
        incarnation: incarnation.number,
        parts: session?.parts ?? [],
        closed: session?.closed ?? false,
        duplicates: incarnation.duplicates,
        rejected: [...incarnation.winners.values()].filter(({ index }) => index === undefined)
          .length,
        lost: session?.quality.lost ?? 0,
        closedOnce: !incarnation.silent,
      }
    }),
  }
}

/** Limits under which events that come in seq order are all applied, at once, in minutes that stay open. */
const PATIENT: Partial<FoldLimits> = {
  allowedLatenessMs: 1e12,
  waitingEventsPerSessionMax: 0,
  seqAheadMax: 1e9,
  skippedRangesMax: 1e9,
  partsPerSessionMax: 1e9,
}

function splitLog(
  records: readonly DecodedRecord[],
  limits: FoldLimits,
  arrivals: Map<number, { frames: number; bytes: number; duplicates: number }>,
): { incarnations: Incarnation[]; watermarkMs: number } {
  const current = new Map<string, Incarnation>()
  const incarnations: Incarnation[] = []
  let watermarkMs = Number.NEGATIVE_INFINITY
  for (const record of records) {
    watermarkMs = Math.max(watermarkMs, record.loggedAtMs - limits.outOfOrdernessMs)
    if (record.kind !== 'frame') continue
    const minuteMs = record.receivedAtMs - (record.receivedAtMs % 60_000)
    const arrival = arrivals.get(minuteMs) ?? { frames: 0, bytes: 0, duplicates: 0 }
    arrivals.set(minuteMs, arrival)
    arrival.frames += 1
    arrival.bytes += record.valueBytes
    if (record.events.length + record.rejectedSeqs.length === 0) continue
    const { sessionId } = record.context
    let incarnation = current.get(sessionId)
    const aloneMs = limits.sessionTimeoutMs + limits.sessionKeepMs
    if (incarnation === undefined || watermarkMs > incarnation.largestLoggedAtMs + aloneMs) {
      incarnation = {
        sessionId,
        number: record.offset,
        winners: new Map(),
        largestLoggedAtMs: record.loggedAtMs,
        hasEvent: false,
        duplicates: 0,
        silent: false,
      }
      current.set(sessionId, incarnation)
      incarnations.push(incarnation)
    }
    arrival.duplicates += takeFrame(incarnation, record, watermarkMs, limits)
  }
  return { incarnations, watermarkMs }
}

/** Returns how many accepted copies of the frame did not win. */
function takeFrame(
  incarnation: Incarnation,
  frame: FrameRecord,
  watermarkMs: number,
  { sessionTimeoutMs }: FoldLimits,
): number {
  if (watermarkMs > incarnation.largestLoggedAtMs + sessionTimeoutMs) incarnation.silent = true
  let repeated = 0
  for (const [index, { seq }] of frame.events.entries()) {
    if (incarnation.winners.has(seq)) repeated += 1
    else {
      incarnation.winners.set(seq, { frame, seq, index, watermarkMs })
      incarnation.largestLoggedAtMs = incarnation.hasEvent
        ? Math.max(incarnation.largestLoggedAtMs, frame.loggedAtMs)
        : frame.loggedAtMs
      incarnation.hasEvent = true
    }
  }
  for (const seq of frame.rejectedSeqs) {
    if (!incarnation.winners.has(seq)) {
      incarnation.winners.set(seq, { frame, seq, index: undefined, watermarkMs })
    }
  }
  incarnation.duplicates += repeated
  return repeated
}

/** A frame an event, in seq order, and a tick that brings the watermark of the cut. */
function tidyLog(incarnation: Incarnation, lastLoggedAtMs: number): DecodedRecord[] {
  const loggedAtMs = incarnation.largestLoggedAtMs
  const winners = [...incarnation.winners.values()].toSorted((a, b) => a.seq - b.seq)
  const frames = winners.map(({ frame, seq, index }, offset): FrameRecord => {
    const event = index === undefined ? undefined : frame.events[index]
    const rejectedSeqs = event === undefined ? [seq] : []
    return {
      ...frame,
      offset,
      loggedAtMs,
      rejectedSeqs,
      events: event === undefined ? [] : [event],
    }
  })
  return [...frames, { kind: 'tick', offset: frames.length, loggedAtMs: lastLoggedAtMs }]
}
