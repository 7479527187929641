/**
 * Cuts: the lists of dimensions by which minutes are kept. A cut's id is its dimensions joined by
 * `+` (`total` for none); a cut key is the canonical JSON array of the values in that order.
 */
import type { CommonContext } from '../events/common-context.ts'

export const DIMENSIONS = [
  'content',
  'cdn',
  'deviceType',
  'player',
  'playerVersion',
  'country',
] as const
export type Dimension = (typeof DIMENSIONS)[number]

/** A missing dimension's value. */
export const UNKNOWN_KEY = 'unknown'
/** Value of every dimension of a key beyond the cap on keys. */
export const OTHER_KEY = 'other'

export interface Cut {
  readonly id: string
  readonly dimensions: readonly Dimension[]
  /** Wide cuts have as many keys as there are contents and flush less often. */
  readonly width: 'narrow' | 'wide'
  /** Whether distinct viewers are counted. */
  readonly viewers: boolean
}

/** Parses `total`, `cdn` or `cdn+content`; throws a plain Error naming the unknown dimension. */
export function parseCut(id: string): Cut {
  const names = id === 'total' ? [] : id.split('+')
  const dimensions = names.map((name) => {
    const found = DIMENSIONS.find((dimension) => dimension === name)
    if (found === undefined)
      throw new Error(`a cut of the dimensions ${DIMENSIONS.join(', ')}, joined by +`)
    return found
  })
  const wide = dimensions.includes('content')
  return { id, dimensions, width: wide ? 'wide' : 'narrow', viewers: !wide }
}

export const DEFAULT_CUT_IDS: readonly string[] = [
  'total',
  'content',
  'cdn',
  'deviceType',
  'player+playerVersion',
  'country',
  'cdn+content',
  'content+cdn+player',
]

/** Value of one dimension; `cdn` is the one in force, which `cdnUpdate` moves. */
export function dimensionValue(
  dimension: Dimension,
  context: CommonContext,
  cdn: string | undefined,
): string {
  switch (dimension) {
    case 'content':
      return context.contentId ?? UNKNOWN_KEY
    case 'cdn':
      return cdn ?? UNKNOWN_KEY
    case 'deviceType':
      return context.device?.type ?? UNKNOWN_KEY
    case 'player':
      return context.player?.name ?? UNKNOWN_KEY
    case 'playerVersion':
      return context.player?.version ?? UNKNOWN_KEY
    case 'country':
      return context.country ?? UNKNOWN_KEY
  }
}

export function cutKey(cut: Cut, context: CommonContext, cdn: string | undefined): string {
  return JSON.stringify(cut.dimensions.map((dimension) => dimensionValue(dimension, context, cdn)))
}
