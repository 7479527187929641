/**
 * A view is one way of folding: its rows, checkpoints and consumer group stand apart from those of
 * any other, so changing what changes values builds a new view beside the old one.
 */
import { createHash } from 'node:crypto'
import type { Cut } from './cuts.ts'
import type { FoldLimits } from './fold.ts'

/** Raised when the fold computes other values from the same records. */
export const FOLD_VERSION = 1

const VIEW_ID_DIGITS = 12

/**
 * Identity of a view: a digest of the fold's version, the cuts and every limit; of a view that was
 * given a name, of the name too, so that the same settings can be built a second time.
 */
export function viewId(cuts: readonly Cut[], limits: FoldLimits, name = ''): string {
  const identity = JSON.stringify({
    version: FOLD_VERSION,
    cuts: cuts.map(({ id, viewers }) => [id, viewers] as const).sort(byName),
    limits: Object.entries(limits).sort(byName),
    ...(name === '' ? {} : { name }),
  })
  return createHash('sha256').update(identity, 'utf8').digest('hex').slice(0, VIEW_ID_DIGITS)
}

function byName([left]: readonly [string, unknown], [right]: readonly [string, unknown]): number {
  return left < right ? -1 : left > right ? 1 : 0
}
