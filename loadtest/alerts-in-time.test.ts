/**
 * How soon an alert is told: processor and serving over the embedded stores, on a clock that moves
 * only when nobody has anything left to do. So what is measured is how long they wait for one another,
 * by their own periods, and not how fast the machine is.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { alertsConfig, processorConfig } from '../processor/config.ts'
import { startProcessor, type RunningProcessor } from '../processor/start.ts'
import { WebhookReceiver } from '../shared/alerts/testing/webhook-receiver.ts'
import { servingConfig } from '../serving/config.ts'
import { startServing, type RunningServing } from '../serving/start.ts'
import { decodeAlert, type Alert } from '../shared/alerts/alert.ts'
import { parseRules } from '../shared/alerts/rules.ts'
import { createTokenVerifier } from '../shared/auth/token-verifier.ts'
import type { EventLog } from '../shared/log/event-log.ts'
import { openLmdbEventLog } from '../shared/log/lmdb-event-log.ts'
import { encodeFrameRecord, FRAME_SCHEMA } from '../shared/log/record.ts'
import { createSealer } from '../shared/log/reject-record.ts'
import { TOPICS, topicSpecs } from '../shared/log/topics.ts'
import { openFolderObjectStore } from '../shared/objects/folder-object-store.ts'
import type { ObjectStore } from '../shared/objects/object-store.ts'
import { MINUTE_MS } from '../shared/qoe/aggregates.ts'
import { DEFAULT_CUT_IDS, parseCut } from '../shared/qoe/cuts.ts'
import { DEFAULT_FOLD_LIMITS } from '../shared/qoe/fold.ts'
import { ManualClock } from '../shared/runtime/clock.ts'
import { readConfig } from '../shared/runtime/config.ts'
import { noFailpoints } from '../shared/runtime/failpoints.ts'
import { seededRandom } from '../shared/runtime/random.ts'
import { createTelemetryBase } from '../shared/runtime/telemetry.ts'
import { openLmdbSpeedStore } from '../shared/speed/lmdb-speed-store.ts'
import type { SpeedStore } from '../shared/speed/speed-store.ts'

/** From the row after which a minute may be judged to the alert at everybody who is told of it. */
const TOLD_WITHIN_MS = 1_000
const STEP_MS = 50
/** While nothing is measured. */
const LONG_STEP_MS = 1_000
const MAP_BYTES = 2 ** 28
const CUTS = DEFAULT_CUT_IDS.map(parseCut)
/** Rounds of the event loop without a call under way after which nothing follows any more. */
const QUIET_ROUNDS = 5
const RULES = {
  rules: [
    {
      id: 'start-failures',
      title: 'Starts fail',
      metric: 'vsfRatio',
      cut: 'cdn',
      condition: { kind: 'threshold', direction: 'above', value: 0.2 },
      minimumSamples: 4,
      resolve: { minutes: 1 },
    },
  ],
}

const clock = new ManualClock()
let folder: string
let log: EventLog
let speed: SpeedStore
let objects: ObjectStore
let processor: RunningProcessor
let serving: RunningServing
let receiver: WebhookReceiver
let socket: WebSocket
/** Calls of the processor that the stores have not answered; reads of the log wait by the clock. */
let callsUnderWay = 0
/** When a partition said that its narrow rows are whole up to a time, by that time. */
const saidWhole: { readonly watermarkMs: number; readonly atMs: number }[] = []
const streamed: Alert[] = []
let sessions = 0

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'backhaul-alerts-'))
  log = await openLmdbEventLog({ folder: join(folder, 'log'), mapBytes: MAP_BYTES, clock })
  speed = await openLmdbSpeedStore({ folder: join(folder, 'speed'), mapBytes: MAP_BYTES, clock })
  objects = await openFolderObjectStore({ folder: join(folder, 'objects'), clock })
  const retention = { logRetentionMs: 10 ** 10, logRetentionBytes: 2 ** 30 }
  await log.ensureTopics(topicSpecs({ partitions: 1, ...retention }))
  receiver = await WebhookReceiver.open()
  processor = await startRealProcessor()
  serving = await startRealServing()
  socket = await openLive()
})

afterEach(async () => {
  socket.close()
  await serving.stop()
  await processor.stop()
  await receiver.close()
  await log.close()
  await speed.close()
  await objects.close()
  await rm(folder, { recursive: true, force: true })
})

test('an alert is in the topic, at the webhook and in the live stream within a second of the row, and so is its end', async () => {
  await toNextMinute()
  await attempts({ failing: 8 })
  await toNextMinute()
  const raised = await expectToldInTime('raised')
  await attempts({ failing: 0 })
  await toNextMinute()
  const resolved = await expectToldInTime('resolved')
  expect(resolved.alertId).toBe(raised.id)
  expect(streamed).toHaveLength(2)
  expect(receiver.alerts).toHaveLength(2)
})

/**
 * Lets the second after the row pass and no more: whatever a machine takes over its work then, by the
 * clock of the product nobody was told later.
 */
