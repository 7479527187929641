import { describe, expect, it } from 'vitest'
import { pauseReason, type Load } from './backpressure.ts'

const limits = { dirtyRowsMax: 100, outputsPendingMax: 10, writeStallMs: 1_000 }
const idle: Load = { leaseCurrent: true, dirtyRows: 0, outputsPending: 0, oldestWriteMs: 0 }

describe('a partition’s pause', () => {
  it('does not happen below the bounds', () => {
    const load = { leaseCurrent: true, dirtyRows: 99, outputsPending: 9, oldestWriteMs: 999 }
    expect(pauseReason(load, limits, undefined)).toBeUndefined()
  })

  it.each([
    ['rows', { dirtyRows: 100 }],
    ['outputs', { outputsPending: 10 }],
    ['store', { oldestWriteMs: 1_000 }],
    ['lease', { leaseCurrent: false }],
  ] as const)('names %s when that bound is reached', (reason, over) => {
    expect(pauseReason({ ...idle, ...over }, limits, undefined)).toBe(reason)
  })

  it('lasts until half of a count is gone', () => {
    expect(pauseReason({ ...idle, dirtyRows: 50 }, limits, 'rows')).toBe('rows')
    expect(pauseReason({ ...idle, dirtyRows: 49 }, limits, 'rows')).toBeUndefined()
    expect(pauseReason({ ...idle, outputsPending: 5 }, limits, 'outputs')).toBe('outputs')
    expect(pauseReason({ ...idle, outputsPending: 4 }, limits, 'outputs')).toBeUndefined()
  })

  it('for a stalled write ends as soon as the write does', () => {
    expect(pauseReason({ ...idle, oldestWriteMs: 0 }, limits, 'store')).toBeUndefined()
  })
})
