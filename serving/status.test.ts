import { describe, expect, it } from 'vitest'
import { parseCut } from '../shared/qoe/cuts.ts'
import { ManualClock } from '../shared/runtime/clock.ts'
import { statusResponseSchema } from './api-schemas.ts'
import { DEFAULT_SERVING_LIMITS } from './limits.ts'
import { createMinuteReader } from './minute-reader.ts'
import { answerStatus } from './status.ts'
import { MemoryEventLog, MemorySpeedStore, partitionRow, TEST_VIEW } from './testing/test-stores.ts'

const NOW_MS = 1_800_000_000_000

async function statusOf(rows: Parameters<MemorySpeedStore['putPartitions']>[0]) {
  const speed = new MemorySpeedStore()
  const log = new MemoryEventLog()
  const clock = new ManualClock(NOW_MS)
  for (let offset = 0; offset < 10; offset++)
    log.put({
      partition: 0,
      offset,
      loggedAtMs: 0,
      key: undefined,
      value: new Uint8Array(),
      headers: {},
    })
  await speed.putPartitions(rows)
  const limits = DEFAULT_SERVING_LIMITS
  const reader = createMinuteReader({
    speed,
    view: TEST_VIEW,
    partitions: 2,
    paneLifeMs: 1,
    limits,
    clock,
  })
  const cuts = ['total', 'content'].map(parseCut)
  const status = await answerStatus({
    reader,
    limits,
    clock,
    log: log.asEventLog(),
    view: TEST_VIEW,
    partitions: 2,
    cuts,
    history: undefined,
    batchActivity: undefined,
  })
  expect(statusResponseSchema.parse(status)).toEqual(status)
  return status
}

describe('status', () => {
  it('says for each partition how far the log is folded', async () => {
    const status = await statusOf([
      partitionRow(NOW_MS - 3_000, { appliedOffset: 7, lastLoggedAtMs: NOW_MS - 1_000 }),
    ])
    expect(status.log).toEqual([
      {
        partition: 0,
        end: 10,
        applied: 7,
        lagRecords: 3,
        lagMs: 1_000,
        watermarkMs: NOW_MS - 3_000,
      },
      { partition: 1, end: 0, applied: 0, lagRecords: 0, lagMs: 0, watermarkMs: null },
    ])
    expect(status).toMatchObject({ asOfMs: null, stale: false, batch: { lastRun: null } })
  })

  it('has no lag in time when every record is folded, however old the last one is', async () => {
    const status = await statusOf([
      partitionRow(NOW_MS - 9_000, { appliedOffset: 10, lastLoggedAtMs: NOW_MS - 7_000 }),
    ])
    expect(status.log[0]).toMatchObject({ lagRecords: 0, lagMs: 0 })
  })

  it('is stale when narrow rows are older than they should be, by cut width', async () => {
    const rows = (ageMs: number) => [
      partitionRow(NOW_MS - ageMs, { partition: 0 }),
      partitionRow(NOW_MS - 1_000, { partition: 1 }),
    ]
    const { narrowStaleAfterMs } = DEFAULT_SERVING_LIMITS
    const fresh = await statusOf(rows(narrowStaleAfterMs))
    expect(fresh).toMatchObject({ stale: false, asOfMs: NOW_MS - narrowStaleAfterMs })
    const stale = await statusOf(rows(narrowStaleAfterMs + 1))
    expect(stale.stale).toBe(true)
    expect(stale.cuts.map(({ id, stale: of }) => [id, of])).toEqual([
      ['total', true],
      ['content', false],
    ])
  })
})
