/** When a partition stops reading, so that what it holds stays bounded, and when it goes on. */
import type { PauseReason } from './task-state.ts'

export interface Load {
  readonly leaseCurrent: boolean
  readonly dirtyRows: number
  readonly outputsPending: number
  readonly oldestWriteMs: number
}

export interface LoadLimits {
  readonly dirtyRowsMax: number
  readonly outputsPendingMax: number
  readonly writeStallMs: number
}

/**
 * Why to read nothing now, or `undefined`. A bound on a count, once reached, holds until half of it
 * is gone, so that a partition does not stop and go for every record.
 */
export function pauseReason(
  load: Load,
  limits: LoadLimits,
  current: PauseReason | undefined,
): PauseReason | undefined {
  const bound = (reason: PauseReason, max: number) => (current === reason ? max / 2 : max)
  if (!load.leaseCurrent) return 'lease'
  if (load.oldestWriteMs >= limits.writeStallMs) return 'store'
  if (load.dirtyRows >= bound('rows', limits.dirtyRowsMax)) return 'rows'
  if (load.outputsPending >= bound('outputs', limits.outputsPendingMax)) return 'outputs'
  return undefined
}
