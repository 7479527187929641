import { expect, test } from 'vitest'
import { logErrors } from '../shared/log/log-errors.ts'
import { ManualClock } from '../shared/runtime/clock.ts'
import { ArmedFailpoints } from '../shared/runtime/failpoints.ts'
import { seededRandom } from '../shared/runtime/random.ts'
import { ByteBudget } from './byte-budget.ts'
import { Lane, LaneRecord, type LaneBounds, type RecordOwner } from './lane.ts'
import { LanePacer } from './lane-pacer.ts'
import type { RefusalReason } from './ledger.ts'
import {
  APPEND_STALL_MS,
  LANE_DEAD_ENTRIES_MAX,
  LOG_DOWN_HOLD_MS,
  RECORD_COST_BYTES,
} from './limits.ts'
import { ControlledLog } from './testing/controlled-log.ts'
import { pass, settle } from './testing/passing-time.ts'

const TOPIC = 'playback.events'

const BOUNDS: LaneBounds = {
  maxRecords: 10,
  maxBytes: 100_000,
  batchMaxRecords: 4,
  batchMaxBytes: 50_000,
  deadlineMs: 1_000,
}

class Owner implements RecordOwner {
  isLive = true
  readonly told: string[] = []
  record: LaneRecord | undefined

  recordAppended(): void {
    this.told.push('appended')
  }

  recordDropped(): void {
    this.told.push('dropped')
  }

  recordFailed(): void {
    this.told.push('failed')
  }

  refuse(reason: RefusalReason): void {
    this.isLive = false
    this.told.push(`refused:${reason}`)
    if (this.record !== undefined) this.record.lane?.discard(this.record)
  }
}

async function setUp(bounds: Partial<LaneBounds> = {}) {
  const clock = new ManualClock()
  const log = new ControlledLog(clock)
  await log.ensureTopics([{ name: TOPIC, partitions: 1, retentionMs: 1, retentionBytes: 1 }])
  const budget = new ByteBudget(1_000_000)
  const failpoints = new ArmedFailpoints()
  const failures: string[] = []
  const lane = new Lane({
    topic: TOPIC,
    partition: 0,
    bounds: { ...BOUNDS, ...bounds },
    log,
    pacer: new LanePacer({ lingerMinMs: 5, lingerMaxMs: 25, requestsPerSecond: 300 }, clock),
    budget,
    clock,
    random: seededRandom(1),
    failpoints,
    observer: {
      appended: () => undefined,
      failed: (_lane, error) => failures.push(String(error)),
    },
  })
  const offer = (text: string, valueBytes = 10) => {
    const owner = new Owner()
    const value = new Uint8Array(valueBytes)
    const record = new LaneRecord({ key: text, value, headers: {} }, 'events', 1, owner)
    owner.record = record
    return { owner, record, taken: lane.offer(record) }
  }
  const keys = () => log.records(TOPIC).map(({ key }) => key)
  return { clock, log, budget, failpoints, failures, lane, offer, keys }
}

test('a lane lingers since its last turn, then appends what it collected in one batch, in order', async () => {
  const { clock, log, lane, offer, keys, budget } = await setUp()
  offer('first')
  await pass(clock, 1)
  expect(keys()).toEqual(['first'])
  const owners = ['a', 'b', 'c'].map((key) => offer(key).owner)
  await pass(clock, 3)
  expect(log.appends).toBe(1)
  await pass(clock, 1)
  await settle()
  expect(keys()).toEqual(['first', 'a', 'b', 'c'])
  expect(log.appends).toBe(2)
  expect(owners.map(({ told }) => told)).toEqual([['appended'], ['appended'], ['appended']])
  expect(budget.usedBytes).toBe(0)
  expect(lane.isIdle).toBe(true)
})

test('a full batch does not linger, and one append is under way at a time', async () => {
  const { clock, log, offer, keys } = await setUp()
  offer('first')
  await pass(clock, 1)
  log.hold()
  for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) offer(key)
  await clock.advance(0)
  expect(log.heldAppends).toBe(1)
  await pass(clock, 20)
  expect(log.heldAppends).toBe(1)
  log.release()
  await pass(clock, 5)
  expect(keys()).toEqual(['first', 'a', 'b', 'c', 'd', 'e', 'f'])
  expect(log.appends).toBe(3)
})

