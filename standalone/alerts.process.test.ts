/**
 * A standalone server on a clock that runs faster: stalls on one CDN become one alert in the topic, at
 * the webhook, on the live connection and in the answer of the API, and are then resolved.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { decodeAlert, type Alert } from '../shared/alerts/alert.ts'
import { openLmdbEventLog } from '../shared/log/lmdb-event-log.ts'
import { TOPICS } from '../shared/log/topics.ts'
import { systemClock, type Clock } from '../shared/runtime/clock.ts'
import { noFailpoints } from '../shared/runtime/failpoints.ts'
import { systemRandom } from '../shared/runtime/random.ts'
import { startStandalone, type RunningStandalone } from './start.ts'

const FASTER = 20
const DEADLINE_MS = 120_000
const PARTITIONS = 2

/** System time from the start on, so many times as fast. */
function fastClock(): Clock {
  const startMs = systemClock.nowMs()
  const begunMs = systemClock.monotonicMs()
  const passedMs = () => (systemClock.monotonicMs() - begunMs) * FASTER
  return {
    nowMs: () => Math.floor(startMs + passedMs()),
    monotonicMs: passedMs,
    after: (delayMs, task) => systemClock.after(delayMs / FASTER, task),
    every: (periodMs, task) => systemClock.every(periodMs / FASTER, task),
    sleep: (delayMs, signal) => systemClock.sleep(delayMs / FASTER, signal),
    nextTurn: (task) => systemClock.nextTurn(task),
  }
}

let folder: string
let server: RunningStandalone | undefined
let receiver: Server | undefined

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'backhaul-alerts-'))
})
afterEach(async () => {
  await server?.stop()
  receiver?.closeAllConnections()
  receiver?.close()
  rmSync(folder, { recursive: true, force: true })
})

const RULES = {
  rules: [
    {
      id: 'stalls',
      title: 'Viewers stall',
      severity: 'critical',
      metric: 'stalledTimeRatio',
      cut: 'cdn',
      condition: { kind: 'threshold', direction: 'above', value: 0.2 },
      minimumSamples: 1,
      resolve: { minutes: 1 },
    },
  ],
}

test('stalls on one CDN are one alert everywhere', { timeout: DEADLINE_MS }, async () => {
  const posted: Alert[] = []
  const { url: webhookUrl } = await openReceiver((alert) => void posted.push(alert))
  const rulesPath = join(folder, 'rules.json')
  writeFileSync(rulesPath, JSON.stringify(RULES))
  const clock = fastClock()
  server = await startStandalone({
    environment: {
      BACKHAUL_DATA_DIR: join(folder, 'data'),
      BACKHAUL_LOG_LEVEL: 'silent',
      BACKHAUL_PARTITIONS: `${PARTITIONS}`,
      GATEWAY_PORT: '0',
      SERVING_PORT: '0',
      BATCH_EVERY_MS: '0',
      PROCESSOR_ALERTS_RULES_PATH: rulesPath,
      PROCESSOR_ALERTS_WEBHOOK_URL: webhookUrl,
      PROCESSOR_ALERTS_WEBHOOK_SECRET: 'a secret of the webhook',
    },
    clock,
    random: systemRandom,
  })
  const heard: Alert[] = []
  const live = await follow(server.servingUrl, (alert) => void heard.push(alert))

  const viewers = ['a', 'b'].map((cdn) => new Viewers(server?.gatewayUrl ?? '', cdn, clock))
  await Promise.all(viewers.map((each) => each.report('playbackStart')))
  await untilEnd(
    clock,
    () => heard.length > 0,
    async () => {
      await viewers[0]?.report('playbackStall')
      await viewers[1]?.report('heartbeat')
    },
  )
  const raised = await fetch(`${server.servingUrl}/v1/alerts`)
  expect(await raised.json()).toMatchObject({ open: [{ key: { cdn: 'a' } }], openTotal: 1 })
  await viewers[0]?.report('playbackStart')
  await untilEnd(
    clock,
    () => heard.length > 1,
    async () => {
      await Promise.all(viewers.map((each) => each.report('heartbeat')))
    },
  )
  await expect.poll(() => posted.length).toBeGreaterThan(1)
  live.close()
  const dataDir = server.dataDir
  await server.stop()
  server = undefined

  const states = [
    { state: 'raised', rule: 'stalls', key: { cdn: 'a' } },
    { state: 'resolved', rule: 'stalls', key: { cdn: 'a' } },
  ]
  expect(heard).toMatchObject(states)
  const ids = heard.map(({ id }) => id)
  expect([...new Set(posted.map(({ id }) => id))]).toEqual(ids)
  expect(await idsInTopic(join(dataDir, 'log'))).toEqual(ids)
})

/** Reports every few seconds of the server's time until `isOver`. */
async function untilEnd(
  clock: Clock,
  isOver: () => boolean,
  report: () => Promise<void>,
): Promise<void> {
  while (!isOver()) {
    await report()
    await clock.sleep(10_000)
  }
}

/** Three sessions on one CDN, which report together. */
class Viewers {
  readonly #url: string
  readonly #cdn: string
  readonly #clock: Clock
  #seq = 0

  constructor(gatewayUrl: string, cdn: string, clock: Clock) {
    this.#url = new URL('/v1/events', gatewayUrl.replace(/^ws/, 'http')).href
    this.#cdn = cdn
    this.#clock = clock
  }

  async report(type: string): Promise<void> {
    const seq = this.#seq++
    for (let viewer = 0; viewer < 3; viewer += 1) {
      const at = this.#clock.nowMs()
      const session = {
        sessionId: `${this.#cdn}-${viewer}`,
        contentId: 'movie',
        streamType: 'vod',
        cdn: this.#cdn,
      }
      const frame = { v: 1, sentAt: at, session, events: [{ seq, type, at }] }
      const response = await fetch(this.#url, { method: 'POST', body: JSON.stringify(frame) })
      if (response.status !== 204) throw new Error(await response.text())
    }
  }
}

async function openReceiver(onAlert: (alert: Alert) => void): Promise<{ readonly url: string }> {
  const opened = createServer((request, response) => {
    void json(request).then((alert) => {
      onAlert(alert as Alert)
      response.writeHead(204).end()
    })
  })
  receiver = opened
  await new Promise<void>((resolve) => opened.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(opened.address() as AddressInfo).port}/` }
}

/** Resolves when the live connection has what is open. */
function follow(servingUrl: string, onAlert: (alert: Alert) => void): Promise<WebSocket> {
  const socket = new WebSocket(`${servingUrl.replace(/^http/, 'ws')}/v1/live`, 'live.v1')
  return new Promise((resolve, reject) => {
    socket.addEventListener('error', () => reject(new Error('no live connection')))
    socket.addEventListener('open', () => socket.send('{"alerts":true}'))
    socket.addEventListener('message', ({ data }) => {
      const message = JSON.parse(String(data)) as { alert?: Alert; alerts?: unknown }
      if (message.alert !== undefined) onAlert(message.alert)
      else resolve(socket)
    })
  })
}

async function idsInTopic(logFolder: string): Promise<string[]> {
  const log = await openLmdbEventLog({
    folder: logFolder,
    mapBytes: 64 * 2 ** 30,
    clock: systemClock,
    failpoints: noFailpoints,
  })
  const ids = new Set<string>()
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    const request = { fromOffset: 0, maxRecords: 100, maxBytes: 2 ** 20, waitMs: 0 }
    for (const { value } of (await log.read(TOPICS.alerts, partition, request)).records)
      ids.add(decodeAlert(value)?.id ?? 'unreadable')
  }
  await log.close()
  return [...ids]
}
