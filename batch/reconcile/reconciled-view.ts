/** Which view a comparison with the history is of: the one that is served, unless it is told. */
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import { readServedView } from '../../shared/views/active-view.ts'
import { findView, listViews, type ViewDescription } from '../../shared/views/view-registry.ts'
import { batchErrors } from '../errors.ts'

/**
 * `own` is the view that a processor with the settings of the batch keeps. The history is computed by
 * these settings, so another view is compared only where it has the same. Throws `VIEW_UNKNOWN` and
 * `BATCH_RECONCILE_VIEW_DIFFERS`.
 */
export async function reconciledView(
  objects: ObjectStore,
  own: ViewDescription,
  asked?: string,
): Promise<string> {
  const found =
    asked === undefined ? await readServedView(objects) : findView(await listViews(objects), asked)
  if (found === undefined || found.view === own.view) return own.view
  const differing = differences(found, own)
  if (differing.length === 0) return found.view
  throw batchErrors.create('BATCH_RECONCILE_VIEW_DIFFERS', {
    expected: `the settings of view ${found.view}`,
    received: `others: ${differing.join(', ')}`,
  })
}

function differences(one: ViewDescription, other: ViewDescription): string[] {
  const valuesOf = ({ foldVersion, limits, cuts }: ViewDescription): Record<string, unknown> => ({
    foldVersion,
    ...limits,
    cuts: cuts
      .map(({ id }) => id)
      .toSorted()
      .join(' '),
  })
  const [ofOne, ofOther] = [valuesOf(one), valuesOf(other)]
  return Object.keys(ofOne).filter((name) => ofOne[name] !== ofOther[name])
}
