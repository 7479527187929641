/** `batch run`: one run of the batch, now, or the part of a shard in it. */
import { assert, type BackhaulError } from '../../../shared/runtime/errors.ts'
import { noFailpoints } from '../../../shared/runtime/failpoints.ts'
import { systemRandom } from '../../../shared/runtime/random.ts'
import type { AcceptedLoss, Problem } from '../../cut.ts'
import type { Lag } from '../../lag.ts'
import { retryWithin } from '../../passing.ts'
import { RAW_TOPICS } from '../../raw-line.ts'
import type { RunReport } from '../../report.ts'
import type { RunOutcome } from '../../run.ts'
import type { Shard, ShardOutcome } from '../../shard.ts'
import type { Batch } from '../../start.ts'
import { type CommandArguments, usage } from '../arguments.ts'
import {
  type Command,
  type CommandContext,
  type CommandResult,
  EXIT,
  type ExitCode,
} from '../command.ts'
import { RUN_WAIT_MINUTES_MAX, SHARDS_WAIT_MINUTES } from '../limits.ts'
import { openBatch } from '../open-batch.ts'
import { isTooLarge, planText, refuseWithDryRun } from './run-plan.ts'
import { shardingOf } from './run-shards.ts'

const NOTHING_NEW = 'nothing new since the last run'
const ACCEPTED_LOSS = /^(?<topic>[a-z.]+)\/(?<partition>\d{1,5})$/

const MINUTE_MS = 60_000

export const batchRun: Command = {
  name: 'batch run',
  summary: 'write what the log has taken since the last run into files and tables',
  about: `Takes every partition from where the last run ended to the end of the log, within
BATCH_RUN_RECORDS_MAX and BATCH_RUN_BYTES_MAX. A run that was cut off is gone on with, and takes what
it had decided to take; --all runs again until everything is loaded that the log held when the command
began. Exits with 1 when a partition had to be left out, with 75 when it will be taken by the next run,
with 3 while another run is under way; --retry-for tries again what passes by itself.

Copies that reach behind the days that a run searches wait in the table late_events. A run decides about
them when one has waited for BATCH_LATE_AFTER_MS; --settle-late does so now.

Several processes may share the files of a run: each with --shard makes those of some partitions of one
cut, and --merge waits for them, makes what they have not made in time, loads the files and ends the run;
it takes no cut, so start it alone after the shards. With both, shard 0 merges. What the next run will
take does not make a merge exit with 75: another try of its job would be another run, without shards.

--dry-run writes nothing and takes no lease: it says which offsets the next run would take, what it would
write, and on BigQuery how many bytes its statements would read; it exits with 1 as well when one of them
would read more than BIGQUERY_MAXIMUM_MIB_BILLED allows.`,
  examples: [
    'batch run',
    'batch run --all --retry-for 30',
    'batch run --json',
    'batch run --dry-run',
    'batch run --settle-late',
    'batch run --accept-loss playback.events/3 --accept-loss playback.rejects/3',
    'batch run --shard 0/4',
    'batch run --shard 4 --merge',
    'batch run --merge --wait 120',
  ],
  options: {
    'dry-run': { doc: 'Say what the next run would do and read, and do nothing.' },
    all: { doc: 'Run until all is loaded that the log held when the command began.' },
    'retry-for': {
      value: 'MINUTES',
      doc: 'Try again what passes by itself, ever later, for so long; not at all by default.',
    },
    shard: {
      value: 'I/N',
      doc: 'Make the files of this shard of N, from 0; I is JOB_COMPLETION_INDEX when only N is given.',
    },
    merge: { doc: 'Wait for the shards of the run, and load what they have made.' },
    wait: {
      value: 'MINUTES',
      doc: `How long --merge waits for the shards before it makes what is missing; ${SHARDS_WAIT_MINUTES} by default.`,
    },
    'settle-late': {
      doc: 'Afterwards decide about all copies in late_events, however short they have waited.',
    },
    'accept-loss': {
      value: 'TOPIC/PARTITION',
      doc: 'Give up the records that expired before they were in files. May be repeated.',
      isList: true,
    },
  },
  positionals: [],
  async run({ stores, clock, progress, signal }, given) {
    const acceptLoss = given.list('accept-loss').map(acceptedLossOf)
    if (given.flag('dry-run')) return plannedResult({ stores, clock, progress }, given, acceptLoss)
    const { shard, mergeWithinMs } = shardingOf(given, stores.environment)
    const withinMs = MINUTE_MS * given.count('retry-for', { max: RUN_WAIT_MINUTES_MAX, default: 0 })
    const onRetry = ({ code }: BackhaulError) => progress.show(`${code}, trying again`)
    const retries = { clock, random: systemRandom, signal, withinMs, onRetry }
    let opened: Batch | undefined
    const batch = async () =>
      (opened ??= await openBatch({ stores, clock, failpoints: noFailpoints }))
    if (shard !== undefined) {
      const onRange = (done: number, ranges: number) => progress.show('ranges', done, ranges)
      const options = { shard, acceptLoss, signal, onRange }
      const made = await retryWithin(retries, async () => (await batch()).runShard(options))
      if (mergeWithinMs === undefined || made.outcome === 'idle') return shardResult(made, shard)
    }
    const startedAtMs = clock.nowMs()
    const isAll = given.flag('all')
    const runs: RunOutcome[] = []
    let last: RunOutcome
    do {
      last = await retryWithin(retries, async () =>
        (await batch()).run({
          acceptLoss,
          signal,
          settleLate: given.flag('settle-late'),
          ...(mergeWithinMs === undefined ? {} : { mergeWithinMs }),
          onStep: (step, done, steps) => progress.show(step, done, steps),
        }),
      )
      runs.push(last)
    } while (isAll && !hasReached(last, startedAtMs))
    return runsResult(runs, { isAll, isMerge: mergeWithinMs !== undefined, startedAtMs })
  },
}

