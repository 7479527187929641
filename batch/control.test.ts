import { describe, expect, it } from 'vitest'
import { TOPICS } from '../shared/log/topics.ts'
import { DEFAULT_FOLD_LIMITS } from '../shared/qoe/fold.ts'
import { boundaryOf, watermarksAtCut, type Control } from './control.ts'
import type { Manifest } from './manifest.ts'

const control = (...watermarks: readonly [string, number, number][]): Control => ({
  lastRun: 4,
  partitions: watermarks.map(([topic, logPartition, watermarkMs]) => ({
    topic: topic === 'events' ? TOPICS.events : TOPICS.rejects,
    topicId: 'id',
    logPartition,
    nextOffset: 9,
    watermarkMs,
    lastLoggedAtMs: watermarkMs + 2_000,
  })),
})

const manifest = (...watermarks: readonly [number, number][]): Manifest => ({
  format: 1,
  run: 5,
  ranges: watermarks.map(([partition, watermarkMs]) => ({
    topic: TOPICS.events,
    topicId: 'id',
    partition,
    first: 9,
    end: 12,
    loggedAtMaxMs: watermarkMs + 2_000,
    watermarkMs,
  })),
  files: [],
  leftOut: [],
  givenUp: [],
})

describe('watermarks at the cut', () => {
  it('are those of the run, and of earlier runs where it took nothing', () => {
    const before = control(['events', 2, 30], ['events', 0, 10], ['rejects', 1, 99])
    expect(watermarksAtCut(before, manifest([0, 50], [1, 40]))).toEqual([
      { partition: 0, watermarkMs: 50 },
      { partition: 1, watermarkMs: 40 },
      { partition: 2, watermarkMs: 30 },
    ])
  })
})

describe('the boundary', () => {
  const watermarks = [
    { partition: 0, watermarkMs: 10_000_000 },
    { partition: 1, watermarkMs: 9_000_000 },
  ]

  it('is the life of a minute behind the partition that is furthest behind', () => {
    const paneLifeMs = (60 + 30) * 60_000 + 5_000 + 2_000
    expect(boundaryOf(watermarks, 2, DEFAULT_FOLD_LIMITS)).toBe(9_000_000 - paneLifeMs)
  })

  it('is nowhere while a partition was never taken', () => {
    expect(boundaryOf(watermarks, 3, DEFAULT_FOLD_LIMITS)).toBeUndefined()
  })
})
