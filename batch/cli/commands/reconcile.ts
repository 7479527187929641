/** `reconcile`: whether the live view and the history agree. */
import { reconcile as compare } from '../../reconcile/reconcile.ts'
import { reconciledView } from '../../reconcile/reconciled-view.ts'
import { reportText } from '../../reconcile/report.ts'
import { createBatchTelemetry } from '../../telemetry.ts'
import { usage } from '../arguments.ts'
import { type Command, EXIT } from '../command.ts'

export const reconcile: Command = {
  name: 'reconcile',
  summary: 'prove that the live view and the history agree, or name what differs',
  about: `Compares every minute of every cut and every session, as of the cut of the last run, by
default of the day before it. Exits with 0 when all is equal or every difference follows from
exactly the events that the live view set aside, with 1 on a defect or when nothing could be compared.`,
  examples: [
    'reconcile',
    'reconcile --from 2026-03-01 --to 2026-03-02 --json',
    'reconcile --repair',
  ],
  options: {
    from: { value: 'TIME', doc: 'First minute, UTC: 2026-03-01 or 2026-03-01T12:30Z.' },
    to: { value: 'TIME', doc: 'End of the last minute.' },
    view: { value: 'VIEW', doc: 'View to compare, instead of the one that is served.' },
    repair: { doc: 'Write the live rows that are lost or wrong anew from the history.' },
  },
  positionals: [],
  async run({ stores, clock, progress, signal }, given) {
    const fromMs = given.timeMs('from')
    const toMs = given.timeMs('to')
    if (fromMs !== undefined && toMs !== undefined && fromMs >= toMs)
      throw usage('--from before --to', `${given.text('from')} and ${given.text('to')}`)
    const repair = given.flag('repair')
    const { common, processor, batch, limits, cuts, described } = stores.settings
    const objects = await stores.objects()
    const view = await reconciledView(objects, described, given.text('view'))
    progress.show('comparing')
    const report = await compare(
      {
        log: await stores.log('reader'),
        speed: await stores.speed(repair ? 'guest' : 'reader'),
        warehouse: await stores.warehouse(),
        objects,
        clock,
        telemetry: createBatchTelemetry(stores.telemetry),
        limits,
        cuts,
        view,
        partitions: common.partitions,
        factBuckets: batch.factBuckets,
        rowRetentionMs: processor.rowRetentionMs,
        leaseMs: batch.leaseMs,
        holder: stores.holder,
        signal,
        onProgress: (what, done, total) => progress.show(what, done, total),
      },
      {
        ...(fromMs === undefined ? {} : { fromMs }),
        ...(toMs === undefined ? {} : { toMs }),
        repair,
      },
    )
    const agrees = report.verdict === 'equal' || report.verdict === 'explained'
    return {
      exitCode: agrees ? EXIT.done : EXIT.failed,
      json: report,
      text: reportText(report),
    }
  },
}
