/** Compares the history with its reference, one line a difference. */
import { isDeepStrictEqual } from 'node:util'

import { compareMinutes } from '../../loadtest/oracle/compare.ts'
import type { MinuteAggregates } from '../../shared/qoe/aggregates.ts'
import type { SqlFacts, SqlSession } from './facts-run.ts'
import type { HistoryReference, ReferenceSession } from './history-reference.ts'

export function compareHistoryFacts(facts: SqlFacts, reference: HistoryReference): string[] {
  const expected = reference.sessions.filter(({ parts }) => parts.length > 0)
  const found = new Map(facts.sessions.map((session) => [keyOf(session), session]))
  const count =
    facts.sessions.length === expected.length
      ? []
      : [`sessions: ${facts.sessions.length} of them, expected ${expected.length}`]
  const lostIsSimple = expected.every(({ closedOnce }) => closedOnce)
  const withoutArrival = (map: ReadonlyMap<string, MinuteAggregates>) =>
    new Map([...map].map(([id, minute]) => [id, withoutArrivalFacts(minute, lostIsSimple)]))
  return [
    ...count,
    ...expected.flatMap((one) => compareSession(found.get(keyOf(one)), one)),
    ...compareMinutes(
      withoutArrival(facts.minutes),
      { minutes: withoutArrival(reference.minutes), overflowed: new Set() },
      Number.MAX_SAFE_INTEGER,
    ),
    ...compareArrivals(facts, reference),
  ]
}

function keyOf({ sessionId, incarnation }: Pick<SqlSession, 'sessionId' | 'incarnation'>): string {
  return `${sessionId}#${incarnation}`
}

function compareSession(actual: SqlSession | undefined, expected: ReferenceSession): string[] {
  const id = `session ${keyOf(expected)}`
  if (actual === undefined) return [`${id}: no row`]
  const { closedOnce, lost, ...terms } = expected
  const compared = closedOnce ? { ...terms, lost } : terms
  return (Object.keys(compared) as (keyof typeof terms)[]).flatMap((name) =>
    isDeepStrictEqual(actual[name], expected[name])
      ? []
      : [`${id}: ${name} is ${print(actual[name])}, expected ${print(expected[name])}`],
  )
}

function withoutArrivalFacts(minute: MinuteAggregates, keepLost: boolean): MinuteAggregates {
  return {
    ...minute,
    frames: 0,
    bytes: 0,
    duplicates: 0,
    late: 0,
    lost: keepLost ? minute.lost : 0,
  }
}

function compareArrivals({ minutes }: SqlFacts, { arrivals }: HistoryReference): string[] {
  const actual = new Map(
    [...minutes].flatMap(([id, { frames, bytes, duplicates }]) =>
      id.startsWith('total|') && frames > 0
        ? [[Number(id.slice(id.lastIndexOf('|') + 1)), { frames, bytes, duplicates }] as const]
        : [],
    ),
  )
  return [...new Set([...actual.keys(), ...arrivals.keys()])].flatMap((minuteMs) =>
    isDeepStrictEqual(actual.get(minuteMs), arrivals.get(minuteMs))
      ? []
      : [
          `arrivals ${minuteMs}: ${print(actual.get(minuteMs))}, expected ${print(arrivals.get(minuteMs))}`,
        ],
  )
}

function print(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'bigint' ? `${inner}` : inner,
  )
}
