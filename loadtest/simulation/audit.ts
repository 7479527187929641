/**
 * Whether a partition has in the store what it says: each class of rows, up to the offset that its
 * progress names for it. Rows may be further by then, so a counter must be at least what the oracle
 * says of the log up to there.
 */
import { TOPICS } from '../../shared/log/topics.ts'
import { COUNTER_NAMES, type MinuteAggregates } from '../../shared/qoe/aggregates.ts'
import type { PartitionRow } from '../../shared/speed/rows.ts'
import { mergeKeys } from '../oracle/merge-minutes.ts'
import { computeOracle, type OracleResult } from '../oracle/oracle.ts'
import type { Finished } from './verdict.ts'

export function falseClaims(finished: Finished, row: PartitionRow): string[] {
  // Mostly all classes of rows have come to the same offset.
  const known = new Map<number, OracleResult>()
  const upTo: OracleUpTo = (offset) => {
    const result = known.get(offset) ?? oracleUpTo(finished, row.partition, offset)
    known.set(offset, result)
    return result
  }
  const claims = [
    ...minutesBehind(finished, row, { width: 'narrow', upTo }),
    ...minutesBehind(finished, row, { width: 'wide', upTo }),
    ...sessionsBehind(finished, row, upTo),
  ]
  return claims.map(
    (what) => `partition ${row.partition} says that it has what it has not: ${what}`,
  )
}

type OracleUpTo = (offset: number) => OracleResult

function oracleUpTo({ log, limits, cuts }: Finished, partition: number, offset: number) {
  const records = log.records(TOPICS.events, partition).filter((record) => record.offset < offset)
  return computeOracle({ partitions: [{ partition, records }], limits, cuts })
}

function minutesBehind(
  finished: Finished,
  { partition, generation, narrowOffset, wideOffset }: PartitionRow,
  { width, upTo }: { readonly width: 'narrow' | 'wide'; readonly upTo: OracleUpTo },
): string[] {
  const offset = width === 'narrow' ? narrowOffset : wideOffset
  const { minutes } = upTo(offset)
  const stored = [...finished.speed.minutes.values()].filter(
    (row) => row.partition === partition && row.generation === generation,
  )
  return finished.cuts
    .filter((cut) => cut.width === width)
    .flatMap(({ id }) => {
      const expected = sumsByMinute(
        [...minutes]
          .filter(([name]) => name.startsWith(`${id}|`))
          .map(([name, aggregates]) => {
            return { minuteStartMs: Number(name.slice(name.lastIndexOf('|') + 1)), aggregates }
          }),
      )
      const found = sumsByMinute(stored.filter((row) => row.cut === id))
      return [...expected].flatMap(([minute, sums]) =>
        COUNTER_NAMES.filter((name) => (found.get(minute)?.[name] ?? 0) < sums[name]).map(
          (name) => `${name} of ${id} at ${minute} below ${offset}`,
        ),
      )
    })
}

function sumsByMinute(
  rows: readonly { readonly minuteStartMs: number; readonly aggregates: MinuteAggregates }[],
): Map<number, MinuteAggregates> {
  const sums = new Map<number, MinuteAggregates>()
  for (const [minute, group] of Map.groupBy(rows, ({ minuteStartMs }) => minuteStartMs)) {
    const sum = mergeKeys(group.map(({ aggregates }) => aggregates))
    if (sum !== undefined) sums.set(minute, sum)
  }
  return sums
}

function sessionsBehind(
  finished: Finished,
  { partition, generation, sessionOffset }: PartitionRow,
  upTo: OracleUpTo,
): string[] {
  const stored = [...finished.speed.sessions.values()].filter(
    (row) => row.partition === partition && row.generation === generation,
  )
  const eventsOf = (sessionId: string, firstOffset: number) =>
    stored
      .filter((row) => row.sessionId === sessionId && row.incarnation === firstOffset)
      .flatMap(({ parts }) => parts)
      .reduce((sum, part) => sum + part.events, 0)
  // Of a session with more parts than are kept the oldest are in no row any more.
  return upTo(sessionOffset)
    .sessions.filter(({ parts }) => parts.length < finished.limits.partsPerSessionMax)
    .filter(({ sessionId, firstOffset, parts }) => {
      const expected = parts.reduce((sum, part) => sum + part.events, 0)
      return eventsOf(sessionId, firstOffset) < expected
    })
    .map(({ sessionId }) => `events of ${sessionId} below ${sessionOffset}`)
}
