/** A pool of real processes at one port, each over a log in memory. */
import { join } from 'node:path'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { afterEach, expect, test } from 'vitest'
import { claimPort } from '../../shared/http/listen.ts'
import { systemClock } from '../../shared/runtime/clock.ts'
import { seededRandom } from '../../shared/runtime/random.ts'
import { startAdmin } from '../admin.ts'
import { frameText } from '../testing/connection-bench.ts'
import { askUpgrade, call, TestClient, until } from '../testing/test-gateway.ts'
import { GatewayPool } from './pool.ts'
import { createPoolTelemetry } from './telemetry.ts'

const cleanUps: (() => Promise<void> | void)[] = []

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp()
})

async function createPool(args: readonly string[] = []) {
  const host = '127.0.0.1'
  const port = await claimPort({ host, port: 0 }, (code) => new Error(code))
  const base = { registry: new Registry(), log: pino({ level: 'silent' }) }
  const pool = new GatewayPool({
    processes: 2,
    module: join(import.meta.dirname, '..', 'testing', 'pool-child.ts'),
    args,
    environment: { PATH: process.env['PATH'] },
    port,
    drainGraceMs: 5_000,
    registry: base.registry,
    telemetry: createPoolTelemetry(base),
    clock: systemClock,
    random: seededRandom(9),
  })
  const admin = await startAdmin({
    config: { adminHost: host, adminPort: 0, adminTlsCertificateFile: '', adminTlsKeyFile: '' },
    unreadyCode: () => pool.unreadyCode,
    metrics: () => pool.metrics(),
  })
  cleanUps.push(
    () => admin.close(),
    () => pool.stop(),
  )
  return { pool, port, adminPort: admin.port }
}

const ready = async (adminPort: number) => (await call(adminPort, { path: '/readyz' })).status

async function metric(adminPort: number, pattern: RegExp): Promise<number> {
  const { text } = await call(adminPort, { path: '/metrics' })
  return Number(pattern.exec(text)?.[1])
}

/** Every series of the merged metrics that is a count, by its line up to the value. */
async function countsShown(adminPort: number): Promise<ReadonlyMap<string, number>> {
  const { text } = await call(adminPort, { path: '/metrics' })
  const counted = /_total|_count|_sum|_bucket|^gateway_(events|refused_events|frames)/
  const lines = text.split('\n').filter((line) => counted.test(line) && !line.startsWith('#'))
  return new Map(
    lines.map((line) => {
      const blank = line.lastIndexOf(' ')
      return [line.slice(0, blank), Number(line.slice(blank + 1))]
    }),
  )
}

const EVENTS = (outcome: string) => `gateway_events{outcome="${outcome}"}`

/** Opens connections until every process has some. */
async function openOnAll(port: number, count: number): Promise<TestClient[]> {
  return await Promise.all(Array.from({ length: count }, () => TestClient.open(port)))
}

test('processes share the port; the parent merges their metrics, replaces one that dies, and drains all', async () => {
  const { pool, port, adminPort } = await createPool()
  expect(await ready(adminPort)).toBe(503)
  await pool.start()
  await until(async () => (await ready(adminPort)) === 200)
  const clients = await openOnAll(port, 40)
  for (const client of clients) client.send(frameText(0))
  await Promise.all(clients.map((client) => client.untilAcked(0)))
  expect(await metric(adminPort, /^gateway_connections (\d+)$/m)).toBe(40)
  expect(await metric(adminPort, /^gateway_events\{outcome="accepted"\} (\d+)$/m)).toBe(40)
  expect(await metric(adminPort, /^gateway_ready (\d+)$/m)).toBe(1)
  expect(await metric(adminPort, /^gateway_pool_processes\{state="ready"\} (\d+)$/m)).toBe(2)

  const [first] = pool.members
  const killed = first?.pid ?? 0
  process.kill(killed, 'SIGKILL')
  await until(async () => (await ready(adminPort)) === 503)
  await until(() => clients.some(({ closed }) => closed !== undefined))
  const left = clients.filter(({ closed }) => closed === undefined)
  expect(left.length).toBeGreaterThan(0)
  await until(async () => (await ready(adminPort)) === 200)
  expect(first?.pid).not.toBe(killed)
  expect(await metric(adminPort, /^gateway_pool_restarts_total (\d+)$/m)).toBe(1)
  for (const client of left) {
    client.send(frameText(1))
    await client.untilAcked(1)
  }

  const stopped = pool.stop()
  expect(await call(adminPort, { path: '/readyz' })).toMatchObject({
    status: 503,
    json: { code: 'GATEWAY_DRAINING' },
  })
  await stopped
  await until(() => left.every(({ closed }) => closed !== undefined))
  for (const { closed } of left) expect(closed?.code).toBe(1001)
  expect(pool.members.map(({ state }) => state)).toEqual(['stopped', 'stopped'])
  await expect(askUpgrade(port)).rejects.toThrow('ECONNREFUSED')
})

