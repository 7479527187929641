import { describe, expect, it } from 'vitest'
import { qoeMetrics } from '../../shared/qoe/metrics.ts'
import { aggregates } from '../testing/test-stores.ts'
import { badness, judge, worstFirst } from './ranking.ts'

const metricsOf = (values: Parameters<typeof aggregates>[0]) =>
  qoeMetrics([aggregates({ attempts: 100, plays: 100, endedPlays: 100, ...values })], {
    viewersCounted: false,
    lowSampleBelow: 25,
  })
const stalled = (percent: number, plays = 100) =>
  metricsOf({ watchedMs: 100_000, stallMs: percent * 1_000, plays })

describe('badness', () => {
  it('adds stalled time, failed starts and failed plays in points', () => {
    const metrics = metricsOf({ watchedMs: 1_000, stallMs: 20, vsf: 3, vpf: 5 })
    expect(badness(metrics)).toBeCloseTo(10, 9)
  })

  it('is nothing where nothing is defined', () => {
    expect(badness(qoeMetrics([], { viewersCounted: false, lowSampleBelow: 25 }))).toBe(0)
  })

  it('orders keys: worst first, then small samples, the rest last', () => {
    const keys = [
      { name: 'rest', metrics: stalled(90), other: true },
      { name: 'small', metrics: stalled(50, 3), other: false },
      { name: 'good', metrics: stalled(1), other: false },
      { name: 'bad', metrics: stalled(9), other: false },
    ]
    expect(keys.toSorted(worstFirst).map(({ name }) => name)).toEqual([
      'bad',
      'good',
      'small',
      'rest',
    ])
  })
})

describe('what stands out', () => {
  const overall = stalled(1)

  it('is at least twice the overall value', () => {
    expect(judge('stalledTimeRatio', stalled(1.9), overall)).toBe('usual')
    expect(judge('stalledTimeRatio', stalled(2), overall)).toBe('bad')
    expect(judge('stalledTimeRatio', stalled(4), overall)).toBe('worse')
  })

  it('is not a multiple of next to nothing', () => {
    expect(judge('stalledTimeRatio', stalled(0.4), stalled(0.01))).toBe('usual')
  })

  it('is never said of a small sample or of an undefined value', () => {
    expect(judge('stalledTimeRatio', stalled(50, 24), overall)).toBe('usual')
    expect(judge('startupMsP95', stalled(50), overall)).toBe('usual')
  })
})
