import { beforeEach, describe, expect, it } from 'vitest'
import { parseCut } from '../shared/qoe/cuts.ts'
import { ManualClock } from '../shared/runtime/clock.ts'
import { DEFAULT_SERVING_LIMITS, type ServingLimits } from './limits.ts'
import { createMinuteReader } from './minute-reader.ts'
import { MemorySpeedStore, minuteRow, partitionRow, TEST_VIEW } from './testing/test-stores.ts'

const MINUTE_MS = 60_000
const PANE_LIFE_MS = 90 * MINUTE_MS
const total = parseCut('total')
const range = { fromMs: 0, toMs: 10 * MINUTE_MS }

let speed: MemorySpeedStore
let clock: ManualClock
beforeEach(async () => {
  speed = new MemorySpeedStore()
  clock = new ManualClock()
  for (let minute = 0; minute < 10; minute++)
    await speed.putMinutes([
      minuteRow({ minuteStartMs: minute * MINUTE_MS, aggregates: { plays: minute } }),
    ])
})

function readerWith(limits: Partial<ServingLimits> = {}) {
  const counts = { hits: 0, misses: 0 }
  const reader = createMinuteReader({
    speed,
    view: TEST_VIEW,
    partitions: 1,
    paneLifeMs: PANE_LIFE_MS,
    limits: { ...DEFAULT_SERVING_LIMITS, ...limits },
    clock,
    onCache(seen) {
      counts.hits += seen.hits
      counts.misses += seen.misses
    },
  })
  const read = async (of = range, cut = total) =>
    reader.readMinutes({ cut, ...of }, await reader.readProgress())
  return { reader, counts, read }
}

/** Closed are the minutes whose end is more than the pane life behind. */
const closedUpTo = (minutes: number) =>
  speed.putPartitions([partitionRow(PANE_LIFE_MS + minutes * MINUTE_MS + 1)])

describe('reading minutes', () => {
  it('keeps closed minutes in memory and asks the store for the open ones only', async () => {
    await closedUpTo(6)
    const { read, counts } = readerWith()
    await read()
    const again = await read()
    expect(
      speed.minuteQueries.map(({ fromMs, toMs }) => [fromMs / MINUTE_MS, toMs / MINUTE_MS]),
    ).toEqual([
      [0, 10],
      [6, 10],
    ])
    expect(counts).toEqual({ hits: 6, misses: 14 })
    for (let minute = 0; minute < 10; minute++)
      expect(again.get(minute * MINUTE_MS)?.get('[]')?.plays).toBe(minute)
  })

  it('keeps closed minutes without rows too', async () => {
    await closedUpTo(10)
    const { read } = readerWith()
    speed.minutes.clear()
    await read()
    await read()
    expect(speed.minuteQueries).toHaveLength(1)
  })

  it('does not keep a minute whose pane may still change', async () => {
    await speed.putPartitions([partitionRow(PANE_LIFE_MS + MINUTE_MS)])
    const { read, counts } = readerWith()
    await read({ fromMs: 0, toMs: MINUTE_MS })
    await read({ fromMs: 0, toMs: MINUTE_MS })
    expect(counts.hits).toBe(0)
  })

  it('reads a closed minute again after its time, because a repair may have restated it', async () => {
    await closedUpTo(10)
    const { read } = readerWith()
    await read()
    await speed.putMinutes([
      minuteRow({ minuteStartMs: 0, partition: -1, aggregates: { plays: 77 } }),
    ])
    expect((await read()).get(0)?.get('[]')?.plays).toBe(0)
    await clock.advance(DEFAULT_SERVING_LIMITS.closedMinuteTtlMs + 1)
    expect((await read()).get(0)?.get('[]')?.plays).toBe(77)
  })

  it('reads again at once when another generation may be the one to read', async () => {
    await closedUpTo(10)
    const { read } = readerWith()
    await read()
    await speed.putPartitions([
      partitionRow(PANE_LIFE_MS + 11 * MINUTE_MS, {
        generation: 1,
        generationStartMs: -PANE_LIFE_MS,
      }),
    ])
    await speed.putMinutes([
      minuteRow({ minuteStartMs: 0, generation: 1, aggregates: { plays: 5 } }),
    ])
    expect((await read()).get(0)?.get('[]')?.plays).toBe(5)
  })

  it('holds no more rows than the limit', async () => {
    await closedUpTo(10)
    const { reader, read } = readerWith({ closedMinuteRowsMax: 6 })
    await read()
    expect(reader.cachedRows).toBeGreaterThan(0)
    expect(reader.cachedRows).toBeLessThanOrEqual(6)
  })

  it('passes single keys on to the store', async () => {
    const { reader } = readerWith()
    const cut = parseCut('cdn')
    await reader.readMinutes({ cut, ...range, keys: ['["a"]'] }, await reader.readProgress())
    expect(speed.minuteQueries[0]).toMatchObject({ cut: 'cdn', keys: ['["a"]'] })
  })

  it('reads as many rows as the limit and refuses one more', async () => {
    await expect(readerWith({ rowsPerQueryMax: 10 }).read()).resolves.toHaveProperty('size', 10)
    await expect(readerWith({ rowsPerQueryMax: 9 }).read()).rejects.toThrow(
      /SERVING_QUERY_TOO_LARGE/,
    )
  })
})