test('no count falls when a process is killed or drained, and the equation holds', async () => {
  const { pool, port, adminPort } = await createPool()
  await pool.start()
  await until(async () => (await ready(adminPort)) === 200)
  const clients = await openOnAll(port, 40)
  for (const client of clients) client.send(frameText(0))
  await Promise.all(clients.map((client) => client.untilAcked(0)))
  // Told by the processes themselves: nobody has asked for metrics yet.
  await until(() => {
    const told = pool.members.flatMap(({ lastMetrics }) => lastMetrics)
    const frames = told.filter(({ name }) => name === 'gateway_frames')
    const values = frames.flatMap((metric) => metric.values.map(({ value }) => value))
    return values.reduce((sum, value) => sum + value, 0) === 40
  })

  let before: ReadonlyMap<string, number> = new Map()
  const noneFell = async () => {
    const now = await countsShown(adminPort)
    for (const [series, value] of before)
      expect(now.get(series), series).toBeGreaterThanOrEqual(value)
    const [received, ...outcomes] = ['received', 'accepted', 'rejected', 'refused', 'inFlight']
    const sum = outcomes.reduce((total, outcome) => total + (now.get(EVENTS(outcome)) ?? 0), 0)
    expect(now.get(EVENTS(received ?? ''))).toBe(sum)
    before = new Map([...now].filter(([series]) => series !== EVENTS('inFlight')))
    return now
  }
  const [first] = pool.members
  const killed = first?.pid ?? 0
  process.kill(killed, 'SIGKILL')
  await until(async () => {
    await noneFell()
    return first?.pid !== killed && (await ready(adminPort)) === 200
  })
  expect((await noneFell()).get(EVENTS('accepted'))).toBe(40)
  expect(await metric(adminPort, /^gateway_connections (\d+)$/m)).toBeLessThan(40)

  // What was counted since a process last told of it, it tells when it is drained.
  const left = clients.filter(({ closed }) => closed === undefined)
  for (const client of left) client.send(frameText(1))
  await Promise.all(left.map((client) => client.untilAcked(1)))
  await pool.restart()
  expect((await noneFell()).get(EVENTS('accepted'))).toBe(40 + left.length)
  expect(await metric(adminPort, /^gateway_connections (\d+)$/m)).toBe(0)
})

test('a rolling restart replaces one process after another, and clients find the others', async () => {
  const { pool, port, adminPort } = await createPool()
  await pool.start()
  await until(async () => (await ready(adminPort)) === 200)
  const clients = await openOnAll(port, 20)
  const before = pool.members.map(({ pid }) => pid)
  let fewestReady = 2
  let isOver = false
  const restarted = pool.restart().then(() => (isOver = true))
  let opened = 0
  const turnedAway: string[] = []
  while (!isOver) {
    fewestReady = Math.min(
      fewestReady,
      pool.members.filter(({ state }) => state === 'ready').length,
    )
    // Who is just being accepted by a process that goes is cut or answered 503, and tries again.
    const answer = await askUpgrade(port).catch(() => undefined)
    if (answer?.status === 101) opened += 1
    else turnedAway.push(JSON.stringify(answer?.json ?? 'cut'))
    // Slower than the rate of upgrades.
    await systemClock.sleep(5)
  }
  await restarted
  expect(opened).toBeGreaterThan(10)
  expect(turnedAway.length, turnedAway.join()).toBeLessThanOrEqual(10)
  expect(fewestReady).toBe(1)
  const after = pool.members.map(({ pid }) => pid)
  expect(after.some((pid) => before.includes(pid))).toBe(false)
  await until(() => clients.every(({ closed }) => closed?.code === 1001))
  expect(await metric(adminPort, /^gateway_pool_restarts_total (\d+)$/m)).toBe(0)
})

test('a pool whose processes do not start says so and leaves none behind', async () => {
  const { pool } = await createPool(['--broken'])
  await expect(pool.start()).rejects.toThrow(/GATEWAY_PROCESS_FAILED.*2 processes.*received 0/)
  expect(pool.members.map(({ pid }) => pid)).toEqual([undefined, undefined])
})

test('a port that others listen at is not claimed, though the kernel would share it', async () => {
  const { pool, port } = await createPool()
  await pool.start()
  await expect(claimPort({ host: '127.0.0.1', port }, (code) => new Error(code))).rejects.toThrow(
    'EADDRINUSE',
  )
})
