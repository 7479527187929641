/** `backfill`: sessions and minutes of past days, computed anew. */
import { backfill as recompute } from '../../backfill.ts'
import { usage } from '../arguments.ts'
import { type Command, EXIT } from '../command.ts'
import { cliErrors } from '../errors.ts'
import { BACKFILL_DAYS_MAX, BACKFILL_PARALLEL_MAX } from '../limits.ts'

const DAY_MS = 24 * 60 * 60_000

export const backfill: Command = {
  name: 'backfill',
  summary: 'compute the metrics of past days anew from the events in the tables',
  about: `For after the definition of a metric has changed: computes every session of which an event
arrived in the days, and every minute that these reach into, and replaces their rows in sessions,
session_minutes and qoe_minute. Day after day, because days share sessions and minutes; --parallel says
with how many threads. May be repeated. Exits with 3 while a batch run is under way.`,
  examples: [
    'backfill --from 2026-03-01 --to 2026-03-07',
    'backfill --from 2026-03-01 --to 2026-03-07 --parallel 4 --json',
  ],
  options: {
    from: { value: 'DAY', doc: 'First day of arrival, UTC, such as 2026-03-01.' },
    to: { value: 'DAY', doc: 'Last day, inclusive.' },
    parallel: { value: 'N', doc: `Threads, 1 to ${BACKFILL_PARALLEL_MAX}; 1 by default.` },
  },
  positionals: [],
  async run({ stores, clock, progress, signal }, given) {
    const range = { fromDate: given.requiredDate('from'), toDate: given.requiredDate('to') }
    refuseRange(range)
    const threads = given.count('parallel', { max: BACKFILL_PARALLEL_MAX, default: 1 })
    const { batch: config, limits, cuts } = stores.settings
    const report = await recompute(
      {
        objects: await stores.objects(),
        warehouse: await stores.warehouse(threads),
        clock,
        config,
        limits,
        cuts,
        holder: stores.holder,
        signal,
        onDay: (done, total) => progress.show('days', done, total),
      },
      range,
    )
    if (report.run === undefined)
      throw cliErrors.create('CLI_NO_RUN', { expected: 'a completed run', received: 'none' })
    return {
      exitCode: EXIT.done,
      json: { ...range, ...report },
      text: `${report.days.length} days computed as of run ${report.run}: ${report.days.join(', ')}`,
    }
  },
}

function refuseRange({ fromDate, toDate }: { readonly fromDate: string; readonly toDate: string }) {
  const days = (Date.parse(toDate) - Date.parse(fromDate)) / DAY_MS + 1
  if (days < 1) throw usage('--from not after --to', `${fromDate} and ${toDate}`)
  if (days > BACKFILL_DAYS_MAX)
    throw usage(`at most ${BACKFILL_DAYS_MAX} days from --from to --to`, `${days}`)
}
