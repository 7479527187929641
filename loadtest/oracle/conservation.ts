/**
 * Conservation after a fault: what clients were promised against the log, and the log against the
 * rows. The result is a list of violations, empty when everything holds.
 */
import type { Cut } from '../../shared/qoe/cuts.ts'
import type { FoldCounters, FoldLimits } from '../../shared/qoe/fold.ts'
import type {
  FoldException,
  MinuteRow,
  PositionRow,
  RowOrigin,
  SessionRow,
} from '../../shared/speed/rows.ts'
import {
  checkCounterEquation,
  compareCounters,
  compareExceptions,
  compareMinutes,
  comparePositions,
  compareSessions,
} from './compare.ts'
import { mergeMinutes } from './merge-minutes.ts'
import { computeOracle, type OraclePartition } from './oracle.ts'
import { readRecord } from './read-record.ts'

export interface EventIdentity {
  readonly sessionId: string
  readonly seq: number
}

export interface Violation {
  /**
   * `lost`: acknowledged and not in the log. `invented`: in the log and never sent. `unequal`: a
   * row or exception that is not what the log says. `unbalanced`: events read without a fate.
   */
  readonly kind: 'lost' | 'invented' | 'unequal' | 'unbalanced'
  readonly detail: string
}

/** Everything a client sent, and the part of it that it was told is durable or rejected. */
export interface Sent {
  readonly sent: Iterable<EventIdentity>
  readonly acknowledged: Iterable<EventIdentity>
}

export interface FinalRows {
  /** As stored: several generations and partitions may stand side by side. */
  readonly minutes: readonly MinuteRow[]
  readonly sessions: readonly SessionRow[]
  readonly positions?: readonly PositionRow[]
  readonly exceptions?: readonly FoldException[]
  /** Summed over partitions, of folds that read the log from its start. */
  readonly counters?: FoldCounters
}

/** C1 and C6: nothing acknowledged is missing from the log, nothing in the log was never sent. */
export function checkLog(
  { sent, acknowledged }: Sent,
  partitions: readonly OraclePartition[],
): Violation[] {
  const inLog = identitiesInLog(partitions)
  const sentIdentities = new Set([...sent].map(nameOf))
  const lost = [...new Set([...acknowledged].map(nameOf))].filter((name) => !inLog.has(name))
  const invented = [...inLog].filter((name) => !sentIdentities.has(name))
  return [
    ...lost.map((detail) => ({ kind: 'lost', detail }) as const),
    ...invented.map((detail) => ({ kind: 'invented', detail }) as const),
  ]
}

/** C3 and C5: the rows are what the log says of itself, and every event read has a fate. */
export function checkRows(
  rows: FinalRows,
  log: {
    readonly partitions: readonly OraclePartition[]
    readonly limits: FoldLimits
    readonly cuts: readonly Cut[]
  },
): Violation[] {
  const oracle = computeOracle(log)
  const { counters, exceptions, positions } = rows
  const sessions = latestGeneration(rows.sessions)
  const unequal = [
    ...compareMinutes(latestMinutes(rows.minutes), oracle, log.limits.keysPerCutMinuteMax),
    ...compareSessions(sessions, oracle.sessions),
    ...(positions === undefined
      ? []
      : comparePositions(latestGeneration(positions), sessions, oracle.sessions)),
    ...(exceptions === undefined ? [] : compareExceptions(exceptions, oracle.exceptions)),
    ...(counters === undefined ? [] : compareCounters(counters, oracle.counters)),
  ]
  const unbalanced = checkCounterEquation(counters ?? oracle.counters)
  return [
    ...unequal.map((detail) => ({ kind: 'unequal', detail }) as const),
    ...unbalanced.map((detail) => ({ kind: 'unbalanced', detail }) as const),
  ]
}

function identitiesInLog(partitions: readonly OraclePartition[]): Set<string> {
  const names = new Set<string>()
  for (const { records } of partitions) {
    for (const record of records) {
      const frame = readRecord(record)
      if (frame.kind !== 'frame') continue
      const { sessionId } = frame.context
      for (const { seq } of frame.events) names.add(nameOf({ sessionId, seq }))
      for (const seq of frame.rejectedSeqs) names.add(nameOf({ sessionId, seq }))
    }
  }
  return names
}

function nameOf({ sessionId, seq }: EventIdentity): string {
  return `${sessionId} ${seq}`
}

/** As a reader does: of each partition the highest generation, then the partitions merged. */
function latestMinutes(rows: readonly MinuteRow[]) {
  const byPartition = Map.groupBy(latestGeneration(rows), ({ partition }) => partition)
  return mergeMinutes(
    [...byPartition.values()].map(
      (ofPartition) =>
        new Map(
          ofPartition.map((row) => [`${row.cut}|${row.key}|${row.minuteStartMs}`, row.aggregates]),
        ),
    ),
  )
}

function latestGeneration<Row extends RowOrigin>(rows: readonly Row[]): Row[] {
  const generations = new Map<number, number>()
  for (const { partition, generation } of rows) {
    generations.set(partition, Math.max(generations.get(partition) ?? 0, generation))
  }
  return rows.filter(({ partition, generation }) => generations.get(partition) === generation)
}
