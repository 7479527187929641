import { afterEach, expect, test } from 'vitest'
import { ManualClock } from '../shared/runtime/clock.ts'
import { createTelemetryBase, type TelemetryBase } from '../shared/runtime/telemetry.ts'
import { BatchClient } from './batch-client.ts'
import {
  BATCH_ANSWER_GRACE_MS,
  BATCH_READY_WAIT_MS,
  BATCH_REQUESTS_MAX,
  BATCH_RESTART_FIRST_MS,
  BATCH_STOP_GRACE_MS,
} from './limits.ts'
import { createStandaloneTelemetry } from './telemetry.ts'

const STAND_IN = new URL('testing/batch-stand-in/main.ts', import.meta.url)
const LIMITS = { maxRows: 10_000, timeoutMs: 1_000 }
const select = (sql: string) => ({ sql })

let client: BatchClient
let clock: ManualClock
let telemetry: TelemetryBase
afterEach(() => client.stop())

function startClient(manner = ''): BatchClient {
  clock = new ManualClock()
  telemetry = createTelemetryBase('silent')
  client = new BatchClient({
    environment: { PATH: process.env['PATH'], STAND_IN: manner },
    clock,
    telemetry: createStandaloneTelemetry(telemetry),
    entry: STAND_IN,
  })
  client.start()
  return client
}

async function gauge(name: string): Promise<number> {
  const text = await telemetry.registry.metrics()
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1])
}

test('rows come whole and in order, however many messages they take', async () => {
  const session = await startClient().open()
  for (const count of [0, 1, 1_001]) {
    const rows = await session.query(select(`rows ${count}`), LIMITS)
    expect(rows).toHaveLength(count)
    expect(rows.at(-1)).toEqual(count === 0 ? undefined : { n: BigInt(count - 1), nothing: null })
  }
})

test('a typed error is the same on this side', async () => {
  const session = await startClient().open()
  await expect(session.query(select('nonsense'), LIMITS)).rejects.toMatchObject({
    code: 'WAREHOUSE_QUERY_INVALID',
    message: expect.stringContaining('expected a SELECT, received nonsense') as string,
    spec: { status: 400, retryable: false },
  })
})

test('what the schedule does is known, and a run that ended is told', async () => {
  let runs = 0
  startClient().onRun(() => runs++)
  await expect.poll(() => runs).toBe(1)
  expect(client.activity.nextRunAtMs).toBe(17)
})

test('a process that ends fails what was under way, and is started again', async () => {
  const session = await startClient().open()
  const first = client.processId
  const hanging = session.query(select('hang'), LIMITS)
  const crashing = session.query(select('crash'), LIMITS)
  for (const each of [hanging, crashing])
    await expect(each).rejects.toMatchObject({ code: 'STANDALONE_BATCH_AWAY' })
  expect([client.processId, await gauge('standalone_batch_up')]).toEqual([undefined, 0])
  expect(client.activity.nextRunAtMs).toBeUndefined()
  await clock.advance(BATCH_RESTART_FIRST_MS)
  const again = await client.open()
  expect(client.processId).not.toBe(first)
  expect(await gauge('standalone_batch_up')).toBe(1)
  expect(await gauge('standalone_batch_restarts_total')).toBe(1)
  // The new process has a session of the same number, which is not this one.
  await expect(session.query(select('rows 1'), LIMITS)).rejects.toMatchObject({
    code: 'STANDALONE_BATCH_AWAY',
  })
  await session.close()
  expect(await again.query(select('rows 1'), LIMITS)).toHaveLength(1)
  expect(await client.metrics()).toBe('closed 0')
})

test('each end in a row doubles the pause before the next start', async () => {
  startClient()
  for (const pauseMs of [BATCH_RESTART_FIRST_MS, 2 * BATCH_RESTART_FIRST_MS]) {
    const session = await client.open()
    await expect(session.query(select('crash'), LIMITS)).rejects.toThrow('STANDALONE_BATCH_AWAY')
    await clock.advance(pauseMs - 1)
    expect(client.processId).toBeUndefined()
    await clock.advance(1)
    expect(client.processId).toBeDefined()
  }
})

test('a process that does not answer costs the asker its time and no more', async () => {
  const session = await startClient().open()
  const hanging = session.query(select('hang'), LIMITS)
  await clock.advance(LIMITS.timeoutMs + BATCH_ANSWER_GRACE_MS)
  await expect(hanging).rejects.toMatchObject({ code: 'STANDALONE_BATCH_AWAY' })
  expect(await gauge('standalone_batch_requests_in_flight')).toBe(0)
  expect(await session.query(select('rows 1'), LIMITS)).toHaveLength(1)
})

test('requests are bounded', async () => {
  const session = await startClient().open()
  const hanging = Array.from({ length: BATCH_REQUESTS_MAX }, () =>
    session.query(select('hang'), LIMITS).catch((error: unknown) => error),
  )
  await expect(session.query(select('rows 1'), LIMITS)).rejects.toMatchObject({
    code: 'STANDALONE_BATCH_BUSY',
  })
  expect(await gauge('standalone_batch_requests_in_flight')).toBe(BATCH_REQUESTS_MAX)
  await clock.advance(LIMITS.timeoutMs + BATCH_ANSWER_GRACE_MS)
  expect(await Promise.all(hanging)).toHaveLength(BATCH_REQUESTS_MAX)
  expect(await session.query(select('rows 1'), LIMITS)).toHaveLength(1)
})

test('a process that does not become ready is waited for within bounds', async () => {
  startClient('mute')
  const opening = client.open()
  await clock.advance(BATCH_READY_WAIT_MS)
  await expect(opening).rejects.toMatchObject({ code: 'STANDALONE_BATCH_AWAY' })
  expect(await client.metrics()).toBe('')
})

test('a session is closed over there', async () => {
  const session = await startClient().open()
  await session.close()
  await expect.poll(() => client.metrics()).toBe('closed 1')
})

test('a process that takes no notice of a stop is killed', async () => {
  const { processId } = startClient('stubborn')
  await client.open()
  const stopping = client.stop()
  await clock.advance(BATCH_STOP_GRACE_MS)
  await stopping
  expect(client.processId).toBeUndefined()
  expect(() => process.kill(processId ?? 0, 0)).toThrow('ESRCH')
  await clock.advance(60_000)
  expect(client.processId).toBeUndefined()
})
