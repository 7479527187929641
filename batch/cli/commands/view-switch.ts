/** `view switch`: serves another view from now on. */
import { VIEW_SWITCH_LAG_MS_MAX } from '../../../shared/views/limits.ts'
import { findView, listViews } from '../../../shared/views/view-registry.ts'
import { switchView } from '../../views/switch.ts'
import { type Command, EXIT } from '../command.ts'

/** A day: more is said with --force. */
const LAG_MS_MAX = 86_400_000

export const viewSwitch: Command = {
  name: 'view switch',
  summary: 'serve another view from now on',
  about: `Makes the view the active one: servers answer from it, and its processors append ticks, alerts,
exceptions and closed sessions, within seconds and without a restart. An answer that is under way is
finished from the view before. Refused while the view lags behind the active one, and before the two
were compared (view compare); --force switches all the same. The former view stays, and can be
switched back to.`,
  examples: ['view switch candidate', 'view switch candidate --max-lag-ms 60000'],
  options: {
    'max-lag-ms': {
      value: 'MS',
      doc: `How far it may be behind, by the log's time: ${VIEW_SWITCH_LAG_MS_MAX} by default.`,
    },
    force: { doc: 'Switch however far it is and whether it was compared or not.' },
  },
  positionals: ['view'],
  async run({ stores, clock }, given) {
    const range = { max: LAG_MS_MAX, default: VIEW_SWITCH_LAG_MS_MAX }
    const lagMsMax = given.count('max-lag-ms', range)
    const objects = await stores.objects()
    const { view } = findView(await listViews(objects), given.positional('view'))
    const active = await switchView(
      { objects, speed: await stores.speed('reader'), clock },
      { view, force: given.flag('force'), lagMsMax },
    )
    const before = active.previous === undefined ? 'none' : active.previous
    return {
      exitCode: EXIT.done,
      json: active,
      text: `${active.view} is active; before it was ${before}.`,
    }
  },
}
