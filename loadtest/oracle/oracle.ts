/**
 * The expected result of a log: what the definitions (`docs/metrics-definitions.md`) say of its
 * records, computed in batch and independently of the product's fold. It answers as of the end of
 * the log: open sessions are included, events that still wait for lower seqs are not.
 *
 * Per partition: the watermark at every record; per session: the order and time of its applied
 * events (`session-order.ts`); per part: metrics and the facts of its minutes (`part-metrics.ts`).
 */
import type { EnrichedContext } from '../../shared/events/schema.ts'
import type { LogRecord } from '../../shared/log/event-log.ts'
import type { DecodedRecord } from '../../shared/log/record.ts'
import type { MinuteAggregates } from '../../shared/qoe/aggregates.ts'
import type { Cut } from '../../shared/qoe/cuts.ts'
import type { FoldCounters, FoldLimits } from '../../shared/qoe/fold.ts'
import type { FoldException, PartSummary, SessionQuality } from '../../shared/speed/rows.ts'
import { mergeMinutes } from './merge-minutes.ts'
import { MinuteLedger } from './minute-ledger.ts'
import { PartMetrics } from './part-metrics.ts'
import { readRecord } from './read-record.ts'
import { type AppliedEvent, type Arrival, SessionOrder } from './session-order.ts'
import { Watermarks } from './watermarks.ts'

export interface OraclePartition {
  readonly partition: number
  /** In offset order, raw or decoded. */
  readonly records: readonly (LogRecord | DecodedRecord)[]
}

export interface OracleInput {
  readonly partitions: readonly OraclePartition[]
  readonly limits: FoldLimits
  readonly cuts: readonly Cut[]
}

export interface OracleSession {
  readonly partition: number
  readonly sessionId: string
  /** Ordinal among the incarnations of the sessionId in this log, from 0. */
  readonly incarnation: number
  /** Offset of the record that began the incarnation. */
  readonly firstOffset: number
  readonly parts: readonly PartSummary[]
  readonly quality: SessionQuality
  readonly closed: boolean
  readonly clockOffsetMs: number | undefined
  readonly lastLoggedAtMs: number
  /** Offsets of the frames that its timeline points to, ascending. */
  readonly positions: readonly number[]
  /** Context of the latest part. */
  readonly context: EnrichedContext | undefined
}

export interface OracleResult {
  readonly sessions: readonly OracleSession[]
  /** By `cut|key|minuteStartMs`, merged over partitions; keys are never capped. */
  readonly minutes: ReadonlyMap<string, MinuteAggregates>
  /** `cut|minuteStartMs` of minutes that saw more keys than the limit in some partition. */
  readonly overflowed: ReadonlySet<string>
  /** In the order of (partition, offset, seq). */
  readonly exceptions: readonly FoldException[]
  /** Distinct accepted (sessionId, seq) in the log. */
  readonly distinctEvents: number
  readonly counters: FoldCounters
}

export function computeOracle(input: OracleInput): OracleResult {
  const results = input.partitions.map((partition) => computePartition(partition, input))
  const identities = new Set<string>()
  for (const { eventIdentities } of results) for (const id of eventIdentities) identities.add(id)
  return {
    sessions: results.flatMap(({ sessions }) => sessions),
    minutes: mergeMinutes(results.map(({ minutes }) => minutes)),
    overflowed: new Set(results.flatMap(({ overflowed }) => [...overflowed])),
    exceptions: results.flatMap(({ exceptions }) => exceptions),
    distinctEvents: identities.size,
    counters: sumCounters(results.map(({ counters }) => counters)),
  }
}

interface Incarnation {
  readonly sessionId: string
  readonly number: number
  readonly firstOffset: number
  readonly order: SessionOrder
}

