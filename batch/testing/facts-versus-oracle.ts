/**
 * Seeded adversarial logs, many in one warehouse, each as a partition of its own: what SQL makes of
 * them against what the oracle says, to the integer.
 */
import { isDeepStrictEqual } from 'node:util'

import { adversarialLog } from '../../loadtest/oracle/adversarial-log.ts'
import { compareMinutes } from '../../loadtest/oracle/compare.ts'
import {
  computeOracle,
  type OracleResult,
  type OracleSession,
} from '../../loadtest/oracle/oracle.ts'
import type { DecodedRecord } from '../../shared/log/record.ts'
import type { FoldLimits } from '../../shared/qoe/fold.ts'
import { CUTS, type PartitionLog, type SqlFacts, type SqlSession } from './facts-run.ts'

/** Logs that have the same limits, by partition; a partition's number is the log's seed. */
export interface LogGroup {
  readonly limits: FoldLimits
  readonly logs: readonly PartitionLog[]
}

/** Adversarial logs of the seeds, after which nothing waits any more. */
export function adversarialGroups(
  seeds: { readonly from: number; readonly to: number },
  recordCount: number,
): LogGroup[] {
  const groups = new Map<string, { limits: FoldLimits; logs: PartitionLog[] }>()
  for (let seed = seeds.from; seed < seeds.to; seed++) {
    const { records, limits } = adversarialLog(seed, recordCount)
    const id = JSON.stringify(limits)
    const group = groups.get(id) ?? { limits, logs: [] }
    groups.set(id, group)
    const renamed = records.map((record) => withSeedInSession(record, seed))
    group.logs.push({ partition: seed, records: [...renamed, drainingTick(records, limits)] })
  }
  return [...groups.values()]
}

function withSeedInSession(record: DecodedRecord, seed: number): DecodedRecord {
  if (record.kind !== 'frame') return record
  const sessionId = `${record.context.sessionId} of ${seed}`
  return { ...record, context: { ...record.context, sessionId } }
}

/** Events that wait for lower seqs are in the history and not yet in the live view: none may wait. */
function drainingTick(records: readonly DecodedRecord[], limits: FoldLimits): DecodedRecord {
  const last = records.at(-1)
  const loggedAtMs = last?.loggedAtMs ?? 0
  return {
    kind: 'tick',
    offset: (last?.offset ?? -1) + 1,
    loggedAtMs: loggedAtMs + limits.reorderMs + limits.outOfOrdernessMs + 1,
  }
}

/**
 * Whether exceptions say less than the fold knew: a frame carries a seq twice, and the fold forgot the
 * seq on the way. An exception names a frame, not a place in it, so that nobody can tell whether the
 * other copy was counted as repeated (`docs/decisions/0012-the-metrics-a-second-time.md`).
 */
function hidesRepeats({ logs }: LogGroup, { exceptions }: OracleResult): boolean {
  const frames = new Map(
    logs.flatMap(({ partition, records }) =>
      records.flatMap((record) =>
        record.kind === 'frame' ? [[`${partition} ${record.offset}`, record] as const] : [],
      ),
    ),
  )
  return exceptions.some(({ forgotten, partition, offset, seq }) => {
    const events = frames.get(`${partition} ${offset}`)?.events ?? []
    return forgotten && events.filter((event) => event.seq === seq).length > 1
  })
}

export function oracleOf({ limits, logs }: LogGroup): OracleResult {
  return computeOracle({ partitions: logs, limits, cuts: CUTS })
}

/** What differs, one line a difference. `late` is the live view's count and is not compared. */
export function compareFacts(facts: SqlFacts, oracle: OracleResult, group: LogGroup): string[] {
  const { minutes } = oracle
  const differences = [
    ...compareMinutes(facts.minutes, { minutes, overflowed: new Set() }, Number.MAX_SAFE_INTEGER),
    ...compareSessionFacts(facts.sessions, oracle.sessions, group.limits),
  ].filter((line) => !line.includes(': late is '))
  if (!hidesRepeats(group, oracle)) return differences
  return differences.filter((line) => !line.includes(': duplicates is '))
}

function compareSessionFacts(
  actual: readonly SqlSession[],
  oracle: readonly OracleSession[],
  limits: FoldLimits,
): string[] {
  // An incarnation of which nothing was applied has no part, and no row.
  const expected = oracle.filter(({ parts }) => parts.length > 0)
  const found = new Map(actual.map((session) => [sessionKey(session), session]))
  const extra = new Set(found.keys())
  for (const one of expected) extra.delete(sessionKey({ ...one, incarnation: one.firstOffset }))
  return [
    ...[...extra].map((key) => `session ${key}: not expected`),
    ...expected.flatMap((one) => {
      const key = sessionKey({ ...one, incarnation: one.firstOffset })
      return compareSession(key, found.get(key), one, limits)
    }),
  ]
}

function sessionKey({ sessionId, incarnation }: Pick<SqlSession, 'sessionId' | 'incarnation'>) {
  return `${sessionId}#${incarnation}`
}

function compareSession(
  key: string,
  actual: SqlSession | undefined,
  expected: OracleSession,
  limits: FoldLimits,
): string[] {
  if (actual === undefined) return [`session ${key}: no row`]
  const { lost, duplicates, rejected, repairs } = expected.quality
  const { state, backwards, clamped } = repairs
  const terms = {
    closed: expected.closed,
    lost,
    duplicates,
    rejected,
    repairs: { state, backwards, clamped },
    clockOffsetMs: expected.clockOffsetMs,
    lastLoggedAtMs: expected.lastLoggedAtMs,
    parts: expected.parts,
  }
  const rows = { ...actual, parts: actual.parts.slice(-limits.partsPerSessionMax) }
  return (Object.keys(terms) as (keyof typeof terms)[]).flatMap((name) =>
    isDeepStrictEqual(rows[name], terms[name])
      ? []
      : [`session ${key}: ${name} is ${print(rows[name])}, expected ${print(terms[name])}`],
  )
}

function print(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'bigint' ? `${inner}` : inner,
  )
}
