import { describe, expect, it } from 'vitest'
import { CATCH_UP_WAIT_MAX_MS, MARKS_PER_QUEUE_MAX, TIMED_STEP_MS } from './limits.ts'
import { pacings, UrgentGate } from './row-pacing.ts'

const config = { narrowFlushMs: 1_000, wideFlushMs: 15_000, sessionRowIntervalMs: 30_000 }

describe('the pacing of rows', () => {
  it('is that of the settings while the partition follows the log', () => {
    expect(pacings(config, 0)).toEqual({
      narrow: { markEveryMs: 1_000, delayMs: 0, spread: false },
      wide: { markEveryMs: 15_000, delayMs: 0, spread: true },
      sessionUrgent: { markEveryMs: 0, delayMs: 0, spread: false },
      session: { markEveryMs: TIMED_STEP_MS, delayMs: 29_500, spread: false },
    })
  })

  it('never shortens an interval', () => {
    const { narrow, wide, session } = pacings(config, 12_000)
    expect([narrow.markEveryMs, wide.markEveryMs, session.delayMs]).toEqual([
      12_000, 15_000, 29_500,
    ])
  })

  it('remembers the moments of a longer delay, too', () => {
    const { delayMs, markEveryMs } = pacings(config, CATCH_UP_WAIT_MAX_MS).session
    expect(delayMs + 2 * TIMED_STEP_MS).toBe(CATCH_UP_WAIT_MAX_MS)
    expect(delayMs / markEveryMs).toBeLessThan(MARKS_PER_QUEUE_MAX)
    expect(markEveryMs).toBeGreaterThanOrEqual(TIMED_STEP_MS)
  })
})

describe('the gate of urgent rows', () => {
  it('is open while nothing may wait', () => {
    const gate = new UrgentGate(0)
    expect([gate.due(3, 0, 0), gate.due(7, 0, 0)]).toEqual([3, 7])
  })

  it('lets those through that waited when it opened', () => {
    const gate = new UrgentGate(0)
    expect(gate.due(5, 1_000, 999)).toBe(0)
    expect(gate.due(5, 1_000, 1_000)).toBe(5)
    gate.took(4)
    expect(gate.due(9, 1_000, 1_500)).toBe(1)
    gate.took(1)
    expect(gate.due(8, 1_000, 1_999)).toBe(0)
    expect(gate.due(8, 1_000, 2_000)).toBe(8)
  })
})