async function expectToldInTime(state: Alert['state']): Promise<Alert> {
  const minuteEndMs = Math.floor(clock.nowMs() / MINUTE_MS) * MINUTE_MS
  const wholeAtMs = () => saidWhole.find(({ watermarkMs }) => watermarkMs >= minuteEndMs)?.atMs
  while (wholeAtMs() === undefined) await step()
  const deadlineMs = (wholeAtMs() ?? 0) + TOLD_WITHIN_MS
  while (clock.nowMs() + STEP_MS <= deadlineMs) await step()
  const told = { state, minuteStartMs: minuteEndMs - MINUTE_MS }
  const { records } = await log.read(TOPICS.alerts, 0, {
    fromOffset: 0,
    maxRecords: 100,
    maxBytes: 2 ** 20,
    waitMs: 0,
  })
  const [last] = records.map(({ value }) => decodeAlert(value)).slice(-1)
  expect(last).toMatchObject(told)
  // Both are sockets, which take their own time; the clock stands still meanwhile.
  await expect.poll(() => streamed.at(-1)).toMatchObject(told)
  await expect.poll(() => receiver.alerts.at(-1)).toMatchObject(told)
  if (last === undefined) throw new Error('the topic has no alert')
  return last
}

async function step(durationMs = STEP_MS): Promise<void> {
  await clock.advance(durationMs)
  for (let quiet = 0; quiet < QUIET_ROUNDS; quiet = callsUnderWay === 0 ? quiet + 1 : 0)
    await new Promise((resolve) => setImmediate(resolve))
}

async function toNextMinute(): Promise<void> {
  const minuteEndMs = (Math.floor(clock.nowMs() / MINUTE_MS) + 1) * MINUTE_MS
  while (clock.nowMs() < minuteEndMs)
    await step(Math.min(LONG_STEP_MS, minuteEndMs - clock.nowMs()))
}

/** Eight attempts on one CDN, of which so many fail before the start. */
async function attempts({ failing }: { readonly failing: number }): Promise<void> {
  const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))
  for (let index = 0; index < 8; index += 1) {
    const sessionId = `s${(sessions += 1)}`
    const at = clock.nowMs()
    const end =
      index < failing
        ? { seq: 1, type: 'playbackFail', code: 'x', at }
        : { seq: 1, type: 'playbackStart', at }
    const value = encodeFrameRecord({
      contextJson: encode({ sessionId, contentId: 'movie-1', cdn: 'a' }),
      sentAtMs: at,
      receivedAtMs: at,
      rejectedSeqs: [],
      events: [{ seq: 0, type: 'playbackRequest', at }, end].map(encode),
    })
    await log.append(TOPICS.events, 0, [
      { key: sessionId, value, headers: { schema: FRAME_SCHEMA } },
    ])
  }
}

function startRealProcessor(): Promise<RunningProcessor> {
  const webhook = {
    PROCESSOR_ALERTS_WEBHOOK_URL: receiver.url,
    PROCESSOR_ALERTS_WEBHOOK_SECRET: 'a secret of the webhook',
    PROCESSOR_ALERTS_WEBHOOK_TIMEOUT_MS: '60000',
  }
  return startProcessor({
    config: readConfig(processorConfig, { PROCESSOR_TICK_IDLE_MS: '1000' }, () => ''),
    log: counted(log),
    speed: counted(speed, {
      async putPartitions(rows) {
        await speed.putPartitions(rows)
        for (const { narrowWatermarkMs } of rows)
          saidWhole.push({ watermarkMs: narrowWatermarkMs, atMs: clock.nowMs() })
      },
    }),
    objects: counted(objects),
    telemetry: createTelemetryBase('silent'),
    clock,
    random: seededRandom(1),
    failpoints: noFailpoints,
    sealer: createSealer(new Uint8Array(32).fill(9)),
    cuts: CUTS,
    partitions: 1,
    alerts: {
      config: readConfig(alertsConfig, webhook, () => ''),
      rules: parseRules(JSON.stringify(RULES), CUTS),
    },
  })
}

function startRealServing(): Promise<RunningServing> {
  const auth = { mode: 'none', secret: '', jwksUrl: '', issuer: '', audience: '' } as const
  return startServing({
    config: { ...readConfig(servingConfig, {}, () => ''), port: 0 },
    log,
    speed,
    telemetry: createTelemetryBase('silent'),
    clock,
    verifier: createTokenVerifier(auth, clock),
    cuts: CUTS,
    view: processor.view,
    foldLimits: DEFAULT_FOLD_LIMITS,
    partitions: 1,
  })
}

/** Resolves when the stream has said what is open, after which it misses nothing. */
function openLive(): Promise<WebSocket> {
  const live = new WebSocket(`${serving.url.replace('http', 'ws')}/v1/live`)
  return new Promise((resolve, reject) => {
    live.addEventListener('error', () => reject(new Error('no live stream')))
    live.addEventListener('open', () => live.send(JSON.stringify({ alerts: true })))
    live.addEventListener('message', ({ data }) => {
      const message = JSON.parse(String(data)) as { readonly alert?: Alert }
      if (message.alert !== undefined) streamed.push(message.alert)
      resolve(live)
    })
  })
}

/** The port, with the calls under way counted, and some of its methods replaced. */
function counted<Port extends object>(port: Port, methods: Partial<Port> = {}): Port {
  return new Proxy(port, {
    get(target, name) {
      const method: unknown = Reflect.get(methods, name) ?? Reflect.get(target, name)
      if (typeof method !== 'function' || name === 'read' || name === 'joinGroup')
        return typeof method === 'function' ? (method.bind(target) as unknown) : method
      return async (...args: unknown[]) => {
        callsUnderWay += 1
        try {
          return (await Reflect.apply(method, target, args)) as unknown
        } finally {
          callsUnderWay -= 1
        }
      }
    },
  })
}
