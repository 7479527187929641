/** `backfill`: the tables of past days, rebuilt from the raw files. */
import { backfill as rebuild, type BackfillReport } from '../../backfill.ts'
import { createBatchTelemetry } from '../../telemetry.ts'
import { usage } from '../arguments.ts'
import { counted } from '../counted.ts'
import { type Command, EXIT } from '../command.ts'
import { cliErrors } from '../errors.ts'
import { BACKFILL_DAYS_MAX, BACKFILL_PARALLEL_MAX } from '../limits.ts'

const DAY_MS = 24 * 60 * 60_000

export const backfill: Command = {
  name: 'backfill',
  summary: 'rebuild the tables of past days from the raw files, and their metrics',
  about: `For after a definition has changed, or rows were lost or altered: loads every run of which raw
files are of these days, or of which a frame arrived in them, again from its raw files, and replaces
its rows; then computes every session and every minute that the days reach into. With --metrics-only
nothing is loaded: the metrics are computed of the events that the tables have. The log is not
needed. --parallel says how many raw files are made rows at a time, each in BATCH_FLATTEN_MEMORY_BYTES,
and with how many threads metrics are computed. May be repeated. Exits with 3 while a batch run is
under way.`,
  examples: [
    'backfill --from 2026-03-01 --to 2026-03-07',
    'backfill --from 2026-03-01 --to 2026-03-07 --parallel 4 --json',
    'backfill --from 2026-03-01 --to 2026-03-31 --metrics-only',
  ],
  options: {
    from: { value: 'DAY', doc: 'First day, UTC, such as 2026-03-01.' },
    to: { value: 'DAY', doc: 'Last day, inclusive.' },
    'metrics-only': {
      doc: 'Load nothing; compute the metrics anew, after their definition changed.',
    },
    parallel: { value: 'N', doc: `Workers, 1 to ${BACKFILL_PARALLEL_MAX}; 1 by default.` },
  },
  positionals: [],
  async run({ stores, clock, progress, signal }, given) {
    const range = {
      fromDate: given.requiredDate('from'),
      toDate: given.requiredDate('to'),
      metricsOnly: given.flag('metrics-only'),
    }
    refuseRange(range)
    const workers = given.count('parallel', { max: BACKFILL_PARALLEL_MAX, default: 1 })
    const { batch: config, limits, cuts } = stores.settings
    const report = await rebuild(
      {
        objects: await stores.objects(),
        warehouse: await stores.warehouse(workers),
        telemetry: createBatchTelemetry(stores.telemetry),
        temporaryFolder: stores.temporaryFolder,
        holder: stores.holder,
        onProgress: (what, done, total) => progress.show(what, done, total),
        clock,
        config,
        limits,
        cuts,
        signal,
        workers,
      },
      range,
    )
    if (report.run === undefined)
      throw cliErrors.create('CLI_NO_RUN', { expected: 'a completed run', received: 'none' })
    return { exitCode: EXIT.done, json: { ...range, workers, ...report }, text: textOf(report) }
  },
}

function textOf({ run, runs, days }: BackfillReport): string {
  return [
    ...runs.map(
      (one) =>
        `Run ${one.run}: ${counted(one.files, 'file')}, ${counted(one.events, 'event')} and ${one.copies} other copies.`,
    ),
    `${counted(days.length, 'day')} computed as of run ${run}: ${days.join(', ')}`,
  ].join('\n')
}

function refuseRange({ fromDate, toDate }: { readonly fromDate: string; readonly toDate: string }) {
  const days = (Date.parse(toDate) - Date.parse(fromDate)) / DAY_MS + 1
  if (days < 1) throw usage('--from not after --to', `${fromDate} and ${toDate}`)
  if (days > BACKFILL_DAYS_MAX)
    throw usage(`at most ${BACKFILL_DAYS_MAX} days from --from to --to`, `${days}`)
}
