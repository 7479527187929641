/**
 * The reference client against the real gateway on the embedded log: whatever happens between
 * them, everything the client was told is durable can be read back from the log, byte for byte.
 */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SignJWT } from 'jose'
import { afterEach, describe, expect, test } from 'vitest'
import type { ClientProblem } from '../client/client-errors.ts'
import type { RejectedReport } from '../client/connection.ts'
import { PlaybackClient } from '../client/playback-client.ts'
import { gatewayConfig } from '../gateway/config.ts'
import { startGateway, type RunningGateway } from '../gateway/start.ts'
import { createTokenVerifier } from '../shared/auth/token-verifier.ts'
import { createPseudonymiser, parseKeyring } from '../shared/events/identity.ts'
import type { PlaybackEvent } from '../shared/events/schema.ts'
import type { EventLog } from '../shared/log/event-log.ts'
import { openLmdbEventLog } from '../shared/log/lmdb-event-log.ts'
import { logErrors } from '../shared/log/log-errors.ts'
import { createSealer } from '../shared/log/reject-record.ts'
import { TOPICS } from '../shared/log/topics.ts'
import { systemClock } from '../shared/runtime/clock.ts'
import { readConfig } from '../shared/runtime/config.ts'
import { ArmedFailpoints } from '../shared/runtime/failpoints.ts'
import { StopStack } from '../shared/runtime/lifecycle.ts'
import { systemRandom } from '../shared/runtime/random.ts'
import { createTelemetryBase } from '../shared/runtime/telemetry.ts'
import { ClientPool } from './simulator/client-pool.ts'
import { deliver, ROUGH_DELIVERY, type DeliveredFrame } from './simulator/delivery.ts'
import { simulateAudience } from './simulator/simulate-audience.ts'

const PARTITIONS = 2
const WAIT_MS = 15_000
const SECRET = 'a secret of at least thirty-two characters'
const CLOCK_OFFSETS_MS = [0, 3 * 86_400_000]

let stack = new StopStack()
afterEach(async () => {
  await stack.stop()
  stack = new StopStack()
})

interface Bench {
  readonly log: EventLog
  readonly failpoints: ArmedFailpoints
  start(settings?: Record<string, string>, authMode?: 'none' | 'hs256'): Promise<RunningGateway>
}

async function setUp(): Promise<Bench> {
  const folder = await mkdtemp(join(tmpdir(), 'client-gateway-'))
  stack.add('folder', () => rm(folder, { recursive: true, force: true }))
  const failpoints = new ArmedFailpoints()
  const log = await openLmdbEventLog({ folder, mapBytes: 2 ** 28, clock: systemClock, failpoints })
  stack.add('log', () => log.close())
  const retention = { retentionMs: 86_400_000, retentionBytes: 2 ** 30 }
  await log.ensureTopics([
    { name: TOPICS.events, partitions: PARTITIONS, ...retention },
    { name: TOPICS.rejects, partitions: 1, ...retention },
  ])
  return {
    log,
    failpoints,
    async start(settings = {}, mode = 'none') {
      const gateway = await startGateway({
        config: readConfig(gatewayConfig, { GATEWAY_PORT: '0', ...settings }, () => ''),
        log,
        telemetry: createTelemetryBase('silent'),
        clock: systemClock,
        random: systemRandom,
        verifier: createTokenVerifier(
          { mode, secret: SECRET, jwksUrl: '', issuer: '', audience: '' },
          systemClock,
        ),
        pseudonymiser: createPseudonymiser(
          parseKeyring(`k1:${Buffer.alloc(32, 7).toString('base64')}`),
        ),
        sealer: createSealer(Buffer.alloc(32, 9)),
        failpoints,
        partitions: PARTITIONS,
      })
      let stopped = false
      const stop = async () => {
        if (stopped) return
        stopped = true
        await gateway.stop()
      }
      stack.add('gateway', stop)
      return { ...gateway, ledgers: gateway.ledgers, stop }
    },
  }
}

/** A port by number: one that was taken as 0 cannot be taken again right after. */
async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  probe.close()
  await once(probe, 'close')
  return port
}

const socketUrl = (gateway: RunningGateway) => `${gateway.url.replace('http', 'ws')}/v1/events`

