/**
 * One seeded run of the fold against the oracle: an adversarial log, with rows taken and
 * acknowledged and restarts from snapshots in between. A failing log is shrunk to few records.
 */
import { decodeRecord, type DecodedRecord } from '../../shared/log/record.ts'
import { parseCut } from '../../shared/qoe/cuts.ts'
import type { FoldLimits, FoldStatus } from '../../shared/qoe/fold.ts'
import { type Random, seededRandom } from '../../shared/runtime/random.ts'
import type { SessionRow } from '../../shared/speed/rows.ts'
import { adversarialLog } from './adversarial-log.ts'
import {
  checkCounterEquation,
  compareCounters,
  compareExceptions,
  compareMinutes,
  comparePositions,
  compareSessions,
} from './compare.ts'
import { computeOracle, type OracleResult } from './oracle.ts'
import { readRecord } from './read-record.ts'
import { FoldRunner, type FoldRun, type Interruption, type WriteFate } from './run-fold.ts'
import { toLogRecord } from './to-log-record.ts'

const CUTS = ['total', 'content', 'cdn', 'deviceType', 'cdn+content'].map(parseCut)
const PARTITION = 5

export interface Finding {
  readonly seed: number
  readonly records: readonly DecodedRecord[]
  readonly differences: readonly string[]
}

/** The finding of one seed, shrunk, or `undefined` when the fold and the oracle agree. */
export function runSeed(seed: number, recordCount: number): Finding | undefined {
  const { records, limits } = adversarialLog(seed, recordCount)
  const differencesOf = (log: readonly DecodedRecord[]) => compareRun(seed, log, limits)
  if (differencesOf(records).length === 0) return undefined
  const smallest = shrink(records, (log) => differencesOf(log).length > 0)
  return { seed, records: smallest, differences: differencesOf(smallest) }
}

export function describeFinding({ seed, records, differences }: Finding): string {
  const lines = records.map((record) => JSON.stringify(record))
  return [`seed ${seed}, shrunk to ${records.length} records:`, ...lines, ...differences].join('\n')
}

/** Also used to see that the seeds reach what they are meant to reach. */
export function oracleOfSeed(seed: number, recordCount: number): OracleResult {
  const { records, limits } = adversarialLog(seed, recordCount)
  return oracleOf(records, limits)
}

function oracleOf(records: readonly DecodedRecord[], limits: FoldLimits): OracleResult {
  return computeOracle({ partitions: [{ partition: PARTITION, records }], limits, cuts: CUTS })
}

/**
 * Runs any log; the seed decides when rows are written and when the fold restarts. The records go
 * through the log's bytes: the product reads them its own way, the oracle with `JSON.parse` alone.
 */
export function compareRun(
  seed: number,
  log: readonly DecodedRecord[],
  limits: FoldLimits,
): string[] {
  const raw = log.map(toLogRecord)
  const records = raw.map(readRecord)
  const oracle = oracleOf(records, limits)
  const fold = runFold(seed, raw.map(decodeRecord), limits)
  const { counters } = fold.status
  return [
    ...compareMinutes(fold.minutes, oracle, limits.keysPerCutMinuteMax),
    ...compareSessions(fold.sessions, oracle.sessions),
    ...comparePositions(fold.positions, fold.sessions, oracle.sessions),
    ...compareClosed(fold),
    ...compareExceptions(fold.exceptions, oracle.exceptions),
    ...compareCounters(counters, oracle.counters),
    ...checkCounterEquation(counters),
    ...compareStatus(fold.status, records, limits),
    ...fold.faults,
  ]
}

function runFold(seed: number, records: readonly DecodedRecord[], limits: FoldLimits): FoldRun {
  const runner = new FoldRunner({
    origin: { view: 'oracle', topicEpoch: 1, partition: PARTITION, generation: 0 },
    limits,
    cuts: CUTS,
    rowRetentionMs: 90 * 86_400_000,
  })
  const random = seededRandom(seed + 1)
  const plan = planOf(random)
  for (const record of records) {
    runner.apply(record)
    for (const interruption of drawInterruptions(random, plan)) runner.interrupt(interruption)
  }
  return runner.finish()
}

