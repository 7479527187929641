/** Erasures that have a plan and no proof: the files that they name must stay as they are. */
import { ERASURE_OBJECTS_MAX } from '../../shared/objects/erasures.ts'
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import { batchErrors } from '../errors.ts'

/** Throws `BATCH_COMPACT_ERASURE_UNFINISHED`. The lease of the batch must be held. */
export async function refuseUnfinishedErasure(objects: ObjectStore): Promise<void> {
  const listed = await objects.list('erasures/', { limit: ERASURE_OBJECTS_MAX })
  const names = new Set(listed.map(({ name }) => name))
  for (const name of names)
    if (name.endsWith('-plan.json') && !names.has(name.replace(/-plan\.json$/, '-proof.json')))
      throw batchErrors.create('BATCH_COMPACT_ERASURE_UNFINISHED', {
        expected: 'a proof of every erasure that has a plan',
        received: `${name} without one`,
      })
}
