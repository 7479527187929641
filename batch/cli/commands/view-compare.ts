/** `view compare`: whether another view has the same minutes and sessions as the active one. */
import { readServedView } from '../../../shared/views/active-view.ts'
import { viewErrors } from '../../../shared/views/view-errors.ts'
import { findView } from '../../../shared/views/view-registry.ts'
import { compareViews, type ViewComparison } from '../../views/compare.ts'
import type { SessionsComparison } from '../../views/compare-sessions.ts'
import { describedViews } from '../../views/known-views.ts'
import { keepComparison } from '../../views/switch.ts'
import { usage } from '../arguments.ts'
import { type Command, EXIT } from '../command.ts'

export const viewCompare: Command = {
  name: 'view compare',
  summary: 'compare the minutes and sessions of a view with those of the active one',
  about: `Compares every minute of every cut that both have, by default of the last day, as of the offsets that
both have come to, and every session that began in that time. A row that later records changed is
pending, a minute or session in which a view began incomplete. Differences are named by cut, key and
minute, or by session; that settings differ is said beside them, and hides none. Exits with 0 when all that was compared is equal, with 1 when something differs or nothing
could be compared. The result is kept for view switch.`,
  examples: ['view compare candidate', 'view compare candidate --with 3f0c9a1be2d4 --json'],
  options: {
    with: { value: 'VIEW', doc: 'Compare with this one instead of the active view.' },
    from: { value: 'TIME', doc: 'First minute, UTC: 2026-03-01 or 2026-03-01T12:30Z.' },
    to: { value: 'TIME', doc: 'End of the last minute.' },
  },
  positionals: ['view'],
  async run({ stores, clock, progress }, given) {
    const { settings } = stores
    const [fromMs, toMs] = [given.timeMs('from'), given.timeMs('to')]
    if (fromMs !== undefined && toMs !== undefined && fromMs >= toMs)
      throw usage('--from before --to', `${given.text('from')} and ${given.text('to')}`)
    const objects = await stores.objects()
    const views = await describedViews(objects, settings.described)
    const right = findView(views, given.positional('view'))
    const other = given.text('with')
    const left = other === undefined ? await readServedView(objects) : findView(views, other)
    if (left === undefined || left.view === right.view)
      throw viewErrors.create('VIEW_UNKNOWN', {
        expected: 'another view to compare with: --with, or an active one',
        received: left === undefined ? 'none' : `${right.view} itself`,
      })
    const comparison = await compareViews(
      {
        speed: await stores.speed('reader'),
        partitions: settings.common.partitions,
        onProgress: (done, total) => progress.show('hours of cuts', done, total),
        onSessions: (sessions) => progress.show(`sessions looked at: ${sessions}`),
      },
      { left, right },
      { fromMs, toMs },
    )
    await keepComparison(objects, comparison, clock.nowMs())
    return {
      exitCode: comparison.verdict === 'equal' ? EXIT.done : EXIT.failed,
      json: comparison,
      text: textOf(comparison),
    }
  },
}

function textOf(comparison: ViewComparison): string {
  const { left, right, different, differences, sessions } = comparison
  const time = (ms: number) => new Date(ms).toISOString()
  const show = (value: unknown) =>
    JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? `${part}` : part))
  const verdicts = {
    equal: 'equal, to the integer',
    different: 'different',
    pending: 'nothing could be compared yet',
  }
  return [
    `${left} and ${right}, ${time(comparison.fromMs)} to ${time(comparison.toMs)}: ${verdicts[comparison.verdict]}.`,
    `minutes: ${countsOf(comparison)}`,
    `sessions: ${countsOf(sessions)}${sessions.hasMore ? ', and more that were not looked at' : ''}`,
    ...comparison.settings.map(
      ({ name, left: a, right: b }) => `  setting ${name}: ${show(a)} and ${show(b)}`,
    ),
    ...comparison.cutsOfOne.map((cut) => `  cut ${cut}: in one view only, not compared`),
    ...differences.map(
      ({ cut, key, minuteMs, left: a, right: b }) =>
        `  ${cut} ${key} ${time(minuteMs)}: ${show(a)} and ${show(b)}`,
    ),
    ...(differences.length < different
      ? [`  and ${different - differences.length} more minutes`]
      : []),
    ...sessions.differences.map(
      ({ sessionId, incarnation, left: a, right: b }) =>
        `  session ${sessionId} ${incarnation}: ${show(a) ?? 'none'} and ${show(b) ?? 'none'}`,
    ),
    ...(sessions.differences.length < sessions.different
      ? [`  and ${sessions.different - sessions.differences.length} more sessions`]
      : []),
  ].join('\n')
}

function countsOf(of: ViewComparison | SessionsComparison): string {
  const { compared, equal, different, pending, incomplete } = of
  return `${compared} compared, ${equal} equal, ${different} different, ${pending} pending, ${incomplete} incomplete`
}
