/** Erasures that have a plan and no proof: the files that they name must stay as they are. */
import { ERASURE_OBJECTS_MAX } from '../../shared/objects/erasures.ts'
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import { batchErrors } from '../errors.ts'
import { type ErasureNames, namesOfPlan } from './erasure-objects.ts'

/** The objects of each, in the order of their names. The lease of the batch must be held. */
export async function unfinishedErasures(objects: ObjectStore): Promise<ErasureNames[]> {
  const listed = await objects.list('erasures/', { limit: ERASURE_OBJECTS_MAX })
  const names = new Set(listed.map(({ name }) => name))
  return [...names].flatMap((name) => {
    const erasure = namesOfPlan(name)
    return erasure === undefined || names.has(erasure.proof) ? [] : [erasure]
  })
}

/** Throws `BATCH_COMPACT_ERASURE_UNFINISHED`. The lease of the batch must be held. */
export async function refuseUnfinishedErasure(objects: ObjectStore): Promise<void> {
  const [unfinished] = await unfinishedErasures(objects)
  if (unfinished !== undefined)
    throw batchErrors.create('BATCH_COMPACT_ERASURE_UNFINISHED', {
      expected: 'a proof of every erasure that has a plan',
      received: `${unfinished.plan} without one`,
    })
}
