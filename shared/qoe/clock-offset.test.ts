import { expect, test } from 'vitest'
import { clampCorrected, correctedMs } from './clock-offset.ts'

const limits = { clockStepMs: 30_000, maxAgeMs: 7 * 86_400_000 }
const THREE_DAYS_MS = 3 * 86_400_000

test('the session offset moves device time, and jitter of a frame does not', () => {
  const clock = { atMs: 1_000, receivedAtMs: 900_000 }
  for (const jitterMs of [-200, 0, 200])
    expect(
      correctedMs({ ...clock, frameOffsetMs: THREE_DAYS_MS + jitterMs }, THREE_DAYS_MS, limits),
    ).toBe(1_000 + THREE_DAYS_MS)
})

test('a frame whose offset is beyond the step uses its own, as does the first', () => {
  const clock = { atMs: 1_000, receivedAtMs: 900_000 }
  expect(correctedMs({ ...clock, frameOffsetMs: 30_000 }, 0, limits)).toBe(1_000)
  expect(correctedMs({ ...clock, frameOffsetMs: 30_001 }, 0, limits)).toBe(31_001)
  expect(correctedMs({ ...clock, frameOffsetMs: 7 }, undefined, limits)).toBe(1_007)
})

test('corrected time is held between the greatest age and a step ahead of arrival', () => {
  const receivedAtMs = 1_800_000_000_000
  expect(clampCorrected(0, receivedAtMs, limits)).toBe(receivedAtMs - limits.maxAgeMs)
  expect(clampCorrected(receivedAtMs * 2, receivedAtMs, limits)).toBe(receivedAtMs + 30_000)
  expect(clampCorrected(receivedAtMs - 5, receivedAtMs, limits)).toBe(receivedAtMs - 5)
})