/** One in how many records each kind of interruption comes after. */
interface Plan {
  readonly writeRows: number
  readonly fates: readonly WriteFate[]
  readonly checkpoint: number
  readonly restart: number
}

/** From stores that answer at once to ones that hardly ever do. */
function planOf(random: Random): Plan {
  return {
    writeRows: pick(random, [1, 5, 30]),
    fates: pick<readonly WriteFate[]>(random, [
      ['acknowledged', 'acknowledged', 'unanswered', 'unsent'],
      ['acknowledged', ...Array.from({ length: 30 }, () => 'unsent' as const)],
    ]),
    checkpoint: pick(random, [1, 2, 6]),
    restart: pick(random, [8, 20]),
  }
}

function pick<T>(random: Random, choices: readonly [T, ...T[]]): T {
  return choices[random.below(choices.length)] ?? choices[0]
}

function drawInterruptions(random: Random, plan: Plan): Interruption[] {
  const interruptions: Interruption[] = []
  for (const queue of ['narrow', 'wide', 'session', 'sessionUrgent'] as const) {
    if (random.below(plan.writeRows) > 0) continue
    const fate = plan.fates[random.below(plan.fates.length)] ?? 'acknowledged'
    interruptions.push({ kind: 'writeRows', queue, fate })
  }
  if (random.below(8) === 0) interruptions.push({ kind: 'takeOutputs' })
  if (random.below(plan.checkpoint) === 0) interruptions.push({ kind: 'checkpoint' })
  if (random.below(40) === 0) interruptions.push({ kind: 'abandonCheckpoint' })
  if (random.below(plan.restart) === 0) interruptions.push({ kind: 'restart' })
  return interruptions
}

/** What the log alone says of the fold's status. */
function compareStatus(
  status: FoldStatus,
  records: readonly DecodedRecord[],
  { outOfOrdernessMs }: FoldLimits,
): string[] {
  const lastLoggedAtMs = Math.max(...records.map(({ loggedAtMs }) => loggedAtMs))
  const expected = {
    nextOffset: (records.at(-1)?.offset ?? -1) + 1,
    lastLoggedAtMs,
    watermarkMs: lastLoggedAtMs - outOfOrdernessMs,
    ticks: records.filter(({ kind }) => kind === 'tick').length,
    receivedAtClamped: records.filter((one) => one.kind === 'frame' && one.receivedAtClamped)
      .length,
  }
  return (Object.keys(expected) as (keyof typeof expected)[])
    .filter((name) => records.length > 0 && status[name] !== expected[name])
    .map((name) => `status ${name} is ${status[name]}, expected ${expected[name]}`)
}

/** What was last put out of a closed session is its last row, as it stands in JSON. */
function compareClosed({ closed, sessions }: FoldRun): string[] {
  const idOf = (row: SessionRow) => `${row.sessionId}#${row.incarnation}`
  const textOf = (row: SessionRow | undefined) =>
    JSON.stringify(row, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value))
  const last = new Map(closed.map(({ row }) => [idOf(row), row]))
  return sessions
    .filter((row) => row.closed && textOf(last.get(idOf(row))) !== textOf(row))
    .map((row) => `session ${idOf(row)}: put out as ${textOf(last.get(idOf(row)))}`)
}

/** Removes records, many at first, then one by one, as long as the log still fails. */
function shrink(
  records: readonly DecodedRecord[],
  fails: (records: readonly DecodedRecord[]) => boolean,
): readonly DecodedRecord[] {
  let smallest = records
  for (
    let size = Math.ceil(records.length / 2);
    size >= 1;
    size = size === 1 ? 0 : Math.ceil(size / 2)
  ) {
    for (let start = smallest.length - size; start >= 0; start -= size) {
      const candidate = smallest.toSpliced(start, size)
      if (fails(candidate)) smallest = candidate
    }
  }
  return smallest
}
