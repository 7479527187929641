/**
 * The cut that a shard works on. One that is there is anybody's to work on; a new one is taken under the
 * lease of the batch: an erasure looks under that lease whether a run is half done, and what a cut takes
 * beside it would come back with the run, after the proof that it is gone.
 */
import { acquireLease } from '../shared/objects/lease.ts'
import { BackhaulError } from '../shared/runtime/errors.ts'
import { beginControl, beginCut, findCut } from './begin-run.ts'
import type { AcceptedLoss, Cut } from './cut.ts'
import { PARTS_POLL_MS } from './limits.ts'
import { LEASE_NAME } from './object-names.ts'
import type { BatchParts } from './run.ts'

export interface ShardCutContext extends BatchParts {
  readonly acceptLoss: readonly AcceptedLoss[]
  /** Ends the waiting. */
  readonly signal: AbortSignal | undefined
}

/**
 * The cut of the run that comes next: the one there is, or a new one. While another holds the lease,
 * often a shard that is taking this very cut, it looks again; throws `LEASE_HELD` after as long as a
 * lease lasts.
 */
export async function cutOfShard(context: ShardCutContext): Promise<Cut> {
  const { clock, config, signal } = context
  const endMs = clock.monotonicMs() + config.leaseMs
  // Read once: of a run that is over by the time its cut is found there is nothing left to make.
  const control = await beginControl(context.warehouse)
  for (;;) {
    signal?.throwIfAborted()
    const found = await findCut(context, control)
    if (found !== undefined) return found
    try {
      return await takenUnderLease(context)
    } catch (error) {
      const isHeld = error instanceof BackhaulError && error.code === 'LEASE_HELD'
      if (!isHeld || clock.monotonicMs() + PARTS_POLL_MS > endMs) throw error
    }
    await clock.sleep(PARTS_POLL_MS, signal)
  }
}

async function takenUnderLease(context: ShardCutContext): Promise<Cut> {
  const { objects, warehouse, config, holder, clock, signal } = context
  const durationMs = config.leaseMs
  const lease = await acquireLease(objects, { name: LEASE_NAME, holder, durationMs, clock })
  try {
    // Whoever held it may have ended a run since.
    const assertMayGoOn = () => {
      lease.assertHeld()
      signal?.throwIfAborted()
    }
    return await beginCut({ ...context, assertMayGoOn }, await beginControl(warehouse))
  } finally {
    await lease.release()
  }
}
