/** `batch run`: one run of the batch, now. */
import { contentSourceOf } from '../../../shared/content/content-source.ts'
import { noFailpoints } from '../../../shared/runtime/failpoints.ts'
import type { AcceptedLoss, Problem } from '../../cut.ts'
import { RAW_TOPICS } from '../../raw-line.ts'
import type { RunReport } from '../../report.ts'
import type { RunOutcome } from '../../run.ts'
import { createBatch } from '../../start.ts'
import { usage } from '../arguments.ts'
import { type Command, EXIT } from '../command.ts'

const ACCEPTED_LOSS = /^(?<topic>[a-z.]+)\/(?<partition>\d{1,5})$/

export const batchRun: Command = {
  name: 'batch run',
  summary: 'write what the log has taken since the last run into files and tables',
  about: `Takes every partition from where the last run ended to the end of the log, within
BATCH_RUN_RECORDS_MAX and BATCH_RUN_BYTES_MAX. A run that was cut off is gone on with, and takes what
it had decided to take; --all runs again until everything is loaded that the log held when the command
began. Exits with 1 when a partition had to be left out, with 3 while another run is under way.`,
  examples: [
    'batch run',
    'batch run --all',
    'batch run --json',
    'batch run --accept-loss playback.events/3 --accept-loss playback.rejects/3',
  ],
  options: {
    all: { doc: 'Run until all is loaded that the log held when the command began.' },
    'accept-loss': {
      value: 'TOPIC/PARTITION',
      doc: 'Give up the records that expired before they were in files. May be repeated.',
      isList: true,
    },
  },
  positionals: [],
  async run({ stores, clock, progress, signal }, given) {
    const acceptLoss = given.list('accept-loss').map(acceptedLossOf)
    const { batch: config, limits, cuts } = stores.settings
    const log = await stores.log('reader')
    const content = contentSourceOf(stores.settings.common, log)
    const batch = createBatch({
      log,
      ...(content === undefined ? {} : { content }),
      objects: await stores.objects(),
      warehouse: await stores.warehouse(),
      clock,
      config,
      limits,
      cuts,
      telemetry: stores.telemetry,
      failpoints: noFailpoints,
      holder: stores.holder,
      temporaryFolder: stores.temporaryFolder,
    })
    const startedAtMs = clock.nowMs()
    const isAll = given.flag('all')
    const runs: RunOutcome[] = []
    let last: RunOutcome
    do {
      last = await batch.run({
        acceptLoss,
        signal,
        onStep: (step, done, steps) => progress.show(step, done, steps),
      })
      runs.push(last)
    } while (isAll && !hasReached(last, startedAtMs))
    const problems = last.outcome === 'idle' ? last.problems : last.report.problems
    const lines = runs.map((done) => textOf(done, startedAtMs))
    return {
      exitCode: problems.length === 0 ? EXIT.done : EXIT.failed,
      json: isAll ? { runs: runs.map(jsonOf) } : jsonOf(last),
      text: [...lines, ...problems.map(problemText)].join('\n'),
    }
  },
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
  return done.outcome === 'idle'
    ? 'nothing new since the last run'
    : runText(done.report, startedAtMs)
}

function runText({ run, cutAtMs, topics }: RunReport, startedAtMs: number): string {
  const lines = topics.map(
    ({ topic, counts, files }) =>
      `  ${topic}: ${counts.records} records, ${counts.rows} rows, ${files} files`,
  )
  const cutOff = `, which was cut off before; what came after ${new Date(cutAtMs).toISOString()} is for the next`
  return [`run ${run} is complete${cutAtMs < startedAtMs ? cutOff : ''}`, ...lines].join('\n')
}

function problemText({ topic, partition, message }: Problem): string {
  return `left out: ${topic}/${partition}: ${message}`
}
