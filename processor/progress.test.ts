import { describe, expect, it } from 'vitest'
import { ManualClock } from '../shared/runtime/clock.ts'
import { seededRandom } from '../shared/runtime/random.ts'
import type { PartitionRow } from '../shared/speed/rows.ts'
import type { SpeedStore } from '../shared/speed/speed-store.ts'
import { OWNER_EPOCH_MAX } from './limits.ts'
import { ProgressPublisher, type ProgressNow } from './progress.ts'
import { configOf, ScriptedFold, scriptedSpeed, turnOfTheLoop } from './testing/test-doubles.ts'

const origin = { view: 'v', topicEpoch: 0, partition: 1, generation: 2 }

function publisherOf(speed: Partial<SpeedStore>, ownerEpoch = 1) {
  const clock = new ManualClock()
  return new ProgressPublisher({
    origin,
    ownerEpoch,
    rowRetentionMs: 1_000,
    speed: scriptedSpeed(speed),
    retryContext: () => ({
      clock,
      random: seededRandom(1),
      limits: configOf(),
      signal: new AbortController().signal,
      onRetry: () => undefined,
    }),
    onFailure: (error) => {
      throw error
    },
  })
}

function nowAt(
  applied: number,
  reached: number,
  generationStartMs: number | undefined = 0,
): ProgressNow {
  const reach = { offset: reached, watermarkMs: reached * 10 }
  const fold = new ScriptedFold()
  fold.nextOffset = applied
  return {
    fold: { ...fold.status, lastLoggedAtMs: 5_000, watermarkMs: 3_000 },
    reached: { narrow: reach, wide: { ...reach, offset: reached - 1 }, session: reach },
    generationStartMs,
  }
}

/** A store of one row that keeps the highest stamp, as all adapters do. */
function oneRowStore(): SpeedStore & {
  row: PartitionRow | undefined
  writes: number
  reads: number
} {
  const store = {
    row: undefined as PartitionRow | undefined,
    writes: 0,
    reads: 0,
    readPartitions: async () => {
      store.reads += 1
      return store.row === undefined ? [] : [store.row]
    },
    putPartitions: async (rows: readonly PartitionRow[]) => {
      store.writes += 1
      for (const row of rows) if (row.stampUs >= (store.row?.stampUs ?? 0)) store.row = row
    },
  }
  return store as unknown as SpeedStore & typeof store
}

describe('a partition’s progress row', () => {
  it('says what is applied and what is durable by class', async () => {
    const store = oneRowStore()
    await publisherOf(store).flush(nowAt(9, 7))
    expect(store.row).toMatchObject({
      ...origin,
      lastOffset: 8,
      appliedOffset: 9,
      narrowOffset: 7,
      wideOffset: 6,
      sessionOffset: 7,
      narrowWatermarkMs: 70,
      watermarkMs: 3_000,
      lastLoggedAtMs: 5_000,
      expiresAtMs: 6_000,
      generationStartMs: 0,
    })
  })

  it('is not written again without news, and with a higher stamp each time', async () => {
    const store = oneRowStore()
    const publisher = publisherOf(store)
    await publisher.flush(nowAt(9, 7))
    const first = store.row?.stampUs ?? 0
    await publisher.flush(nowAt(9, 7))
    expect(store.writes).toBe(1)
    await publisher.flush(nowAt(9, 8))
    expect(store.row?.stampUs).toBeGreaterThan(first)
    expect(store.reads).toBe(1)
  })

  it('is not written before the first record of the generation', async () => {
    const store = oneRowStore()
    await publisherOf(store).flush({ ...nowAt(5, 5), generationStartMs: undefined })
    await publisherOf(store).flush(nowAt(0, 0))
    expect(store.writes).toBe(0)
  })

  it('of a later owner never says less than that of an earlier one', async () => {
    const store = oneRowStore()
    await publisherOf(store, 1).flush(nowAt(100, 90))
    const later = publisherOf(store, 2)
    await later.flush(nowAt(60, 50))
    expect(store.row).toMatchObject({ appliedOffset: 100, narrowOffset: 90 })
    await later.flush(nowAt(101, 60))
    expect(store.row).toMatchObject({ appliedOffset: 101, narrowOffset: 90, wideOffset: 89 })
    expect(store.row?.narrowWatermarkMs).toBe(900)
  })

  it('of an earlier owner loses against that of a later one', async () => {
    const store = oneRowStore()
    const zombie = publisherOf(store, 1)
    await zombie.flush(nowAt(100, 90))
    await publisherOf(store, 2).flush(nowAt(120, 110))
    await zombie.flush(nowAt(130, 95))
    expect(store.row).toMatchObject({ appliedOffset: 120, narrowOffset: 110 })
  })

  it('is published one at a time', async () => {
    const pending: (() => void)[] = []
    let writes = 0
    const publisher = publisherOf({
      readPartitions: async () => [],
      putPartitions: () => {
        writes += 1
        return new Promise<void>((resolve) => pending.push(resolve))
      },
    })
    publisher.kick(nowAt(1, 1))
    await turnOfTheLoop()
    publisher.kick(nowAt(2, 2))
    await turnOfTheLoop()
    expect(writes).toBe(1)
    pending.forEach((resolve) => resolve())
    await turnOfTheLoop()
    publisher.kick(nowAt(3, 3))
    await turnOfTheLoop()
    expect(writes).toBe(2)
  })

  it('refuses more owners than its stamp can order', () => {
    expect(() => publisherOf({}, OWNER_EPOCH_MAX + 1)).toThrow('fits its stamp')
    expect(Number.isSafeInteger((OWNER_EPOCH_MAX + 1) * 2 ** 32 - 1)).toBe(true)
  })
})
