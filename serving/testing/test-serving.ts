/** A server for the tests of serving, and ways to speak to it. */
import { request, type ClientRequest } from 'node:http'
import { json } from 'node:stream/consumers'
import { SignJWT } from 'jose'
import type { z } from 'zod'
import { createTokenVerifier } from '../../shared/auth/token-verifier.ts'
import { DEFAULT_CUT_IDS, parseCut } from '../../shared/qoe/cuts.ts'
import { DEFAULT_FOLD_LIMITS } from '../../shared/qoe/fold.ts'
import { ManualClock, systemClock } from '../../shared/runtime/clock.ts'
import { readConfig } from '../../shared/runtime/config.ts'
import { createTelemetryBase } from '../../shared/runtime/telemetry.ts'
import { problemSchema } from '../api-schemas.ts'
import { servingConfig, type ServingConfig } from '../config.ts'
import type { ServingLimits } from '../limits.ts'
import { startServing, type RunningServing, type ServingOptions } from '../start.ts'
import { MemoryEventLog, MemorySpeedStore, TEST_VIEW } from './test-stores.ts'

const MINUTE_MS = 60_000
/** Half a minute into a minute. */
export const NOW_MS = 30_000_000 * MINUTE_MS + 30_000
const SECRET = 'a secret of at least thirty-two characters'

export interface ServingSetup {
  readonly config?: Partial<ServingConfig>
  readonly limits?: Partial<ServingLimits>
  readonly auth?: boolean
  readonly speed?: MemorySpeedStore
  readonly log?: MemoryEventLog
  readonly activeView?: NonNullable<ServingOptions['activeView']>
  readonly batch?: NonNullable<ServingOptions['batch']>
  readonly content?: NonNullable<ServingOptions['content']>
  readonly readReconcile?: NonNullable<ServingOptions['readReconcile']>
  /** The test's clock when time is not to stand still. */
  readonly clock?: ManualClock
}

const running: RunningServing[] = []

/** A whole server in this process, its stores in memory, its clock at `NOW_MS`. */
export async function startTestServing(setup: ServingSetup = {}) {
  const speed = setup.speed ?? new MemorySpeedStore()
  const clock = setup.clock ?? new ManualClock(NOW_MS)
  const telemetry = createTelemetryBase('silent')
  const serving = await startServing({
    config: { ...readConfig(servingConfig, {}, () => ''), port: 0, ...setup.config },
    log: (setup.log ?? new MemoryEventLog()).asEventLog(),
    speed,
    telemetry,
    clock,
    verifier: createTokenVerifier(
      {
        mode: setup.auth === true ? 'hs256' : 'none',
        secret: SECRET,
        jwksUrl: '',
        issuer: '',
        audience: '',
      },
      clock,
    ),
    cuts: DEFAULT_CUT_IDS.map(parseCut),
    view: TEST_VIEW,
    foldLimits: DEFAULT_FOLD_LIMITS,
    partitions: 1,
    ...(setup.activeView && { activeView: setup.activeView }),
    ...(setup.batch === undefined ? {} : { batch: setup.batch }),
    ...(setup.content === undefined ? {} : { content: setup.content }),
    ...(setup.readReconcile === undefined ? {} : { readReconcile: setup.readReconcile }),
    ...(setup.limits === undefined ? {} : { limits: setup.limits }),
  })
  running.push(serving)
  return { serving, speed, clock }
}

/** Stops what is still running; for `afterEach`. */
export async function stopTestServings(): Promise<void> {
  for (const serving of running.splice(0)) await serving.stop()
}

export async function token(scope: string, expiresAtMs = NOW_MS + MINUTE_MS): Promise<string> {
  return new SignJWT({ scope })
    .setProtectedHeader({ alg: 'HS256' })
    .setIssuedAt(NOW_MS / 1_000)
    .setExpirationTime(Math.floor(expiresAtMs / 1_000))
    .sign(new TextEncoder().encode(SECRET))
}

/** Polls until `check` holds; fails after `withinMs`. */
export async function eventually(check: () => boolean, withinMs = 15_000): Promise<void> {
  const deadlineMs = systemClock.monotonicMs() + withinMs
  while (!check()) {
    if (systemClock.monotonicMs() > deadlineMs)
      throw new Error(`it did not come true in ${withinMs} ms`)
    await systemClock.sleep(5)
  }
}

export interface UpgradeAnswer {
  readonly status: number
  /** Why the upgrade was refused. */
  readonly problem?: z.infer<typeof problemSchema>
}

/** Asks for an upgrade to `/v1/live`, with headers that a WebSocket client does not let one set. */
export function requestUpgrade(
  port: number,
  headers: Readonly<Record<string, string>> = {},
): ClientRequest {
  return request({
    host: '127.0.0.1',
    port,
    path: '/v1/live',
    headers: {
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
      ...headers,
    },
  }).end()
}

/** What such a request is answered; a connection that was opened is dropped at once. */
export function upgrade(
  port: number,
  headers?: Readonly<Record<string, string>>,
): Promise<UpgradeAnswer> {
  return new Promise((resolve, reject) => {
    const call = requestUpgrade(port, headers)
    call.on('upgrade', (response, socket) => {
      socket.destroy()
      resolve({ status: response.statusCode ?? 0 })
    })
    call.on('response', (response) => {
      json(response)
        .then((body) =>
          resolve({ status: response.statusCode ?? 0, problem: problemSchema.parse(body) }),
        )
        .catch(reject)
    })
    call.on('error', reject)
  })
}

/** Value of a gauge without labels on `/metrics`. */
export async function gauge(serving: RunningServing, name: string): Promise<number> {
  const text = await (await fetch(`${serving.url}/metrics`)).text()
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1])
}