function connectPool(gateway: RunningGateway, problems: ClientProblem[] = []): ClientPool {
  const pool = new ClientPool({
    url: socketUrl(gateway),
    clockOffsetsMs: CLOCK_OFFSETS_MS,
    connectionsPerClock: 1,
    clock: systemClock,
    random: systemRandom,
    limits: { backoffBaseMs: 50, backoffMaxMs: 200 },
    onProblem: (problem) => void problems.push(problem),
  })
  stack.add('pool', () => pool.close())
  pool.connect()
  return pool
}

function roughFrames(seed: number): DeliveredFrame[] {
  const audience = simulateAudience({
    seed,
    sessions: 25,
    startAtMs: systemClock.nowMs() - 40 * 60_000,
    arrivalSpanMs: 10 * 60_000,
    clockOffsetsMs: CLOCK_OFFSETS_MS,
    watchMedianMs: 2 * 60_000,
  })
  return deliver(audience.sessions, { ...ROUGH_DELIVERY, seed })
}

/** Every event in the log, `sessionId/seq` → its bytes; copies must be equal. */
async function eventsInLog(log: EventLog): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (let partition = 0; partition < PARTITIONS; partition++) {
    let fromOffset = 0
    for (;;) {
      const bounds = { fromOffset, maxRecords: 1_000, maxBytes: 2 ** 24, waitMs: 0 }
      const { records } = await log.read(TOPICS.events, partition, bounds)
      if (records.length === 0) break
      for (const { value, key, offset } of records) {
        fromOffset = offset + 1
        const text = Buffer.from(value).toString('utf8')
        const { events } = JSON.parse(text) as { events: PlaybackEvent[] }
        for (const event of events) {
          const bytes = JSON.stringify(event)
          if (!text.includes(bytes)) throw new Error(`bytes of ${key}/${event.seq} were changed`)
          const known = found.get(`${key}/${event.seq}`)
          if (known !== undefined && known !== bytes) throw new Error('two events, one identity')
          found.set(`${key}/${event.seq}`, bytes)
        }
      }
    }
  }
  return found
}

function eventsOf(frames: readonly DeliveredFrame[]): Map<string, string> {
  return new Map(
    frames.flatMap(({ sessionId, events }) =>
      events.map((event) => [`${sessionId}/${event.seq}`, JSON.stringify(event)] as const),
    ),
  )
}