test('a batch is cut at its bytes, but one record always fits', async () => {
  const { clock, log, offer } = await setUp({ batchMaxBytes: 1_000 })
  offer('a', 600)
  offer('b', 600)
  offer('c', 5_000)
  await pass(clock, 5)
  await settle()
  expect(log.appends).toBe(3)
})

test('records and bytes are bounded, and room comes back', async () => {
  const { clock, log, offer, lane } = await setUp({ maxRecords: 2, batchMaxRecords: 10 })
  log.hold()
  expect([offer('a').taken, offer('b').taken, offer('c').taken]).toEqual([true, true, false])
  expect(lane.backlogRecords).toBe(2)
  await pass(clock, 5)
  expect(lane.backlogRecords).toBe(0)
  expect(offer('d').taken).toBe(true)
  expect(lane.backlogRecords).toBe(1)
  log.release()
  await settle()
  const bytes = await setUp({ maxBytes: 2 * (RECORD_COST_BYTES + 101) })
  expect(bytes.offer('a', 100).taken).toBe(true)
  expect(bytes.offer('b', 101).taken).toBe(false)
  expect(bytes.offer('b', 100).taken).toBe(true)
  expect(bytes.lane.backlogBytes).toBe(2 * (RECORD_COST_BYTES + 101))
})

test('the process budget bounds a lane that has room', async () => {
  const { offer, budget } = await setUp({ maxBytes: 10_000_000, maxRecords: 1_000 })
  expect(budget.take(1_000_000 - RECORD_COST_BYTES - 11)).toBe(true)
  expect(offer('a', 11).taken).toBe(false)
  expect(offer('a', 10).taken).toBe(true)
  expect(budget.usedBytes).toBe(budget.maxBytes)
})

test('a failed append is repeated in order with what came since, until it succeeds', async () => {
  const { clock, log, offer, keys, failures } = await setUp()
  log.fail()
  const { owner } = offer('a')
  offer('b')
  await pass(clock, 100)
  offer('c')
  await pass(clock, 400)
  expect(failures.length).toBeGreaterThan(2)
  expect(owner.told).toEqual([])
  log.heal()
  await pass(clock, 1_000)
  await settle()
  expect(keys()).toEqual(['a', 'b', 'c'])
  expect(owner.told).toEqual(['appended'])
})

test('repeats wait longer and longer, up to a second', async () => {
  const { clock, log, offer } = await setUp({ deadlineMs: 1_000_000 })
  log.fail()
  offer('a')
  await pass(clock, 10_000)
  const early = log.appends
  await pass(clock, 10_000)
  expect(early).toBeLessThan(30)
  expect(log.appends - early).toBeGreaterThanOrEqual(10)
  expect(log.appends - early).toBeLessThanOrEqual(20)
})

test('past the deadline the owners are refused, and what waits is dropped and freed', async () => {
  const { clock, log, offer, lane, budget } = await setUp()
  log.fail()
  const first = offer('a').owner
  await pass(clock, 500)
  const second = offer('b').owner
  await pass(clock, 500)
  lane.expire(clock.monotonicMs())
  expect(first.told).toEqual(['refused:deadline', 'dropped'])
  expect(second.told).toEqual([])
  await pass(clock, 500)
  lane.expire(clock.monotonicMs())
  expect(second.told).toEqual(['refused:deadline', 'dropped'])
  expect(budget.usedBytes).toBe(0)
  await pass(clock, 2_000)
  expect(lane.isIdle).toBe(true)
})

