/**
 * A run whose files are made by shards ends with the raw files, byte by byte, and the rows of one
 * process alone, whatever the number of shards and wherever one of them is cut off.
 */
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { logErrors } from '../shared/log/log-errors.ts'
import { TOPICS } from '../shared/log/topics.ts'
import { acquireLease } from '../shared/objects/lease.ts'
import { ManualClock } from '../shared/runtime/clock.ts'
import { ArmedFailpoints } from '../shared/runtime/failpoints.ts'
import type { Row } from '../shared/warehouse/warehouse.ts'
import { readStagingList } from './flatten.ts'
import { PARTS_POLL_MS } from './limits.ts'
import { LEASE_NAME, partFileName } from './object-names.ts'
import type { Shard } from './shard.ts'
import { over } from './testing/altered-port.ts'
import {
  BatchMachine,
  PARTITIONS,
  type BatchSettings,
  type Ports,
} from './testing/batch-machine.ts'
import { fillLog } from './testing/scenario.ts'

const RUN = 'batch/runs/0000000001'
const BUILD_TIMEOUT_MS = 120_000
/** Offset after which a partition cannot be read: a file of it is there by then. */
const FAILS_AFTER = 3

/** Waiting is moving the clock, and whatever the test does meanwhile. */
class ImpatientClock extends ManualClock {
  meanwhile: () => Promise<unknown> = () => Promise.resolve()

  override async sleep(delayMs: number): Promise<void> {
    await this.meanwhile()
    await this.advance(delayMs)
  }
}

let clock: ImpatientClock
let gold: { readonly tables: Record<string, readonly Row[]>; readonly raw: Map<string, string> }
let machine: BatchMachine

async function openFilled(): Promise<BatchMachine> {
  clock = new ImpatientClock()
  const opened = await BatchMachine.open({ clock })
  const log = opened.ports.log
  await fillLog({ log, clock, partitions: PARTITIONS, seed: 5, turns: 16 })
  return opened
}

beforeAll(async () => {
  const alone = await openFilled()
  await alone.run()
  gold = { tables: await alone.tables(), raw: await alone.rawFiles() }
  await alone.close()
}, BUILD_TIMEOUT_MS)
beforeEach(async () => {
  machine = await openFilled()
}, BUILD_TIMEOUT_MS)
afterEach(() => machine.close())

const shardsOf = (count: number): Shard[] =>
  [...Array(count).keys()].map((index) => ({ index, count }))
const runShard = (shard: Shard, settings: BatchSettings = {}) =>
  machine.batch({ holder: `shard ${shard.index}`, ...settings }).runShard({ shard })

async function expectGold(): Promise<void> {
  expect(await machine.rawFiles()).toEqual(gold.raw)
  const found = await machine.tables()
  expect(found['events']?.length).toBeGreaterThan(10)
  // The ledger names the staging files, which are those of a range here.
  for (const [name, rows] of Object.entries(gold.tables)) {
    const withoutStaging = (row: Row) => ({ ...row, staging_file: null })
    expect(found[name]?.map(withoutStaging), name).toEqual(rows.map(withoutStaging))
  }
}

test.each([2, 50])('%i shards at once, then the merge', async (count) => {
  // All of them move the one clock when they have waited for the cut, by more than a lease in all.
  clock.meanwhile = async () => {
    await expect.poll(() => machine.names(`${RUN}/cut.json`)).toHaveLength(1)
  }
  const settings = { settings: { BATCH_PARTITIONS_AT_ONCE: '4', BATCH_LEASE_MS: '3600000' } }
  const made = await Promise.all(shardsOf(count).map((shard) => runShard(shard, settings)))
  expect(new Set(made.map((done) => (done.outcome === 'idle' ? 0 : done.run)))).toEqual(
    new Set([1]),
  )
  const staged = await machine.names(`${RUN}/events-`)
  await machine.run({}, { mergeWithinMs: 0 })
  // The merge has made no file itself.
  expect(await machine.names(`${RUN}/events-`)).toEqual(staged)
  await expectGold()
})

test('a merge makes what no shard has made in time', async () => {
  await runShard({ index: 0, count: 2 })
  const sinceMs = clock.nowMs()
  await machine.run({}, { mergeWithinMs: 3 * PARTS_POLL_MS })
  expect(clock.nowMs() - sinceMs).toBe(3 * PARTS_POLL_MS)
  await expectGold()
})