describe('client and gateway', () => {
  test('an audience arrives whole, byte for byte', async () => {
    const { log, start } = await setUp()
    const gateway = await start()
    const problems: ClientProblem[] = []
    const pool = connectPool(gateway, problems)
    const frames = roughFrames(1)
    await pool.sendAll(frames)
    expect(await pool.flush(WAIT_MS)).toBe(true)
    expect(await eventsInLog(log)).toEqual(eventsOf(frames))
    expect(pool.metrics).toMatchObject({ framesResent: 0, eventsRejected: 0 })
    expect(problems).toEqual([])
  })

  test('under the tightest credit no frame goes beyond it', async () => {
    const { log, start } = await setUp()
    const gateway = await start({
      GATEWAY_CREDIT_FRAMES: '2',
      GATEWAY_CREDIT_BYTES: '4096',
      GATEWAY_FRAME_MAX_BYTES: '4096',
    })
    const problems: ClientProblem[] = []
    const pool = connectPool(gateway, problems)
    const frames = roughFrames(2).slice(0, 200)
    await pool.sendAll(frames)
    expect(await pool.flush(WAIT_MS)).toBe(true)
    expect(await eventsInLog(log)).toEqual(eventsOf(frames))
    expect(problems).toEqual([])
  })

  test('a rate limit slows the client down and loses nothing', async () => {
    const { log, start } = await setUp()
    const gateway = await start({
      GATEWAY_FRAMES_PER_SECOND_MAX: '400',
      GATEWAY_FRAMES_BURST_MAX: '80',
    })
    const problems: ClientProblem[] = []
    const pool = connectPool(gateway, problems)
    const frames = roughFrames(3).slice(0, 600)
    await pool.sendAll(frames)
    expect(await pool.flush(WAIT_MS)).toBe(true)
    expect(await eventsInLog(log)).toEqual(eventsOf(frames))
    expect(pool.metrics.framesResent).toBeGreaterThan(0)
    expect(problems).toEqual([])
  })

  test('a log that fails for a while is waited for', async () => {
    const { log, failpoints, start } = await setUp()
    const gateway = await start({
      GATEWAY_APPEND_DEADLINE_MS: '100',
      GATEWAY_SLOW_RETRY_MS: '50',
    })
    let failures = 0
    failpoints.arm('gateway.beforeAppend', () => {
      failures += 1
      throw logErrors.create('LOG_UNAVAILABLE')
    })
    const pool = connectPool(gateway)
    const frames = roughFrames(4).slice(0, 300)
    const sent = pool.sendAll(frames)
    await expect.poll(() => pool.metrics.framesResent, { timeout: WAIT_MS }).toBeGreaterThan(0)
    expect(pool.metrics.eventsAcknowledged).toBe(0)
    failpoints.arm('gateway.beforeAppend', undefined)
    await sent
    expect(await pool.flush(WAIT_MS)).toBe(true)
    expect(failures).toBeGreaterThan(0)
    expect(await eventsInLog(log)).toEqual(eventsOf(frames))
  })

  test('a gateway that drains and one that takes its place lose nothing between them', async () => {
    const { log, start } = await setUp()
    const settings = {
      GATEWAY_PORT: String(await freePort()),
      GATEWAY_DRAIN_SPREAD_MS: '200',
      GATEWAY_DRAIN_GRACE_MS: '3000',
    }
    const first = await start(settings)
    const problems: ClientProblem[] = []
    const pool = connectPool(first, problems)
    const frames = roughFrames(5)
    const sent = pool.sendAll(frames)
    await expect
      .poll(() => pool.metrics.eventsAcknowledged, { timeout: WAIT_MS })
      .toBeGreaterThan(0)
    await first.stop()
    const acknowledgedByFirst = pool.metrics.eventsAcknowledged
    expect((await eventsInLog(log)).size).toBeGreaterThan(0)
    await start(settings)
    await sent
    expect(await pool.flush(WAIT_MS)).toBe(true)
    expect(pool.metrics.connections).toBeGreaterThan(CLOCK_OFFSETS_MS.length)
    expect(pool.metrics.eventsAcknowledged).toBeGreaterThanOrEqual(acknowledgedByFirst)
    expect(await eventsInLog(log)).toEqual(eventsOf(frames))
    expect(problems.every(({ code }) => code === 'CLIENT_CONNECTION_LOST')).toBe(true)
  })

  test('a rejected event is told with its code, its neighbours are kept', async () => {
    const { log, start } = await setUp()
    const gateway = await start()
    const rejected: RejectedReport[] = []
    const client = new PlaybackClient({
      url: socketUrl(gateway),
      onRejected: (reports) => void rejected.push(...reports),
    })
    stack.add('client', () => client.close())
    client.connect()
    const good: PlaybackEvent = { seq: 0, type: 'playbackRequest', at: 1_800_000_000_000 }
    const bad = { ...good, seq: 1, at: 'soon' } as unknown as PlaybackEvent
    client.send({ sessionId: 'session-1' }, [good, bad])
    expect(await client.flush(WAIT_MS)).toBe(true)
    expect(rejected).toMatchObject([{ sessionId: 'session-1', seq: 1 }])
    expect(await eventsInLog(log)).toEqual(new Map([['session-1/0', JSON.stringify(good)]]))
  })

  test('a token in the subprotocol opens the connection, none does not', async () => {
    const { start } = await setUp()
    const gateway = await start({}, 'hs256')
    const token = () =>
      new SignJWT({ scope: 'write' })
        .setProtectedHeader({ alg: 'HS256' })
        .setSubject('viewer-1')
        .setExpirationTime('5 minutes')
        .sign(new TextEncoder().encode(SECRET))
    const event: PlaybackEvent = { seq: 0, type: 'playbackRequest', at: 1_800_000_000_000 }
    const problems: ClientProblem[] = []
    const open = (bearer: (() => Promise<string>) | undefined) => {
      const client = new PlaybackClient({
        url: socketUrl(gateway),
        token: bearer,
        onProblem: (problem) => void problems.push(problem),
      })
      stack.add('client', () => client.close())
      client.connect()
      client.send({ sessionId: 'session-1' }, [event])
      return client
    }
    expect(await open(token).flush(WAIT_MS)).toBe(true)
    expect(problems).toEqual([])
    const anonymous = open(undefined)
    await expect.poll(() => problems.length, { timeout: WAIT_MS }).toBeGreaterThan(0)
    expect(anonymous.metrics.eventsAcknowledged).toBe(0)
  })
})
