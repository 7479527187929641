/**
 * `helm/backhaul/files/default-view.json`: the view of default settings, by which the consumer group is
 * named whose lag scales the processor, and the settings that make another.
 */
import { foldLimitsOf, processorConfig } from '../../../processor/config.ts'
import { parseCut } from '../../../shared/qoe/cuts.ts'
import { viewId } from '../../../shared/qoe/view.ts'
import { environmentName, readConfig } from '../../../shared/runtime/config.ts'
import { backhaulConfig } from '../../../shared/runtime/settings.ts'

export function defaultView(): string {
  const readNothing = () => ''
  const { cuts } = readConfig(backhaulConfig, {}, readNothing)
  const limits = foldLimitsOf(readConfig(processorConfig, {}, readNothing))
  const fields = [...Object.keys(limits), 'view']
  const changedBy = [
    'BACKHAUL_CUTS',
    ...fields.map((field) => environmentName(processorConfig.prefix, field)),
  ]
  const view = viewId(cuts.map(parseCut), limits)
  return `${JSON.stringify({ view, changedBy }, undefined, 2)}\n`
}
