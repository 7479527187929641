/** `batch run`: one run of the batch, now. */
import { noFailpoints } from '../../../shared/runtime/failpoints.ts'
import type { AcceptedLoss, Problem } from '../../cut.ts'
import { RAW_TOPICS } from '../../raw-line.ts'
import type { RunReport } from '../../report.ts'
import { createBatch } from '../../start.ts'
import { usage } from '../arguments.ts'
import { type Command, EXIT } from '../command.ts'

const ACCEPTED_LOSS = /^(?<topic>[a-z.]+)\/(?<partition>\d{1,5})$/

export const batchRun: Command = {
  name: 'batch run',
  summary: 'write what the log has taken since the last run into files and tables',
  about: `Takes every partition from where the last run ended to the end of the log, within
BATCH_RUN_RECORDS_MAX and BATCH_RUN_BYTES_MAX. A run that was cut off is gone on with. Exits with 1
when a partition had to be left out, with 3 while another run is under way.`,
  examples: [
    'batch run',
    'batch run --json',
    'batch run --accept-loss playback.events/3 --accept-loss playback.rejects/3',
  ],
  options: {
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
    const batch = createBatch({
      log: await stores.log('reader'),
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
    const done = await batch.run({ acceptLoss, signal, onStep: (step) => progress.show(step) })
    const problems = done.outcome === 'idle' ? done.problems : done.report.problems
    return {
      exitCode: problems.length === 0 ? EXIT.done : EXIT.failed,
      json: done.outcome === 'idle' ? done : { outcome: done.outcome, ...done.report },
      text: [
        done.outcome === 'idle' ? 'nothing new since the last run' : textOf(done.report),
        ...problems.map(problemText),
      ].join('\n'),
    }
  },
}

function acceptedLossOf(text: string): AcceptedLoss {
  const { topic, partition } = ACCEPTED_LOSS.exec(text)?.groups ?? {}
  const known = RAW_TOPICS.find((one) => one === topic)
  if (known === undefined)
    throw usage(`--accept-loss to be one of ${RAW_TOPICS.join(', ')} and /<partition>`, text)
  return { topic: known, partition: Number(partition) }
}

function textOf({ run, topics }: RunReport): string {
  const lines = topics.map(
    ({ topic, counts, files }) =>
      `  ${topic}: ${counts.records} records, ${counts.rows} rows, ${files} files`,
  )
  return [`run ${run} is complete`, ...lines].join('\n')
}

function problemText({ topic, partition, message }: Problem): string {
  return `left out: ${topic}/${partition}: ${message}`
}
