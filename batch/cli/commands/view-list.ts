/** `view list`: which views there are, how far each is, and which one is served. */
import { describedViews, knownViews, type KnownView } from '../../views/known-views.ts'
import { type Command, EXIT } from '../command.ts'

export const viewList: Command = {
  name: 'view list',
  summary: 'show the live views, how far each is, and which is active',
  about: `A view is one way of folding the log: rows and checkpoints of its own for its cuts and limits. The
active one is served. Lag is against the active one; a negative one is ahead of it. Rows are the minute
rows of the last day. A view of a replay stands still.`,
  examples: ['view list', 'view list --json'],
  options: {},
  positionals: [],
  async run({ stores }) {
    const objects = await stores.objects()
    const described = await describedViews(objects, stores.settings.described)
    const views = await knownViews({ objects, speed: await stores.speed('reader') }, described)
    return { exitCode: EXIT.done, json: { views }, text: textOf(views) }
  },
}

function textOf(views: readonly KnownView[]): string {
  if (views.length === 0) return 'No processor has begun a view.'
  return views
    .map(({ view, name, kind, progress, lag, minuteRows }) => {
      const applied = progress.map(({ applied }) => applied).join(' ')
      const behind = `${lag.records} records and ${lag.ms ?? 'unknown'} ms`
      const title = name === '' || name === view ? view : `${view} (${name})`
      const lagging = kind === 'active' ? '' : `, lag ${behind}`
      return `${kind.padEnd(6)}  ${title}: applied ${applied || 'nothing'}${lagging}, ${minuteRows} minute rows`
    })
    .join('\n')
}
