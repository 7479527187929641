import { afterEach, describe, expect, it } from 'vitest'
import { TestPartition } from './testing/test-partition.ts'
import {
  eventually,
  gauge,
  NOW_MS,
  startTestServing,
  stopTestServings,
  upgrade,
} from './testing/test-serving.ts'
import { minuteRow, partitionRow } from './testing/test-stores.ts'

/** An answer never waits longer for the history than for everything. */
const IMPATIENT = { historyTimeoutMs: 500, liveHistoryTimeoutMs: 500 }
const MINUTE_MS = 60_000
const minuteStartMs = NOW_MS - 30_000

afterEach(stopTestServings)

describe('the gauges of /metrics', () => {
  it('count the queries being worked on, up to the limit', async () => {
    const { serving, speed, clock } = await startTestServing({
      limits: { requestsInFlightMax: 2, requestTimeoutMs: 1_000, ...IMPATIENT },
    })
    const inFlight = () => gauge(serving, 'serving_requests_in_flight')
    const waiting: (() => void)[] = []
    speed.readPartitions = () => new Promise((resolve) => waiting.push(() => resolve([])))
    expect(await inFlight()).toBe(0)
    const first = fetch(`${serving.url}/v1/status`)
    await eventually(() => waiting.length === 1)
    expect(await inFlight()).toBe(1)
    const second = fetch(`${serving.url}/v1/status`)
    await eventually(() => waiting.length === 2)
    expect((await fetch(`${serving.url}/v1/qoe`)).status).toBe(503)
    expect(await inFlight()).toBe(2)
    // A query that timed out still occupies the store.
    await clock.advance(1_000)
    for (const each of [first, second]) expect((await each).status).toBe(503)
    expect(await inFlight()).toBe(2)
    for (const answer of waiting) answer()
    expect(await inFlight()).toBe(0)
  })

  it('count live connections, up to the limit', async () => {
    const { serving } = await startTestServing({ config: { liveConnectionsMax: 2 } })
    const connections = () => gauge(serving, 'serving_live_connections')
    expect(await connections()).toBe(0)
    const sockets: WebSocket[] = []
    for (const expected of [1, 2]) {
      const socket = new WebSocket(`${serving.url.replace('http', 'ws')}/v1/live`)
      sockets.push(socket)
      await eventually(() => socket.readyState === WebSocket.OPEN)
      expect(await connections()).toBe(expected)
    }
    expect((await upgrade(serving.port)).status).toBe(503)
    expect(await connections()).toBe(2)
    for (const socket of sockets) socket.close()
    await eventually(() => sockets.every(({ readyState }) => readyState === WebSocket.CLOSED))
    expect(await connections()).toBe(0)
  })

  it('count the rows of closed minutes, up to the limit', async () => {
    const { serving, speed } = await startTestServing({ limits: { closedMinuteRowsMax: 6 } })
    const rows = () => gauge(serving, 'serving_closed_minute_rows')
    await speed.putPartitions([partitionRow(NOW_MS)])
    const closedMs = minuteStartMs - 600 * MINUTE_MS
    for (let minute = 0; minute < 5; minute++)
      await speed.putMinutes([minuteRow({ minuteStartMs: closedMs + minute * MINUTE_MS })])
    const read = (minutes: number) =>
      fetch(`${serving.url}/v1/qoe?from=${closedMs}&to=${closedMs + minutes * MINUTE_MS}`)
    expect(await rows()).toBe(0)
    // Each minute counts for one beside its rows.
    for (const [minutes, expected] of [
      [1, 2],
      [2, 4],
      [3, 6],
      [5, 6],
    ] as const) {
      expect((await read(minutes)).status).toBe(200)
      expect(await rows()).toBe(expected)
    }
  })

  it('count the timelines kept for paging and their events, up to the limits', async () => {
    const partition = new TestPartition()
    const sessions = { 's-1': 2, 's-2': 1, 's-3': 3 }
    for (const [sessionId, count] of Object.entries(sessions))
      partition.frame({
        loggedAtMs: NOW_MS,
        context: { sessionId },
        events: Array.from({ length: count }, (_, seq) => ({ seq, type: 'heartbeat', at: NOW_MS })),
      })
    await partition.flush()
    const { serving } = await startTestServing({
      speed: partition.speed,
      log: partition.log,
      limits: { timelineCacheSessionsMax: 2, timelineCacheEventsMax: 4 },
    })
    const sizes = async () => [
      await gauge(serving, 'serving_timeline_cache_sessions'),
      await gauge(serving, 'serving_timeline_cache_events'),
    ]
    expect(await sizes()).toEqual([0, 0])
    for (const [sessionId, expected] of [
      ['s-1', [1, 2]],
      ['s-2', [2, 3]],
      ['s-3', [2, 4]],
    ] as const) {
      expect((await fetch(`${serving.url}/v1/sessions/${sessionId}`)).status).toBe(200)
      expect(await sizes()).toEqual(expected)
    }
  })
})