test('a merge takes no cut, and goes on as soon as the last part is there', async () => {
  const merge = (mergeWithinMs: number) => machine.batch().run({ mergeWithinMs })
  expect(await merge(0)).toMatchObject({ outcome: 'idle' })
  await runShard({ index: 0, count: 2 })
  clock.meanwhile = () => runShard({ index: 1, count: 2 })
  const sinceMs = clock.nowMs()
  expect(await merge(3_600_000)).toMatchObject({ outcome: 'completed' })
  expect(clock.nowMs() - sinceMs).toBe(PARTS_POLL_MS)
  await expectGold()
})

test('a new cut waits for whoever has the lease; one that is there does not', async () => {
  const { objects } = machine.ports
  const durationMs = 3_600_000
  const held = { name: LEASE_NAME, holder: 'an erasure', durationMs, clock }
  const erasure = await acquireLease(objects, held)
  const settings = { BATCH_LEASE_MS: `${3 * PARTS_POLL_MS}` }
  await expect(runShard({ index: 0, count: 2 }, { settings })).rejects.toMatchObject({
    code: 'LEASE_HELD',
  })
  expect(await machine.names('batch/')).toEqual([])
  clock.meanwhile = () => erasure.release()
  expect(await runShard({ index: 0, count: 2 }, { settings })).toMatchObject({ run: 1 })
  const merge = await acquireLease(objects, held)
  expect(await runShard({ index: 1, count: 2 }, { settings })).toMatchObject({ run: 1 })
  await merge.release()
})

test('a run without shards makes what the shards have not, and a repeat of a shard nothing', async () => {
  await runShard({ index: 1, count: 3 })
  expect(await runShard({ index: 1, count: 3 })).toMatchObject({ made: 0 })
  await machine.run()
  await expectGold()
  expect(await machine.batch().run()).toMatchObject({ outcome: 'idle' })
})

test('shards that are cut off at every step are repeated, in another number', async () => {
  const steps = ['batch.afterCut', 'batch.afterSomeRawFiles', 'batch.afterSomeParts'] as const
  for (const name of steps)
    for (const shard of shardsOf(2)) {
      const failpoints = new ArmedFailpoints()
      failpoints.arm(name, () => Promise.reject(new Error('killed')))
      await expect(runShard(shard, { failpoints }), name).rejects.toThrow('killed')
    }
  for (const shard of shardsOf(3)) await runShard(shard)
  await machine.run({}, { mergeWithinMs: 0 })
  await expectGold()
})

test('of a partition that a shard cannot read to its end nothing is kept, and the others are loaded', async () => {
  const wrap = ({ log, ...ports }: Ports): Ports => ({
    ...ports,
    log: over(log, {
      read: (topic, partition, request) =>
        topic === TOPICS.events && partition === 1 && request.fromOffset > FAILS_AFTER
          ? Promise.reject(logErrors.create('LOG_UNAVAILABLE'))
          : log.read(topic, partition, request),
    }),
  })
  const settings = { BATCH_RAW_FILE_BYTES: '1024', BATCH_FETCH_RECORDS_MAX: '1' }
  const filesOfPartition = async () =>
    (await machine.names('raw/topic=playback.events/')).filter((name) => name.includes('/p=01/'))
  await runShard({ index: 0, count: 1 }, { wrap, settings })
  expect(await filesOfPartition()).not.toEqual([])
  const report = await machine.run({}, { mergeWithinMs: 0 })
  expect(report.problems).toMatchObject([
    { topic: 'playback.events', partition: 1, code: 'BATCH_PARTITION_UNREADABLE' },
  ])
  expect(await filesOfPartition()).toEqual([])
  await machine.run()
  expect((await machine.tables())['events']?.length).toBe(gold.tables['events']?.length)
  const ledger = await machine.query('SELECT file FROM ledger')
  const listed = ledger.map((row) => String(row['file'])).toSorted()
  expect(await machine.names('raw/')).toEqual(listed)
})

test('what a shard makes too late goes again, and so does what a killed one left', async () => {
  const failpoints = new ArmedFailpoints()
  failpoints.arm('batch.afterSomeRawFiles', async () => {
    failpoints.arm('batch.afterSomeRawFiles', undefined)
    await machine.run()
  })
  expect(await runShard({ index: 0, count: 1 }, { failpoints })).toMatchObject({ made: 1 })
  const { objects } = machine.ports
  const listed = (await readStagingList(objects, 1))?.map(({ name }) => name).toSorted()
  const parquet = async () =>
    (await machine.names(RUN)).filter((name) => name.endsWith('.parquet')).toSorted()
  expect(await parquet()).toEqual(listed)
  await objects.create(partFileName(1, 'events', 0, 9), Buffer.of(1))
  await machine.batch().run()
  expect(await parquet()).toEqual(listed)
  await expectGold()
})
