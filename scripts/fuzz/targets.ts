import type { FuzzTarget } from './target.ts'
import { checkpointTarget } from './targets/checkpoint.ts'
import { cmcdTarget } from './targets/cmcd.ts'
import { contentTarget } from './targets/content.ts'
import { frameTarget } from './targets/frame.ts'
import { queryTarget } from './targets/query.ts'
import { tokenTarget } from './targets/token.ts'

const TARGETS: readonly FuzzTarget[] = [
  frameTarget,
  cmcdTarget,
  tokenTarget,
  queryTarget,
  checkpointTarget,
  contentTarget,
]

export const TARGET_NAMES: readonly string[] = TARGETS.map(({ name }) => name)

export function findTarget(name: string): FuzzTarget {
  const target = TARGETS.find((known) => known.name === name)
  if (target === undefined)
    throw new Error(`--target is one of ${TARGET_NAMES.join(', ')}, not ${name}`)
  return target
}
