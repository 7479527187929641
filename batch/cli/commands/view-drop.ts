/** `view drop`: removes a view that is not served. */
import { findView } from '../../../shared/views/view-registry.ts'
import { dropView } from '../../views/drop.ts'
import { describedViews } from '../../views/known-views.ts'
import { type Command, EXIT } from '../command.ts'

export const viewDrop: Command = {
  name: 'view drop',
  summary: 'delete the rows and checkpoints of a view that is not active',
  about: `Deletes every row and checkpoint of the view. Refused for the active view, and while processors of
the view are at work: stop them first. Looks again at the end, for one that had just begun. Its id is
never used again; the same settings under another PROCESSOR_VIEW are another view. Safe to repeat.`,
  examples: ['view drop candidate', 'view drop 3f0c9a1be2d4 --json'],
  options: {},
  positionals: ['view'],
  async run({ stores, clock, progress, signal }, given) {
    const { settings } = stores
    const objects = await stores.objects()
    const views = await describedViews(objects, settings.described, { dropped: true })
    const dropped = await dropView(
      {
        objects,
        speed: await stores.speed('guest'),
        clock,
        rowRetentionMs: settings.processor.rowRetentionMs,
        signal,
        onProgress: (sessions) => progress.show(`sessions deleted: ${sessions}`),
      },
      findView(views, given.positional('view')),
    )
    const { view, sessions, checkpoints } = dropped
    return {
      exitCode: EXIT.done,
      json: dropped,
      text: `${view} is dropped: ${sessions} sessions and ${checkpoints} checkpoints deleted, with all its minutes.`,
    }
  },
}
