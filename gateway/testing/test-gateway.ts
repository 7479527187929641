/** A gateway on a free port over a controlled log, and clients to talk to it. */
import { request } from 'node:http'
import { Writable } from 'node:stream'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { createTokenVerifier, type TokenVerifier } from '../../shared/auth/token-verifier.ts'
import { createPseudonymiser, parseKeyring } from '../../shared/events/identity.ts'
import type { EventLog } from '../../shared/log/event-log.ts'
import { createSealer } from '../../shared/log/reject-record.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import { systemClock, type Clock } from '../../shared/runtime/clock.ts'
import { readConfig } from '../../shared/runtime/config.ts'
import { noFailpoints } from '../../shared/runtime/failpoints.ts'
import { seededRandom } from '../../shared/runtime/random.ts'
import { extraTopics, gatewayConfig, type GatewayConfig } from '../config.ts'
import { startGateway, type RunningGateway } from '../start.ts'
import { ControlledLog } from './controlled-log.ts'

const PARTITIONS = 2
const DEADLINE_MS = 15_000

export { frameHeader, RawClient } from '../../shared/http/testing/raw-websocket.ts'

export const SECRET = 'a secret of at least thirty-two characters'

/** Settings of a gateway that answers quickly and has a free port. */
export function testConfig(overrides: Partial<GatewayConfig> = {}): GatewayConfig {
  const defaults = readConfig(gatewayConfig, {}, () => '')
  const config = {
    ...defaults,
    port: 0,
    laneLingerMs: 0,
    slowRetryMs: 50,
    drainDelayMs: 0,
    drainSpreadMs: 0,
    drainGraceMs: 2_000,
    ...overrides,
  }
  gatewayConfig.check?.(config)
  return config
}

export interface TestGatewayOptions {
  readonly config?: Partial<GatewayConfig>
  readonly log?: EventLog
  readonly clock?: Clock
  readonly ingestKeys?: readonly string[]
  readonly auth?: 'none' | 'hs256'
  /** Instead of that of `auth`. */
  readonly verifier?: TokenVerifier
  readonly sharesPort?: boolean
  /** Of pseudonyms, newest first. */
  readonly keyring?: string
}

const KEYRING = `k:${Buffer.alloc(32, 1).toString('base64')}`

export function testVerifier(mode: 'none' | 'hs256', clock: Clock = systemClock): TokenVerifier {
  return createTokenVerifier({ mode, secret: SECRET, jwksUrl: '', issuer: '', audience: '' }, clock)
}

export async function startTestGateway(options: TestGatewayOptions = {}) {
  const { clock = systemClock, auth = 'none', ingestKeys = [], sharesPort = false } = options
  const controlled = new ControlledLog(clock)
  const log = options.log ?? controlled
  const config = testConfig(options.config)
  const topics = [TOPICS.events, TOPICS.rejects, ...extraTopics(config)]
  const retention = { retentionMs: 86_400_000, retentionBytes: 2 ** 30 }
  await log.ensureTopics(topics.map((name) => ({ name, partitions: PARTITIONS, ...retention })))
  const logged: string[] = []
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      logged.push(chunk.toString())
      done()
    },
  })
  const registry = new Registry()
  const sealer = createSealer(Buffer.alloc(32, 2))
  const pseudonymiser = createPseudonymiser(parseKeyring(options.keyring ?? KEYRING))
  const gateway = await startGateway({
    config,
    log,
    telemetry: { registry, log: pino({ level: 'trace' }, sink) },
    clock,
    random: seededRandom(11),
    verifier: options.verifier ?? testVerifier(auth, clock),
    pseudonymiser,
    sealer,
    failpoints: noFailpoints,
    partitions: PARTITIONS,
    ingestKeys,
    sharesPort,
  })
  started.push(gateway)
  return {
    ...gateway,
    get unreadyCode() {
      return gateway.unreadyCode
    },
    log: controlled,
    registry,
    sealer,
    pseudonymiser,
    logged,
  }
}

const started: RunningGateway[] = []

/** Stops whatever a test file has started; for its `afterAll`. */
export async function stopTestGateways(): Promise<void> {
  await Promise.all(started.splice(0).map((gateway) => gateway.stop()))
}

export type TestGateway = Awaited<ReturnType<typeof startTestGateway>>

/** Waits until `condition` gives something, at most five seconds. */
export async function until<Value>(
  condition: () => Value | undefined | false | Promise<Value | undefined | false>,
): Promise<Value> {
  const deadlineMs = systemClock.nowMs() + DEADLINE_MS
  for (;;) {
    const value = await condition()
    if (value !== undefined && value !== false) return value
    if (systemClock.nowMs() > deadlineMs)
      throw new Error(`not within ${DEADLINE_MS} ms: ${condition}`)
    await systemClock.sleep(2)
  }
}

type Message = Record<string, unknown> & {
  readonly ack?: number
  readonly slow?: { readonly resendFrom: number; readonly retryAfterMs: number }
}

/** A browser's WebSocket. */
export class TestClient {
  readonly socket: WebSocket
  readonly messages: Message[] = []
  closed: { readonly code: number; readonly reason: string } | undefined

  constructor(port: number, protocols: string | string[] = 'playback.v1') {
    this.socket = new WebSocket(`ws://127.0.0.1:${port}/v1/events`, protocols)
    this.socket.binaryType = 'arraybuffer'
    this.socket.addEventListener('message', (event) => {
      this.messages.push(JSON.parse(String(event.data)) as Message)
    })
    this.socket.addEventListener('close', ({ code, reason }) => {
      this.closed = { code, reason }
    })
    this.socket.addEventListener('error', () => undefined)
  }

  /** Connects and waits for the welcome. */
  static async open(port: number, protocols?: string | string[]): Promise<TestClient> {
    const client = new TestClient(port, protocols)
    await until(() => client.messages.length > 0)
    return client
  }

  send(data: string | Uint8Array<ArrayBuffer>): void {
    this.socket.send(data)
  }

  get acked(): number {
    return this.messages.reduce((last, { ack }) => Math.max(last, ack ?? -1), -1)
  }

  untilAcked(frame: number): Promise<boolean> {
    return until(() => this.acked >= frame)
  }

  untilClosed(): Promise<{ readonly code: number; readonly reason: string }> {
    return until(() => this.closed)
  }
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  readonly json: Record<string, unknown>
}

export interface HttpCall {
  readonly method?: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

/** One HTTP request on its own connection; upgrades that are refused are answers too. */
export function call(port: number, options: HttpCall): Promise<HttpAnswer> {
  const { method = 'GET', path, headers = {}, body } = options
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { host: '127.0.0.1', port, method, path, headers, agent: false },
      (incoming) => {
        const chunks: Buffer[] = []
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
        incoming.on('end', () => {
          const text = Buffer.concat(chunks).toString()
          const json = text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : {}
          resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text, json })
        })
      },
    )
    outgoing.on('error', reject)
    outgoing.on('upgrade', (incoming, socket) => {
      socket.destroy()
      resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text: '', json: {} })
    })
    outgoing.end(body)
  })
}

/** Asks for an upgrade and tells how it is answered. */
export function askUpgrade(
  port: number,
  headers: Readonly<Record<string, string>> = {},
): Promise<HttpAnswer> {
  return call(port, {
    path: '/v1/events',
    headers: {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      'sec-websocket-version': '13',
      'sec-websocket-protocol': 'playback.v1',
      ...headers,
    },
  })
}