function computePartition({ partition, records }: OraclePartition, input: OracleInput) {
  const decoded = records.map(readRecord)
  const watermarks = new Watermarks(decoded, input.limits)
  const ledger = new MinuteLedger(input.cuts, watermarks)
  const bySession = gatherArrivals(decoded)
  const incarnations = [...bySession].flatMap(([sessionId, arrivals]) =>
    splitIncarnations(sessionId, arrivals, { limits: input.limits, watermarks }),
  )
  const sessions = incarnations.map((incarnation) =>
    describeSession(incarnation, { partition, limits: input.limits, ledger }),
  )
  addArrivalFacts(decoded, incarnations, ledger)
  return {
    sessions,
    minutes: ledger.aggregates(),
    overflowed: ledger.overflowed(input.limits.keysPerCutMinuteMax),
    exceptions: listExceptions(partition, incarnations),
    eventIdentities: [...bySession].flatMap(([sessionId, arrivals]) =>
      arrivals.flatMap(({ frame }) => frame.events.map(({ seq }) => `${sessionId} ${seq}`)),
    ),
    counters: countEvents(decoded, incarnations),
  }
}

/** Frames that carry an event or a rejected seq, by session, in the order of the log. */
function gatherArrivals(records: readonly DecodedRecord[]): Map<string, Arrival[]> {
  const bySession = new Map<string, Arrival[]>()
  for (const [recordIndex, frame] of records.entries()) {
    if (frame.kind !== 'frame') continue
    if (frame.events.length + frame.rejectedSeqs.length === 0) continue
    const { sessionId } = frame.context
    const arrivals = bySession.get(sessionId)
    if (arrivals === undefined) bySession.set(sessionId, [{ recordIndex, frame }])
    else arrivals.push({ recordIndex, frame })
  }
  return bySession
}

function splitIncarnations(
  sessionId: string,
  arrivals: readonly Arrival[],
  { limits, watermarks }: { limits: FoldLimits; watermarks: Watermarks },
): Incarnation[] {
  const incarnations: Incarnation[] = []
  let current: SessionOrder | undefined
  for (const arrival of arrivals) {
    if (current === undefined || !current.passTime(arrival.recordIndex)) {
      current = new SessionOrder(arrival, limits, watermarks)
      const number = incarnations.length
      incarnations.push({
        sessionId,
        number,
        firstOffset: arrival.frame.offset,
        order: current,
      })
    }
    current.take(arrival)
  }
  current?.passTime(watermarks.recordCount - 1)
  return incarnations
}

interface SessionSurroundings {
  readonly partition: number
  readonly limits: FoldLimits
  readonly ledger: MinuteLedger
}

function describeSession(
  { sessionId, number, firstOffset, order }: Incarnation,
  { partition, limits, ledger }: SessionSurroundings,
): OracleSession {
  const repairs = { state: 0, backwards: 0, context: 0, clamped: 0 }
  const parts: PartMetrics[] = []
  let contentId: string | undefined
  for (const [index, applied] of order.applied.entries()) {
    const present = applied.frame.context.contentId
    const changed = contentId !== undefined && present !== undefined && present !== contentId
    let part = parts.at(-1)
    if (part === undefined || changed) {
      if (part !== undefined) endByContent(part, applied, order.applied[index - 1], limits)
      part = new PartMetrics(applied, { part: parts.length, limits, ledger, repairs })
      parts.push(part)
      contentId = undefined
    }
    contentId = present ?? contentId
    part.applyEvent(applied)
    accrueToNext(part, applied, order.applied[index + 1], limits)
  }
  return {
    partition,
    sessionId,
    incarnation: number,
    firstOffset,
    parts: parts.slice(-limits.partsPerSessionMax).map(({ summary }) => summary),
    quality: describeQuality(order, repairs),
    closed: order.closed,
    clockOffsetMs: order.clockOffsetMs,
    lastLoggedAtMs: order.largestLoggedAtMs,
    positions: [...order.positions],
    context: parts.at(-1)?.context,
  }
}

/** What lies between an applied event and the next: an accrued interval, or an end by time-out. */
function accrueToNext(
  part: PartMetrics,
  applied: AppliedEvent,
  next: AppliedEvent | undefined,
  limits: FoldLimits,
): void {
  const fromMs = applied.sessionTimeMs
  const timedOut = next !== undefined && isBeyondTimeout(applied, next, limits)
  if (applied.closedAtRecord !== undefined) {
    part.endWithoutEvent('timeout', fromMs, applied.closedAtRecord)
    part.addLost(applied.lostAtClose, fromMs, applied.closedAtRecord)
  } else if (timedOut) {
    part.endWithoutEvent('timeout', fromMs, next.appliedAtRecord)
  } else if (next !== undefined) {
    part.accrue(fromMs, next.sessionTimeMs, next.appliedAtRecord)
  }
}

