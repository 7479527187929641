import { describe, expect, it } from 'vitest'
import type { MinuteAggregates } from './aggregates.ts'
import { bucketOf } from './histogram.ts'
import { EMPTY_AGGREGATES } from './merge.ts'
import { qoeMetrics } from './metrics.ts'
import { registerOf } from './registers.ts'

const aggregates = (values: Partial<MinuteAggregates>) => ({ ...EMPTY_AGGREGATES, ...values })
const options = { viewersCounted: true, lowSampleBelow: 25 }
const histogramOf = (...values: number[]) => {
  const counts = new Map<number, number>()
  for (const value of values) counts.set(bucketOf(value), (counts.get(bucketOf(value)) ?? 0) + 1)
  return [...counts].toSorted(([a], [b]) => a - b)
}

describe('served metrics', () => {
  // 40 sessions: 38 attempts, 30 of them plays; 4 left early, 4 failed to start.
  const minute = aggregates({
    sessions: 40,
    attempts: 38,
    plays: 30,
    ebvs: 4,
    ebvsLong: 1,
    vsf: 4,
    vpf: 3,
    endedPlays: 12,
    failures: 7,
    startups: 30,
    startupSumMs: 36_000,
    stalls: 15,
    stallMs: 90_000,
    playingMs: 1_800_000,
    watchedMs: 2_000_000,
    mediaUs: 1_800_000_500,
    // 30 minutes at 4,000 kbps.
    bitsPlayed: 4_000n * 1_800_000_000n,
    ratedMediaUs: 1_800_000_000,
    events: 990,
    lost: 10,
  })
  const metrics = qoeMetrics([minute], options)

  it.each([
    ['averageStartupMs', 1_200],
    ['ebvsRatio', 4 / 38],
    ['vsfRatio', 4 / 38],
    ['vpfRatio', 3 / 12],
    ['playbackFailureRatio', 7 / 40],
    ['stalledTimeRatio', 0.045],
    ['averagePlaybackStalledCount', 0.5],
    ['stallsPerPlayingHour', 30],
    ['averageBitrateKbps', 4_000],
    ['playingHours', 0.5],
    ['eventsLostRatio', 0.01],
    ['mediaMs', 1_800_001],
    ['bitsPlayed', 7_200_000_000],
  ] as const)('%s is %d', (name, value) => {
    expect(metrics[name]).toBeCloseTo(value, 12)
  })

  it('are undefined, not zero, without a denominator', () => {
    const empty = qoeMetrics([], options)
    for (const name of [
      'averageStartupMs',
      'startupMsP50',
      'startupMsP95',
      'startupMsP99',
      'ebvsRatio',
      'vsfRatio',
      'vpfRatio',
      'playbackFailureRatio',
      'stalledTimeRatio',
      'averagePlaybackStalledCount',
      'stallsPerPlayingHour',
      'averageBitrateKbps',
      'eventsLostRatio',
    ] as const)
      expect(empty[name], name).toBeNull()
    expect(empty).toMatchObject({
      attempts: 0,
      concurrentPlays: 0,
      playingHours: 0,
      lowSample: true,
    })
  })

  it('read quantiles from the histograms of all minutes together', () => {
    const first = aggregates({ startupHistogram: histogramOf(...Array<number>(98).fill(100)) })
    const second = aggregates({ startupHistogram: histogramOf(60, 127) })
    const both = qoeMetrics([first, second], options)
    expect(both).toMatchObject({ startupMsP50: 100, startupMsP95: 100, startupMsP99: 100 })
    const third = aggregates({ startupHistogram: histogramOf(127) })
    expect(qoeMetrics([second, third], options).startupMsP99).toBe(127)
  })

  it('take the largest instant of all minutes, never their sum', () => {
    const one = aggregates({
      concurrentPlays: [1, 2, 9, 4, 5, 6],
      concurrentViewers: [0, 0, 0, 0, 0, 3],
    })
    const two = aggregates({
      concurrentPlays: [7, 8, 8, 7, 6, 5],
      concurrentViewers: [2, 0, 0, 0, 0, 0],
    })
    expect(qoeMetrics([one, two], options)).toMatchObject({
      concurrentPlays: 9,
      concurrentViewers: 3,
    })
  })

  it('count a viewer of several minutes once', () => {
    const { register, rank } = registerOf('00f0000000000001deadbeefdeadbeef')
    const one = aggregates({ viewerRegisters: [[register, rank]] })
    expect(qoeMetrics([one, one], options).distinctViewers).toBe(1)
  })

  it('do not claim distinct viewers where the cut does not count them', () => {
    expect(qoeMetrics([minute], { ...options, viewersCounted: false }).distinctViewers).toBeNull()
  })

  it('say so below 25 attempts or plays', () => {
    const sample = (attempts: number, plays: number) =>
      qoeMetrics([aggregates({ attempts, plays })], options).lowSample
    expect(sample(25, 25)).toBe(false)
    expect(sample(24, 25)).toBe(true)
    expect(sample(25, 24)).toBe(true)
  })
})
