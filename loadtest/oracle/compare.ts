/** Compares rows with the oracle to the integer and says what differs, one line a difference. */
import { isDeepStrictEqual } from 'node:util'

import { COUNTER_NAMES, type MinuteAggregates } from '../../shared/qoe/aggregates.ts'
import type { FoldCounters } from '../../shared/qoe/fold.ts'
import {
  type FoldException,
  type PositionRow,
  POSITIONS_PER_ROW,
  type SessionRow,
} from '../../shared/speed/rows.ts'
import { mergeKeys } from './merge-minutes.ts'
import type { OracleResult, OracleSession } from './oracle.ts'

type Minutes = ReadonlyMap<string, MinuteAggregates>

/**
 * Minutes by `cut|key|minuteStartMs`. Where the oracle saw more keys than are kept, which keys went to
 * `other` depends on the order of arrival: sums over all keys are compared, and the number of keys.
 */
export function compareMinutes(
  actual: Minutes,
  { minutes, overflowed }: Pick<OracleResult, 'minutes' | 'overflowed'>,
  keysPerCutMinuteMax: number,
): string[] {
  const differences: string[] = []
  const isOverflowed = (id: string) => overflowed.has(cutAndMinute(id))
  for (const id of new Set([...actual.keys(), ...minutes.keys()])) {
    if (isOverflowed(id)) continue
    differences.push(...compareMinute(id, actual.get(id), minutes.get(id)))
  }
  for (const group of overflowed) {
    const inGroup = (map: Minutes) =>
      [...map].filter(([id]) => cutAndMinute(id) === group).map(([, aggregates]) => aggregates)
    const kept = inGroup(actual)
    differences.push(
      ...compareMinute(`${group} (all keys)`, mergeKeys(kept), mergeKeys(inGroup(minutes))),
    )
    if (kept.length > keysPerCutMinuteMax + 1) {
      differences.push(
        `minute ${group}: ${kept.length} keys, at most ${keysPerCutMinuteMax} and other`,
      )
    }
  }
  return differences
}

function cutAndMinute(id: string): string {
  return `${id.slice(0, id.indexOf('|'))}|${id.slice(id.lastIndexOf('|') + 1)}`
}

function compareMinute(
  id: string,
  actual: MinuteAggregates | undefined,
  expected: MinuteAggregates | undefined,
): string[] {
  if (actual === undefined && expected === undefined) return []
  const names = [
    ...COUNTER_NAMES,
    'bitsPlayed',
    'startupHistogram',
    'concurrentPlays',
    'concurrentViewers',
    'viewerRegisters',
  ] as const
  return names.flatMap((name) => {
    const empty = emptyOf(actual?.[name] ?? expected?.[name])
    const left = actual?.[name] ?? empty
    const right = expected?.[name] ?? empty
    return isDeepStrictEqual(left, right)
      ? []
      : [`minute ${id}: ${name} is ${print(left)}, expected ${print(right)}`]
  })
}

/** What a row that does not exist counts as. */
function emptyOf(value: unknown): unknown {
  if (typeof value === 'bigint') return 0n
  if (typeof value === 'number') return 0
  if (!Array.isArray(value)) return undefined
  const flat = value.every((entry) => typeof entry === 'number')
  return flat && value.length > 0 ? value.map(() => 0) : []
}

/** Incarnations of a sessionId are compared in their order, whatever numbers they bear. */
export function compareSessions(
  actual: readonly SessionRow[],
  expected: readonly OracleSession[],
): string[] {
  const ids = new Set([...actual, ...expected].map(({ sessionId }) => sessionId))
  return [...ids].flatMap((id) => {
    const rows = actual
      .filter(({ sessionId }) => sessionId === id)
      .toSorted((a, b) => a.incarnation - b.incarnation)
    const sessions = expected.filter(({ sessionId }) => sessionId === id)
    if (rows.length !== sessions.length) {
      return [`session ${id}: ${rows.length} incarnations, expected ${sessions.length}`]
    }
    return sessions.flatMap((session, index) => compareSession(rows[index], session))
  })
}

