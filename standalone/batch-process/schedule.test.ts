import { afterEach, beforeEach, expect, test } from 'vitest'
import { ManualClock } from '../../shared/runtime/clock.ts'
import { defineErrors } from '../../shared/runtime/errors.ts'
import { BATCH_FIRST_RUN_MS, BATCH_RETRIES_MAX, BATCH_RETRY_FIRST_MS } from '../limits.ts'
import { BatchSchedule, type RunResult } from './schedule.ts'

const HOUR_MS = 3_600_000
const EVERY_MS = 6 * HOUR_MS
/** A turn of the schedule. */
const TURN_MS = 80_000 * EVERY_MS
const WHOLE: RunResult = { isCutShort: false, problem: undefined }
const errors = defineErrors({
  PASSING: { rule: 'it passes', retryable: true, action: 'wait' },
  LASTING: { rule: 'it lasts', retryable: false, action: 'mend it' },
})

let clock: ManualClock
let schedule: BatchSchedule
let startedAt: number[]
let results: (() => Promise<RunResult>)[]
let ends: number
beforeEach(() => {
  startedAt = []
  results = []
  ends = 0
})
afterEach(() => schedule.stop())

function startAt(nowMs: number, lastStartedAtMs: number | undefined, everyMs = EVERY_MS) {
  clock = new ManualClock(nowMs)
  schedule = new BatchSchedule({
    everyMs,
    clock,
    run: () => {
      startedAt.push(clock.nowMs())
      return results.shift()?.() ?? Promise.resolve(WHOLE)
    },
    onChange: ({ runEnded }) => void (ends += runEnded ? 1 : 0),
  })
  schedule.start(lastStartedAtMs)
}

/** Moves time in steps, so that what a run plans at its end is planned before the next step. */
async function pass(minutes: number): Promise<void> {
  for (let minute = 0; minute < minutes; minute++) {
    await clock.advance(60_000)
    await new Promise(setImmediate)
  }
}

test('runs come at whole multiples of the period, whenever the server was started', async () => {
  startAt(TURN_MS + 2 * HOUR_MS, TURN_MS + 5)
  expect(schedule.activity.nextRunAtMs).toBe(TURN_MS + EVERY_MS)
  await pass(13 * 60)
  expect(startedAt).toEqual([TURN_MS + EVERY_MS, TURN_MS + 2 * EVERY_MS])
  expect([ends, schedule.activity.failure]).toEqual([2, undefined])
})

test('a turn that was missed is made up for at once, and once', async () => {
  startAt(TURN_MS + 2 * HOUR_MS, TURN_MS - 3 * EVERY_MS)
  await pass(60)
  expect(startedAt).toEqual([TURN_MS + 2 * HOUR_MS])
  expect(schedule.activity.nextRunAtMs).toBe(TURN_MS + EVERY_MS)
})

test('the very first run comes soon after the first start', async () => {
  startAt(TURN_MS + 1_000, undefined)
  expect(schedule.activity.nextRunAtMs).toBe(TURN_MS + 1_000 + BATCH_FIRST_RUN_MS)
  await schedule.stop()
  startAt(TURN_MS + 1_000, undefined, 10_000)
  expect(schedule.activity.nextRunAtMs).toBe(TURN_MS + 10_000)
})

test('without a period nothing runs by itself', async () => {
  startAt(TURN_MS, TURN_MS - 9 * EVERY_MS, 0)
  await pass(10 * 60)
  expect([startedAt, schedule.activity.nextRunAtMs]).toEqual([[], undefined])
})

test('a run that failed is tried again after fixed pauses, then at its turn', async () => {
  const fail = () => Promise.reject(errors.create('PASSING', { expected: 'a', received: 'b' }))
  results = Array.from({ length: BATCH_RETRIES_MAX + 1 }, () => fail)
  startAt(TURN_MS, TURN_MS - 2 * EVERY_MS)
  await pass(60)
  const pauses = startedAt.slice(1).map((atMs, index) => atMs - (startedAt[index] ?? 0))
  expect(pauses).toEqual([1, 2, 4, 8, 16].map((times) => times * BATCH_RETRY_FIRST_MS))
  expect(schedule.activity).toMatchObject({
    isRunning: false,
    nextRunAtMs: TURN_MS + EVERY_MS,
    failure: { code: 'PASSING', atMs: startedAt.at(-1) },
  })
  await pass(6 * 60)
  expect(schedule.activity.failure).toBeUndefined()
})

test('what does not pass by itself is not tried again before its turn', async () => {
  results = [
    () => Promise.reject(errors.create('LASTING')),
    () => Promise.reject(new Error('secret detail')),
  ]
  startAt(TURN_MS, TURN_MS - 2 * EVERY_MS)
  await pass(60)
  expect(startedAt).toHaveLength(1)
  expect(schedule.activity.failure?.code).toBe('LASTING')
  await pass(5 * 60)
  expect(schedule.activity.failure?.code).toBe('STANDALONE_BATCH_FAILED')
  expect(schedule.activity.failure?.detail).not.toContain('secret')
})

test('a run that left records behind is followed by another at once', async () => {
  results = [
    () => Promise.resolve({ ...WHOLE, isCutShort: true }),
    () => Promise.resolve({ ...WHOLE, isCutShort: true }),
  ]
  startAt(TURN_MS, TURN_MS - 2 * EVERY_MS)
  await pass(60)
  expect(startedAt).toHaveLength(3)
})

test('a partition that was left out is told', async () => {
  const problem = { code: 'BATCH_DATA_LOSS', detail: 'gone' }
  results = [() => Promise.resolve({ ...WHOLE, problem })]
  startAt(TURN_MS, TURN_MS - 2 * EVERY_MS)
  await pass(1)
  expect(schedule.activity.failure).toMatchObject(problem)
})

test('a stop waits for the run, asks it to end, and nothing follows', async () => {
  let end: () => void = () => undefined
  results = [() => new Promise((resolve) => (end = () => resolve(WHOLE)))]
  startAt(TURN_MS, TURN_MS - 2 * EVERY_MS)
  await pass(1)
  expect(schedule.activity).toMatchObject({ isRunning: true, nextRunAtMs: undefined })
  let stopped = false
  const stopping = schedule.stop().then(() => (stopped = true))
  await pass(1)
  expect(stopped).toBe(false)
  end()
  await stopping
  await pass(13 * 60)
  expect(startedAt).toHaveLength(1)
})