function endByContent(
  part: PartMetrics,
  firstOfNext: AppliedEvent,
  last: AppliedEvent | undefined,
  limits: FoldLimits,
): void {
  if (last === undefined || isBeyondTimeout(last, firstOfNext, limits)) return
  part.endWithoutEvent('content', firstOfNext.sessionTimeMs, firstOfNext.appliedAtRecord)
}

function isBeyondTimeout(earlier: AppliedEvent, later: AppliedEvent, limits: FoldLimits): boolean {
  return later.sessionTimeMs - earlier.sessionTimeMs > limits.sessionTimeoutMs
}

function describeQuality(order: SessionOrder, repairs: SessionQuality['repairs']): SessionQuality {
  return {
    lost: order.lost,
    duplicates: order.duplicates.length,
    late: countExcluded(order, 'late'),
    amended: countExcluded(order, 'amended'),
    afterClose: countExcluded(order, 'afterClose'),
    rejected: order.rejected,
    repairs,
  }
}

function countExcluded(order: SessionOrder, reason: FoldException['reason']): number {
  return order.excluded.filter((one) => one.reason === reason && one.type !== 'rejected').length
}

/** Facts of arrival: minute of `receivedAt`, key of the frame's own context. */
function addArrivalFacts(
  records: readonly DecodedRecord[],
  incarnations: readonly Incarnation[],
  ledger: MinuteLedger,
): void {
  const placeOf = ({ recordIndex, frame }: Arrival) => ({
    recordIndex,
    timeMs: frame.receivedAtMs,
    context: frame.context,
    cdn: frame.context.cdn,
  })
  for (const [recordIndex, frame] of records.entries()) {
    if (frame.kind !== 'frame') continue
    ledger.add(placeOf({ recordIndex, frame }), { frames: 1, bytes: frame.valueBytes })
  }
  for (const { order } of incarnations) {
    for (const duplicate of order.duplicates) ledger.add(placeOf(duplicate), { duplicates: 1 })
    for (const excluded of order.excluded) {
      if (excluded.reason !== 'late') continue
      ledger.add({ ...placeOf(excluded), recordIndex: excluded.decidedAtRecord }, { late: 1 })
    }
  }
}

function listExceptions(partition: number, incarnations: readonly Incarnation[]): FoldException[] {
  const listed = incarnations.flatMap(({ sessionId, order }) =>
    order.excluded.map(({ seq, frame, reason, type, forgotten }) => {
      return { sessionId, seq, partition, offset: frame.offset, reason, type, forgotten }
    }),
  )
  return listed.toSorted((a, b) => a.offset - b.offset || a.seq - b.seq)
}

function countEvents(
  records: readonly DecodedRecord[],
  incarnations: readonly Incarnation[],
): FoldCounters {
  const sumOf = (count: (order: SessionOrder) => number) =>
    incarnations.reduce((sum, { order }) => sum + count(order), 0)
  let eventCount = 0
  let poison = 0
  for (const record of records) {
    if (record.kind === 'poison') poison += 1
    if (record.kind === 'frame') eventCount += record.events.length
  }
  return {
    read: eventCount + poison,
    applied: sumOf(({ applied }) => applied.length),
    duplicate: sumOf(({ duplicates }) => duplicates.length),
    late: sumOf((order) => countExcluded(order, 'late')),
    amended: sumOf((order) => countExcluded(order, 'amended')),
    afterClose: sumOf((order) => countExcluded(order, 'afterClose')),
    capped: 0,
    poison,
    buffered: sumOf(({ waitingCount }) => waitingCount),
  }
}

function sumCounters(list: readonly FoldCounters[]): FoldCounters {
  const sumOf = (name: keyof FoldCounters) => list.reduce((sum, each) => sum + each[name], 0)
  return {
    read: sumOf('read'),
    applied: sumOf('applied'),
    duplicate: sumOf('duplicate'),
    late: sumOf('late'),
    amended: sumOf('amended'),
    afterClose: sumOf('afterClose'),
    capped: sumOf('capped'),
    poison: sumOf('poison'),
    buffered: sumOf('buffered'),
  }
}