async function plannedResult(
  { stores, clock, progress }: Pick<CommandContext, 'stores' | 'clock' | 'progress'>,
  given: CommandArguments,
  acceptLoss: readonly AcceptedLoss[],
): Promise<CommandResult> {
  refuseWithDryRun(given)
  progress.show('estimating')
  const batch = await openBatch({ stores, clock, failpoints: noFailpoints, isDryRun: true })
  const plan = await batch.plan(acceptLoss)
  return {
    exitCode: isTooLarge(plan) ? EXIT.failed : exitCodeOf(plan.problems),
    json: { outcome: 'planned', ...plan },
    text: [planText(plan), ...plan.problems.map(problemText)].join('\n'),
  }
}

interface RunsOf {
  readonly isAll: boolean
  readonly isMerge: boolean
  readonly startedAtMs: number
}

function runsResult(
  runs: readonly RunOutcome[],
  { isAll, isMerge, startedAtMs }: RunsOf,
): CommandResult {
  const last = runs.at(-1)
  assert(last !== undefined, 'a command has run')
  const problems = last.outcome === 'idle' ? last.problems : last.report.problems
  const lines = runs.map((done) => textOf(done, startedAtMs))
  const code = exitCodeOf(problems)
  // A second try would take another cut, of which the shards that are done make nothing.
  const isForNextJob = isMerge && last.outcome === 'completed' && code === EXIT.passing
  return {
    exitCode: isForNextJob ? EXIT.done : code,
    json: isAll ? { runs: runs.map(jsonOf) } : jsonOf(last),
    text: [...lines, ...problems.map(problemText)].join('\n'),
  }
}

function shardResult(done: ShardOutcome, { index, count }: Shard): CommandResult {
  if (done.outcome === 'idle')
    return {
      exitCode: exitCodeOf(done.problems),
      json: { ...done, shard: index, shards: count },
      text: [NOTHING_NEW, ...done.problems.map(problemText)].join('\n'),
    }
  const { run, ranges, made } = done
  return {
    exitCode: EXIT.done,
    json: { ...done, shard: index, shards: count },
    text: `shard ${index} of ${count} has made ${made} of its ${ranges} ranges of run ${run}; the others were there`,
  }
}

/** A loss stays until it is accepted; a partition that could not be read is taken by the next run. */
function exitCodeOf(problems: readonly Problem[]): ExitCode {
  if (problems.length === 0) return EXIT.done
  return problems.every(({ code }) => code === 'BATCH_PARTITION_UNREADABLE')
    ? EXIT.passing
    : EXIT.failed
}

/** Whether all is loaded that the log held at `startedAtMs`, but for partitions that are left out. */
function hasReached(done: RunOutcome, startedAtMs: number): boolean {
  if (done.outcome === 'idle') return true
  return done.report.cutAtMs >= startedAtMs && !done.report.isCutShort
}

function jsonOf(done: RunOutcome): object {
  return done.outcome === 'idle' ? done : { outcome: done.outcome, ...done.report }
}

function acceptedLossOf(text: string): AcceptedLoss {
  const { topic, partition } = ACCEPTED_LOSS.exec(text)?.groups ?? {}
  const known = RAW_TOPICS.find((one) => one === topic)
  if (known === undefined)
    throw usage(`--accept-loss to be one of ${RAW_TOPICS.join(', ')} and /<partition>`, text)
  return { topic: known, partition: Number(partition) }
}

function textOf(done: RunOutcome, startedAtMs: number): string {
  return done.outcome === 'idle' ? NOTHING_NEW : runText(done.report, startedAtMs)
}

function runText({ run, cutAtMs, topics, lag }: RunReport, startedAtMs: number): string {
  const lines = topics.map(
    ({ topic, counts, files }) =>
      `  ${topic}: ${counts.records} records, ${counts.rows} rows, ${files} files`,
  )
  const cutOff = `, which was cut off before; what came after ${new Date(cutAtMs).toISOString()} is for the next`
  return [
    `run ${run} is complete${cutAtMs < startedAtMs ? cutOff : ''}`,
    ...lines,
    ...(lag === undefined ? [] : lagLines(lag)),
  ].join('\n')
}

function lagLines({ recordsOfOne, runs, ageMs, isNearExpiry }: Lag): string[] {
  const others = runs - 1
  const more = others === 1 ? 'one more run' : `${others} more runs`
  return [
    ...(others > 0 ? [`  a partition had ${recordsOfOne} records waiting: ${more} at least`] : []),
    ...(isNearExpiry
      ? [
          `  events waited for up to ${Math.round((ageMs ?? 0) / MINUTE_MS)} minutes; the log forgets them soon`,
        ]
      : []),
  ]
}

function problemText({ topic, partition, message }: Problem): string {
  return `left out: ${topic}/${partition}: ${message}`
}