test('a record under way when its owner is refused still settles, one way or the other', async () => {
  const held = await setUp()
  held.log.hold()
  const { owner } = held.offer('a')
  await pass(held.clock, 1_100)
  held.lane.expire(held.clock.monotonicMs())
  expect(owner.told).toEqual(['refused:deadline'])
  expect(held.budget.usedBytes).toBeGreaterThan(0)
  held.log.release()
  await settle()
  expect(owner.told).toEqual(['refused:deadline', 'appended'])
  expect(held.budget.usedBytes).toBe(0)

  const failed = await setUp()
  failed.log.hold()
  const gone = failed.offer('a').owner
  await pass(failed.clock, 1_100)
  failed.lane.expire(failed.clock.monotonicMs())
  failed.log.fail()
  failed.log.release()
  await settle()
  expect(gone.told).toEqual(['refused:deadline', 'dropped'])
  expect(failed.budget.usedBytes).toBe(0)
})

test('the one record that the log will not take fails alone; its neighbours go on in order', async () => {
  const { clock, log, offer, keys, lane, budget } = await setUp()
  log.failWith((records) =>
    records.some(({ key }) => key === 'bad') ? logErrors.create('LOG_RECORD_TOO_LARGE') : undefined,
  )
  const good = [offer('a').owner, offer('b').owner]
  const bad = offer('bad').owner
  good.push(offer('c').owner, offer('d').owner)
  await pass(clock, 500)
  await settle()
  expect(bad.told).toEqual(['failed'])
  expect(good.map(({ told }) => told)).toEqual(good.map(() => ['appended']))
  expect(keys()).toEqual(['a', 'b', 'c', 'd'])
  expect(budget.usedBytes).toBe(0)
  expect(lane.downSinceMs(clock.monotonicMs())).toBeUndefined()
})

test('a failing lane counts as down until it succeeds or nothing was tried for a while', async () => {
  const { clock, log, offer, lane } = await setUp()
  log.fail()
  const { record } = offer('a')
  await pass(clock, 10)
  const downSinceMs = lane.downSinceMs(clock.monotonicMs())
  expect(downSinceMs).toBeDefined()
  await pass(clock, 1_500)
  expect(lane.downSinceMs(clock.monotonicMs())).toBe(downSinceMs)
  lane.discard(record)
  await pass(clock, 1_000 + LOG_DOWN_HOLD_MS)
  expect(lane.downSinceMs(clock.monotonicMs())).toBeUndefined()
  log.heal()
  offer('b')
  await pass(clock, 5)
  await settle()
  expect(lane.downSinceMs(clock.monotonicMs())).toBeUndefined()
})

test('an append that never returns counts as down from its start', async () => {
  const { clock, log, offer, lane } = await setUp()
  log.hold()
  offer('a')
  await clock.advance(0)
  expect(log.heldAppends).toBe(1)
  await pass(clock, APPEND_STALL_MS)
  expect(lane.downSinceMs(clock.monotonicMs())).toBeUndefined()
  await pass(clock, 10)
  expect(lane.downSinceMs(clock.monotonicMs())).toBe(0)
})

test('a queue of discarded records does not grow while an append hangs', async () => {
  const { clock, log, offer, lane } = await setUp({ maxRecords: 1, batchMaxRecords: 1 })
  log.hold()
  offer('under way')
  await pass(clock, 5)
  for (let round = 0; round < 3_000; round++) {
    const { record, taken } = offer(`${round}`)
    expect(taken).toBe(true)
    lane.discard(record)
    expect(lane.queueEntries).toBeLessThanOrEqual(LANE_DEAD_ENTRIES_MAX + 3)
  }
  const last = offer('last')
  expect(last.taken).toBe(true)
  log.release()
  await pass(clock, 10)
  expect(last.owner.told).toEqual(['appended'])
})

test('failpoints before and after the append show as failures of the append', async () => {
  const { clock, log, failpoints, offer, keys } = await setUp()
  failpoints.arm('gateway.afterAppend', () => {
    failpoints.arm('gateway.afterAppend', undefined)
    throw logErrors.create('LOG_UNAVAILABLE')
  })
  const { owner } = offer('a')
  await pass(clock, 200)
  await settle()
  expect(owner.told).toEqual(['appended'])
  expect(keys()).toEqual(['a', 'a'])
  expect(log.appends).toBe(2)
})