function compareSession(actual: SessionRow | undefined, expected: OracleSession): string[] {
  const id = `session ${expected.sessionId}#${expected.incarnation}`
  if (actual === undefined) return [`${id}: no row`]
  const differences: string[] = []
  const compare = (name: string, left: unknown, right: unknown) => {
    if (isDeepStrictEqual(left, right)) return
    differences.push(`${id}: ${name} is ${print(left)}, expected ${print(right)}`)
  }
  compare('closed', actual.closed, expected.closed)
  compare('quality', actual.quality, expected.quality)
  compare('number of parts', actual.parts.length, expected.parts.length)
  for (const [index, part] of expected.parts.entries()) {
    for (const name of Object.keys(part) as (keyof typeof part)[]) {
      compare(`part ${part.part} ${name}`, actual.parts[index]?.[name], part[name])
    }
  }
  if (expected.parts.length === 0) return differences
  compare('positionCount', actual.positionCount, expected.positions.length)
  compare('clockOffsetMs', actual.clockOffsetMs, expected.clockOffsetMs)
  compare('lastLoggedAtMs', actual.lastLoggedAtMs, expected.lastLoggedAtMs)
  compare('context', JSON.parse(actual.contextJson), expected.context)
  return differences
}

/** The timeline's rows in order: every one but the last full, pointing to just the frames expected. */
export function comparePositions(
  actual: readonly PositionRow[],
  sessions: readonly SessionRow[],
  expected: readonly OracleSession[],
): string[] {
  return expected.flatMap((session) => {
    const incarnations = sessions
      .filter(({ sessionId }) => sessionId === session.sessionId)
      .map(({ incarnation }) => incarnation)
      .toSorted((a, b) => a - b)
    const rows = actual
      .filter(({ sessionId }) => sessionId === session.sessionId)
      .filter(({ incarnation }) => incarnation === incarnations[session.incarnation])
      .toSorted((a, b) => a.rowNumber - b.rowNumber)
    const offsets = rows.flatMap(({ positions }) => positions.map(({ offset }) => offset))
    const wellFormed = rows.every(
      ({ rowNumber, positions }, index) =>
        rowNumber === index &&
        (index === rows.length - 1 || positions.length === POSITIONS_PER_ROW),
    )
    if (wellFormed && isDeepStrictEqual(offsets, session.positions)) return []
    const id = `session ${session.sessionId}#${session.incarnation}`
    return [`${id}: positions are ${print(offsets)}, expected ${print(session.positions)}`]
  })
}

export function compareExceptions(
  actual: readonly FoldException[],
  expected: readonly FoldException[],
): string[] {
  const left = new Set(actual.map(printException))
  const right = new Set(expected.map(printException))
  return [
    ...[...left].filter((one) => !right.has(one)).map((one) => `exception ${one}: not expected`),
    ...[...right].filter((one) => !left.has(one)).map((one) => `exception ${one}: missing`),
  ]
}

function printException({
  sessionId,
  seq,
  partition,
  offset,
  reason,
  type,
  forgotten,
}: FoldException): string {
  const edge = forgotten ? ' forgotten' : ''
  return `${sessionId} ${seq} at ${partition}/${offset} ${type} ${reason}${edge}`
}

export function compareCounters(actual: FoldCounters, expected: FoldCounters): string[] {
  return (Object.keys(expected) as (keyof FoldCounters)[]).flatMap((name) =>
    actual[name] === expected[name]
      ? []
      : [`counter ${name} is ${actual[name]}, expected ${expected[name]}`],
  )
}

/** `read` is the sum of what became of the events read. */
export function checkCounterEquation(counters: FoldCounters): string[] {
  const { read, ...fates } = counters
  const sum = Object.values(fates).reduce((total, count) => total + count, 0)
  return read === sum ? [] : [`counters: read ${read}, but its fates add up to ${sum}`]
}

function print(value: unknown): string {
  return (
    JSON.stringify(value, (_, inner: unknown) =>
      typeof inner === 'bigint' ? `${inner}` : inner,
    ) ?? 'absent'
  )
}
