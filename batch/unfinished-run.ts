/** Runs of the batch that took a cut and have no control rows: they are gone on with by the next. */
import type { ObjectStore } from '../shared/objects/object-store.ts'
import type { Control } from './control.ts'
import { batchErrors } from './errors.ts'
import { readManifest } from './manifest.ts'
import { cutName } from './object-names.ts'

/** The number of the run that comes after the last completed one. */
export async function nextRun(objects: ObjectStore, { lastRun }: Control): Promise<number> {
  let run = lastRun + 1
  // A run of which no partition could be read has no control rows; its number is spent.
  while ((await readManifest(objects, run))?.ranges.length === 0) run += 1
  return run
}

/** Throws `code` when a run is half done. The lease of the batch must be held. */
export async function refuseUnfinishedRun(
  objects: ObjectStore,
  control: Control,
  code: 'BATCH_ERASE_RUN_UNFINISHED' | 'BATCH_REPLAY_RUN_UNFINISHED',
): Promise<void> {
  const run = await nextRun(objects, control)
  if ((await objects.stat(cutName(run))) !== undefined)
    throw batchErrors.create(code, {
      expected: `run ${run} to be over`,
      received: 'a cut without control rows',
    })
}
