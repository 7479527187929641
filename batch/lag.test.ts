import { expect, test } from 'vitest'
import { lagOf } from './lag.ts'

const HOUR_MS = 3_600_000
const BOUNDS = { nowMs: 100 * HOUR_MS, runRecordsMax: 1_000, logRetentionMs: 24 * HOUR_MS }
const hoursAgo = (hours: number) => BOUNDS.nowMs - hours * HOUR_MS

test('the partition with the most says how many runs it takes', () => {
  const waiting = [
    { records: 2_500, sinceMs: hoursAgo(1) },
    { records: 400, sinceMs: hoursAgo(2) },
  ]
  expect(lagOf(waiting, BOUNDS)).toEqual({
    records: 2_900,
    recordsOfOne: 2_500,
    runs: 3,
    ageMs: 2 * HOUR_MS,
    isNearExpiry: false,
  })
})

test('records older than half of the retention are near their expiry', () => {
  const lag = (hours: number) => lagOf([{ records: 1, sinceMs: hoursAgo(hours) }], BOUNDS)
  expect(lag(12).isNearExpiry).toBe(false)
  expect(lag(12.1).isNearExpiry).toBe(true)
})

test('before the first run, and of what is silent for weeks, no age is known', () => {
  expect(lagOf([{ records: 5, sinceMs: null }], BOUNDS)).toMatchObject({
    ageMs: null,
    isNearExpiry: false,
  })
  expect(lagOf([], BOUNDS)).toMatchObject({ records: 0, runs: 0 })
})
