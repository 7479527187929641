import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { DEFAULT_CUT_IDS, parseCut } from './cuts.ts'
import { DEFAULT_FOLD_LIMITS, type FoldLimits } from './fold.ts'
import { viewId } from './view.ts'

const cuts = DEFAULT_CUT_IDS.map(parseCut)
const usual = viewId(cuts, DEFAULT_FOLD_LIMITS)

describe('viewId', () => {
  it('is twelve hex digits', () => {
    expect(usual).toMatch(/^[0-9a-f]{12}$/)
  })

  it('is the start of the digest of version, cuts and limits, sorted by name', () => {
    const limits = { stalledViewerMs: 7, allowedLatenessMs: 5 } as FoldLimits
    const text =
      '{"version":1,"cuts":[["cdn",true],["content",false]],' +
      '"limits":[["allowedLatenessMs",5],["stalledViewerMs",7]]}'
    const digest = createHash('sha256').update(text).digest('hex')
    expect(viewId([parseCut('content'), parseCut('cdn')], limits)).toBe(digest.slice(0, 12))
  })

  it('does not depend on the order of cuts or limits', () => {
    const limits = Object.fromEntries(Object.entries(DEFAULT_FOLD_LIMITS).reverse())
    expect(viewId([...cuts].reverse(), limits as unknown as FoldLimits)).toBe(usual)
  })

  it('changes with every limit', () => {
    const ids = Object.entries(DEFAULT_FOLD_LIMITS).map(([name, value]) =>
      viewId(cuts, { ...DEFAULT_FOLD_LIMITS, [name]: value + 1 }),
    )
    expect(new Set([usual, ...ids]).size).toBe(ids.length + 1)
  })

  it('changes with a cut more, a cut less, or another choice of viewers', () => {
    const otherViewers = cuts.map((cut) =>
      cut.id === 'total' ? { ...cut, viewers: !cut.viewers } : cut,
    )
    const ids = [[...cuts, parseCut('country+cdn')], cuts.slice(1), otherViewers].map((others) =>
      viewId(others, DEFAULT_FOLD_LIMITS),
    )
    expect(new Set([usual, ...ids]).size).toBe(4)
  })

  it('tells the order of dimensions within a cut apart', () => {
    expect(viewId([parseCut('cdn+content')], DEFAULT_FOLD_LIMITS)).not.toBe(
      viewId([parseCut('content+cdn')], DEFAULT_FOLD_LIMITS),
    )
  })
})
