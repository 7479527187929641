/** Makes another view the active one, when it has come as far and was compared. */
import { z } from 'zod'
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import type { Clock } from '../../shared/runtime/clock.ts'
import {
  activateView,
  formerViews,
  handoverOf,
  readActiveView,
  type ActiveView,
} from '../../shared/views/active-view.ts'
import { VIEW_SWITCH_LAG_MS_MAX } from '../../shared/views/limits.ts'
import { viewErrors } from '../../shared/views/view-errors.ts'
import { jsonBytes } from '../run-objects.ts'
import type { ViewComparison } from './compare.ts'
import { lagOf, type ViewsParts } from './known-views.ts'

const comparedSchema = z.object({
  format: z.literal(1),
  verdict: z.enum(['equal', 'different', 'pending']),
  comparedAtMs: z.int(),
})

/** Whichever of the two was compared with the other: a switch back needs no second comparison. */
function comparedName(one: string, other: string): string {
  const [first, second] = [one, other].toSorted()
  return `views/compared/${first}/${second}.json`
}

/** A switch looks for it. */
export async function keepComparison(
  objects: ObjectStore,
  { left, right, verdict, compared, different, pending }: ViewComparison,
  comparedAtMs: number,
): Promise<void> {
  const name = comparedName(left, right)
  const summary = { left, right, verdict, compared, different, pending }
  const earlier = await objects.stat(name)
  const bytes = jsonBytes({ format: 1, comparedAtMs, ...summary })
  await objects.replace(name, bytes, earlier?.generation ?? 0)
}

export interface SwitchParts extends ViewsParts {
  readonly clock: Clock
}

export interface SwitchRequest {
  readonly view: string
  readonly force: boolean
  /** Of the active view, by the log's time, ms. */
  readonly lagMsMax?: number
}

/**
 * Takes effect in processors and servers when they next look, within seconds. Throws
 * `VIEW_SWITCH_LAGS`, `VIEW_SWITCH_NOT_COMPARED` and `VIEW_SWITCH_OVERTAKEN`.
 */
export async function switchView(
  parts: SwitchParts,
  { view, force, lagMsMax = VIEW_SWITCH_LAG_MS_MAX }: SwitchRequest,
): Promise<ActiveView> {
  const { objects, speed, clock } = parts
  const stored = await readActiveView(objects)
  const previous = stored?.active.view
  if (stored !== undefined && previous === view) return stored.active
  const rows = previous === undefined ? [] : await speed.readPartitions(previous)
  if (previous !== undefined && !force) {
    const lag = lagOf(await speed.readPartitions(view), rows)
    if (lag.ms === null || lag.ms > lagMsMax)
      throw viewErrors.create('VIEW_SWITCH_LAGS', {
        expected: `at most ${lagMsMax} ms behind ${previous}`,
        received: lag.ms === null ? 'a view without rows of every partition' : `${lag.ms} ms`,
      })
    await refuseUncompared(objects, view, previous)
  }
  const active: ActiveView = {
    view,
    ...formerViews(view, stored?.active, handoverOf(rows)),
    by: 'switch',
    forced: force,
    atMs: clock.nowMs(),
  }
  const { generation } = await activateView(objects, active, stored?.generation ?? 0)
  if (previous === undefined) return active
  // It went on until it could be known here: what its rows reached meanwhile, others may have dropped.
  const handover = handoverOf(await speed.readPartitions(previous))
  await activateView(objects, { ...active, handover }, generation)
  return { ...active, handover }
}

async function refuseUncompared(
  objects: ObjectStore,
  view: string,
  previous: string,
): Promise<void> {
  const stored = await objects.read(comparedName(view, previous))
  const found =
    stored && comparedSchema.safeParse(JSON.parse(new TextDecoder().decode(stored.bytes)))
  if (found?.success === true && found.data.verdict !== 'pending') return
  throw viewErrors.create('VIEW_SWITCH_NOT_COMPARED', {
    expected: `${view} to have been compared with ${previous}`,
    received: found === undefined ? 'no comparison' : 'one in which nothing could be compared',
  })
}
