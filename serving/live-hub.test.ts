import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Alert } from '../shared/alerts/alert.ts'
import { parseCut } from '../shared/qoe/cuts.ts'
import { ManualClock } from '../shared/runtime/clock.ts'
import { speedErrors } from '../shared/speed/speed-errors.ts'
import {
  liveServerMessageSchema,
  type AlertsResponse,
  type LiveServerMessage,
  type LiveUpdate,
} from './api-schemas.ts'
import { DEFAULT_SERVING_LIMITS, type ServingLimits } from './limits.ts'
import { LiveHub, type LiveSink, type LiveView } from './live-hub.ts'
import { createMinuteReader } from './minute-reader.ts'
import { MemorySpeedStore, minuteRow, partitionRow, TEST_VIEW } from './testing/test-stores.ts'

const MINUTE_MS = 60_000
const NOW_MS = 30_000_000 * MINUTE_MS + 30_000
const minuteStartMs = NOW_MS - 30_000

const ALERT: Alert = {
  id: 'one',
  alertId: 'one',
  state: 'raised',
  reason: 'condition',
  rule: 'stalls',
  title: 'Stalls',
  severity: 'critical',
  metric: 'stalledTimeRatio',
  cut: 'cdn',
  key: { cdn: 'a' },
  minuteStartMs,
  raisedMinuteStartMs: minuteStartMs,
  value: 0.2,
  bound: 0.1,
  baseline: null,
  samples: 100,
  judgedAtMs: NOW_MS,
}

const OPEN_ALERTS: AlertsResponse = {
  nowMs: NOW_MS,
  open: [ALERT],
  openTotal: 1,
  resolved: [],
}

class TestSink implements LiveSink {
  readonly messages: LiveServerMessage[] = []
  readonly closed: { readonly code: number; readonly reason: string }[] = []
  buffered = 0

  send(text: string): void {
    const message = liveServerMessageSchema.parse(JSON.parse(text))
    this.messages.push(message)
  }

  bufferedBytes(): number {
    return this.buffered
  }

  close(code: number, reason: string): void {
    this.closed.push({ code, reason })
  }

  /** Updates since the last call. */
  takeUpdates(): LiveUpdate[] {
    return this.messages
      .splice(0)
      .flatMap((message) => ('update' in message ? [message.update] : []))
  }

  takeErrors(): { id?: string | undefined; code: string }[] {
    return this.messages.splice(0).flatMap((message) => ('error' in message ? [message.error] : []))
  }
}

let speed: MemorySpeedStore
let clock: ManualClock
let hub: LiveHub
let failures: { isFirst: boolean }[]
let recoveries: number
let skipped: number
/** The view that is active. */
let served: LiveView
/** What the hub listens for alerts with. */
let announce: (alert: Alert) => void
let beginFailure: Error | undefined
let readAlerts: () => Promise<AlertsResponse>

function liveView(
  view: string,
  cutIds: readonly string[],
  limits: ServingLimits = DEFAULT_SERVING_LIMITS,
): LiveView {
  const paneLifeMs = 90 * MINUTE_MS
  const reader = createMinuteReader({ speed, view, partitions: 1, paneLifeMs, limits, clock })
  const cuts = cutIds.map(parseCut)
  return { view, cuts, reader, limits, clock, paneLifeMs, history: undefined }
}

function makeHub(limits: Partial<ServingLimits> = {}): LiveHub {
  const merged = { ...DEFAULT_SERVING_LIMITS, ...limits }
  failures = []
  recoveries = 0
  skipped = 0
  beginFailure = undefined
  readAlerts = () => Promise.resolve(OPEN_ALERTS)
  served = liveView(TEST_VIEW, ['total', 'cdn', 'content'], merged)
  announce = () => undefined
  return new LiveHub({
    beginAlerts(onAlert) {
      announce = onAlert
      return beginFailure === undefined ? Promise.resolve() : Promise.reject(beginFailure)
    },
    readAlerts: () => readAlerts(),
    limits: merged,
    clock,
    served: () => served,
    telemetry: {
      livePolled: () => undefined,
      livePollFailed: ({ isFirst }) => void failures.push({ isFirst }),
      livePollsRecovered: () => void recoveries++,
      liveSkipped: () => void skipped++,
      liveAlertSent: () => undefined,
    },
  })
}

beforeEach(() => {
  speed = new MemorySpeedStore()
  clock = new ManualClock(NOW_MS)
  hub = makeHub()
})
afterEach(() => hub.stop())

const putPlays = (plays: number, values: Parameters<typeof minuteRow>[0] = { minuteStartMs }) =>
  speed.putMinutes([minuteRow({ ...values, aggregates: { plays, events: plays } })])
const subscribe = (values: object = {}) =>
  JSON.stringify({ subscribe: { id: 'a', minutes: 5, ...values } })

/** A client that has said `message` and got the answer of the poll. */
async function connect(message = subscribe()) {
  const sink = new TestSink()
  const client = hub.connect(sink, undefined)
  hub.receive(client, message)
  await hub.settled()
  return { sink, client }
}

/** Lets time pass a second at a time, so that every poll runs. */
async function pass(ms = 1_000): Promise<void> {
  for (let passedMs = 0; passedMs < ms; passedMs += 1_000) {
    await clock.advance(1_000)
    await hub.settled()
  }
}

describe('a live subscription', () => {
  it('gets its whole window at once', async () => {
    await putPlays(3)
    await speed.putPartitions([partitionRow(NOW_MS - 2_000)])
    const { sink } = await connect()
    const [update] = sink.takeUpdates()
    expect(update).toMatchObject({
      id: 'a',
      full: true,
      toMs: minuteStartMs + MINUTE_MS,
      fromMs: minuteStartMs - 4 * MINUTE_MS,
      cut: 'total',
      asOfMs: NOW_MS - 2_000,
      stale: false,
    })
    expect(update?.series[0]?.buckets.map(({ plays }) => plays)).toEqual([0, 0, 0, 0, 3])
    expect(update?.series[0]?.summary.plays).toBe(3)
  })

  it('then gets only the buckets that changed, every second', async () => {
    await putPlays(3)
    const { sink } = await connect()
    sink.takeUpdates()
    await pass()
    expect(sink.takeUpdates()).toMatchObject([{ full: false, series: [] }])
    await putPlays(4)
    await pass()
    const [update] = sink.takeUpdates()
    expect(update?.full).toBe(false)
    expect(update?.series[0]?.buckets).toMatchObject([{ startMs: minuteStartMs, plays: 4 }])
    expect(update?.series[0]?.summary.plays).toBe(4)
  })

  it('does not take the moving watermark for a change', async () => {
    await putPlays(3, { minuteStartMs: minuteStartMs - 2 * MINUTE_MS })
    await speed.putPartitions([partitionRow(NOW_MS - 2_000)])
    const { sink } = await connect()
    sink.takeUpdates()
    await speed.putPartitions([partitionRow(NOW_MS - 1_000)])
    await pass()
    expect(sink.takeUpdates()).toMatchObject([{ full: false, series: [], asOfMs: NOW_MS - 1_000 }])
  })

  it('gets its whole window again from the view that another one gave way to', async () => {
    await putPlays(3)
    await putPlays(7, { minuteStartMs, view: 'other' })
    const { sink } = await connect()
    sink.takeUpdates()
    served = liveView('other', ['total', 'cdn'])
    await pass()
    const [update] = sink.takeUpdates()
    expect(update).toMatchObject({ full: true })
    expect(update?.series[0]?.buckets.at(-1)).toMatchObject({ startMs: minuteStartMs, plays: 7 })
    await pass()
    expect(sink.takeUpdates()).toMatchObject([{ full: false, series: [] }])
  })

  it('is told when the view that is served now has no cut for it, and the others go on', async () => {
    const byContent = await connect(subscribe({ by: ['content'] }))
    const total = await connect()
    for (const { sink } of [byContent, total]) sink.messages.length = 0
    served = liveView('other', ['total', 'cdn'])
    await pass()
    expect(byContent.sink.takeErrors()).toMatchObject([{ id: 'a', code: 'SERVING_CUT_UNKNOWN' }])
    expect(total.sink.takeUpdates()).toHaveLength(1)
    await pass()
    expect(byContent.sink.messages).toEqual([])
  })

  it('gets the new minute when it begins', async () => {
    const { sink } = await connect()
    sink.takeUpdates()
    await pass(30_000)
    const updates = sink.takeUpdates()
    expect(updates.at(-1)).toMatchObject({ toMs: minuteStartMs + 2 * MINUTE_MS })
    expect(updates.flatMap(({ series }) => series[0]?.buckets ?? [])).toMatchObject([
      { startMs: minuteStartMs + MINUTE_MS },
    ])
  })

  it('gets its whole window again when a key appears', async () => {
    await putPlays(3, { minuteStartMs, cut: 'cdn', key: '["a"]' })
    const { sink } = await connect(subscribe({ by: ['cdn'] }))
    sink.takeUpdates()
    await putPlays(1, { minuteStartMs, cut: 'cdn', key: '["b"]' })
    await pass()
    const [update] = sink.takeUpdates()
    expect(update?.full).toBe(true)
    expect(update?.series.map(({ key }) => key)).toEqual([{ cdn: 'a' }, { cdn: 'b' }])
  })

  it('gets its whole window again when one key takes the place of another', async () => {
    await putPlays(5, { minuteStartMs, cut: 'cdn', key: '["a"]' })
    await putPlays(3, { minuteStartMs, cut: 'cdn', key: '["b"]' })
    const { sink } = await connect(subscribe({ by: ['cdn'], series: 1 }))
    expect(sink.takeUpdates()[0]?.series[0]?.key).toEqual({ cdn: 'a' })
    await putPlays(7, { minuteStartMs, cut: 'cdn', key: '["b"]' })
    await pass()
    const [update] = sink.takeUpdates()
    expect(update?.full).toBe(true)
    expect(update?.series.map(({ key, other }) => [key['cdn'], other])).toEqual([
      ['b', undefined],
      ['other', true],
    ])
  })

  it('is filtered as the API filters', async () => {
    await putPlays(3, { minuteStartMs, cut: 'cdn', key: '["a"]' })
    await putPlays(5, { minuteStartMs, cut: 'cdn', key: '["b"]' })
    const { sink } = await connect(subscribe({ where: ['cdn:b'] }))
    expect(sink.takeUpdates()[0]?.series[0]?.summary.plays).toBe(5)
  })

  it('sees a late change of an older minute within the time of a full read', async () => {
    const { sink } = await connect()
    sink.takeUpdates()
    const lateMs = minuteStartMs - 3 * MINUTE_MS
    await putPlays(9, { minuteStartMs: lateMs })
    await pass()
    expect(sink.takeUpdates().flatMap(({ series }) => series)).toEqual([])
    await pass(DEFAULT_SERVING_LIMITS.liveFullReadMs)
    const buckets = sink.takeUpdates().flatMap(({ series }) => series[0]?.buckets ?? [])
    expect(buckets.find(({ startMs }) => startMs === lateMs)?.plays).toBe(9)
  })

  it('replaces one with the same id, and ends with unsubscribe', async () => {
    const { sink, client } = await connect()
    hub.receive(client, subscribe({ by: ['cdn'] }))
    await hub.settled()
    expect(hub.channels).toBe(1)
    sink.takeUpdates()
    hub.receive(client, JSON.stringify({ unsubscribe: { id: 'a' } }))
    await pass()
    expect([hub.channels, sink.takeUpdates()]).toEqual([0, []])
  })

  it('ends with its connection', async () => {
    const { client } = await connect()
    hub.disconnect(client)
    expect([hub.channels, hub.connections]).toEqual([0, 0])
  })
})

describe('polling', () => {
  it('asks the store once a second for each cut, however many subscribe', async () => {
    for (const minutes of [1, 2, 5, 5])
      for (const by of [[], ['cdn']]) await connect(subscribe({ by, minutes }))
    expect(hub.connections).toBe(8)
    speed.minuteQueries.length = 0
    await pass()
    expect(speed.minuteQueries.map(({ cut }) => cut).toSorted()).toEqual(['cdn', 'total'])
  })

  it('reads the newest minutes each second and the whole window from time to time', async () => {
    await connect(subscribe({ minutes: 30 }))
    const lengths = () =>
      speed.minuteQueries.splice(0).map(({ fromMs, toMs }) => (toMs - fromMs) / MINUTE_MS)
    expect(lengths()).toEqual([30])
    await pass()
    expect(lengths()).toEqual([DEFAULT_SERVING_LIMITS.liveNewestMinutes])
    await pass(DEFAULT_SERVING_LIMITS.liveFullReadMs)
    expect(lengths()).toContain(30)
  })

  it('reads a wide cut only when its rows have moved', async () => {
    await speed.putPartitions([partitionRow(NOW_MS - 2_000)])
    await connect(subscribe({ by: ['content'] }))
    speed.minuteQueries.length = 0
    await pass()
    expect(speed.minuteQueries).toEqual([])
    await speed.putPartitions([partitionRow(NOW_MS)])
    await pass()
    expect(speed.minuteQueries).toHaveLength(1)
  })

  it('stops with the last subscription', async () => {
    const { client } = await connect()
    hub.disconnect(client)
    speed.minuteQueries.length = 0
    await pass(5_000)
    expect(speed.minuteQueries).toEqual([])
  })

  it('tells clients when the store fails, and goes on when it is back', async () => {
    const { sink } = await connect()
    sink.takeUpdates()
    speed.failure = speedErrors.create('SPEED_UNAVAILABLE')
    await pass()
    expect(sink.takeErrors()).toMatchObject([{ code: 'SPEED_UNAVAILABLE' }])
    await pass()
    speed.failure = undefined
    sink.messages.length = 0
    await pass()
    expect(sink.takeUpdates()).toHaveLength(1)
    expect([failures, recoveries]).toEqual([[{ isFirst: true }, { isFirst: false }], 1])
  })
})

describe('messages that are refused', () => {
  it.each([
    ['not JSON', '{', 'SERVING_LIVE_MESSAGE_INVALID'],
    ['an unknown message', '{"hello":1}', 'SERVING_LIVE_MESSAGE_INVALID'],
    ['an unknown field', subscribe({ form: 1 }), 'SERVING_LIVE_MESSAGE_INVALID'],
    ['too long a window', subscribe({ minutes: 121 }), 'SERVING_LIVE_MESSAGE_INVALID'],
    ['an unknown dimension', subscribe({ by: ['isp'] }), 'SERVING_QUERY_INVALID'],
    ['a cut that is not configured', subscribe({ by: ['country'] }), 'SERVING_CUT_UNKNOWN'],
    ['too long an id', subscribe({ id: 'x'.repeat(65) }), 'SERVING_LIVE_MESSAGE_INVALID'],
  ])('%s: answered with a code, the connection stays', async (_, message, code) => {
    const { sink, client } = await connect(message)
    expect(sink.takeErrors()).toMatchObject([{ code }])
    hub.receive(client, subscribe())
    await hub.settled()
    expect(sink.takeUpdates()).toHaveLength(1)
  })

  it('name the subscription where it is known', async () => {
    const { sink } = await connect(subscribe({ by: ['isp'] }))
    expect(sink.takeErrors()).toMatchObject([{ id: 'a' }])
  })
})

describe('bounds of the live feed', () => {
  it('subscriptions of a connection', async () => {
    await hub.stop()
    hub = makeHub({ liveSubscriptionsPerConnectionMax: 2 })
    const { sink, client } = await connect()
    hub.receive(client, subscribe({ id: 'b' }))
    expect(sink.takeErrors()).toEqual([])
    hub.receive(client, subscribe({ id: 'c' }))
    expect(sink.takeErrors()).toMatchObject([{ id: 'c', code: 'SERVING_LIVE_SUBSCRIPTIONS_FULL' }])
  })

  it('distinct subscriptions of all connections; a known one still has room', async () => {
    await hub.stop()
    hub = makeHub({ liveChannelsMax: 1 })
    await connect()
    const { sink } = await connect()
    expect(sink.takeErrors()).toEqual([])
    const other = await connect(subscribe({ minutes: 6 }))
    expect(other.sink.takeErrors()).toMatchObject([{ code: 'SERVING_LIVE_SUBSCRIPTIONS_FULL' }])
  })

  it('the id and the dimensions of a subscription', async () => {
    await hub.stop()
    hub = makeHub({ liveSubscriptionIdMaxChars: 3, liveDimensionsMax: 1 })
    const { sink, client } = await connect(subscribe({ id: 'abc', by: ['cdn'] }))
    expect(sink.takeUpdates()).toMatchObject([{ id: 'abc', by: ['cdn'] }])
    for (const message of [
      subscribe({ id: 'abcd' }),
      subscribe({ by: ['cdn', 'content'] }),
      JSON.stringify({ unsubscribe: { id: 'abcd' } }),
    ]) {
      hub.receive(client, message)
      expect(sink.takeErrors()).toMatchObject([{ code: 'SERVING_LIVE_MESSAGE_INVALID' }])
    }
    hub.receive(client, JSON.stringify({ unsubscribe: { id: 'abc' } }))
    expect([hub.channels, sink.takeErrors()]).toEqual([0, []])
  })

  it('connections', async () => {
    await hub.stop()
    hub = makeHub({ liveConnectionsMax: 1 })
    expect(hub.hasRoom()).toBe(true)
    await connect()
    expect(hub.hasRoom()).toBe(false)
  })

  it('what waits for a client that does not read: it is skipped, then starts anew', async () => {
    await putPlays(1)
    const { sink } = await connect()
    sink.takeUpdates()
    sink.buffered = DEFAULT_SERVING_LIMITS.liveBufferedMaxBytes + 1
    await putPlays(2)
    await pass()
    expect([sink.takeUpdates(), skipped]).toEqual([[], 1])
    sink.buffered = DEFAULT_SERVING_LIMITS.liveBufferedMaxBytes
    await pass()
    expect(sink.takeUpdates()).toMatchObject([{ full: true }])
    expect(sink.closed).toEqual([])
  })

  it('messages between two polls: a client that sends more is closed', async () => {
    const { sink, client } = await connect()
    const max = DEFAULT_SERVING_LIMITS.liveMessagesPerPollMax
    for (let message = 1; message < max; message++) hub.receive(client, subscribe())
    expect(sink.closed).toEqual([])
    await pass()
    for (let message = 0; message < max; message++) hub.receive(client, subscribe())
    expect(sink.closed).toEqual([])
    hub.receive(client, subscribe())
    expect(sink.closed).toEqual([{ code: 1008, reason: 'SERVING_LIVE_MESSAGES_TOO_FAST' }])
    await hub.settled()
  })

  it('how long it may stay behind: then it is closed', async () => {
    const { sink } = await connect()
    sink.buffered = DEFAULT_SERVING_LIMITS.liveBufferedMaxBytes + 1
    await pass(DEFAULT_SERVING_LIMITS.liveBehindMaxMs)
    expect(sink.closed).toEqual([])
    await pass()
    // The first poll saw it behind; as long after that as the limit it is closed.
    expect(sink.closed[0]).toEqual({ code: 4408, reason: 'SERVING_LIVE_TOO_SLOW' })
  })

  it('the life of a token: the connection ends with it', async () => {
    const sink = new TestSink()
    hub.connect(sink, NOW_MS + 2_000)
    await pass(1_000)
    expect(sink.closed).toEqual([])
    await pass(1_000)
    expect(sink.closed[0]).toEqual({ code: 4401, reason: 'SERVING_LIVE_TOKEN_EXPIRED' })
  })

  it('stopping closes every connection', async () => {
    const { sink } = await connect()
    await hub.stop()
    expect(sink.closed).toMatchObject([{ code: 1001 }])
    expect(hub.hasRoom()).toBe(false)
  })
})

describe('alerts', () => {
  it('reach a client that wants them, after those that are open', async () => {
    const wants = new TestSink()
    const other = new TestSink()
    const client = hub.connect(wants, undefined)
    hub.connect(other, undefined)
    hub.receive(client, '{"alerts":true}')
    await expect.poll(() => wants.messages).toMatchObject([{ alerts: { open: [{ id: 'one' }] } }])
    announce({ ...ALERT, id: 'two' })
    hub.receive(client, '{"alerts":false}')
    announce({ ...ALERT, id: 'three' })
    expect(wants.messages.slice(1)).toMatchObject([{ alert: { id: 'two' } }])
    expect(other.messages).toEqual([])
  })

  it('that come while the open ones are read go out after them', async () => {
    const sink = new TestSink()
    const reading = Promise.withResolvers<AlertsResponse>()
    readAlerts = () => reading.promise
    hub.receive(hub.connect(sink, undefined), '{"alerts":true}')
    announce({ ...ALERT, id: 'two', state: 'resolved', reason: 'recovered' })
    announce({ ...ALERT, id: 'three' })
    expect(sink.messages).toEqual([])
    reading.resolve(OPEN_ALERTS)
    await expect.poll(() => sink.messages.length).toBe(3)
    announce({ ...ALERT, id: 'four' })
    expect(sink.messages).toMatchObject([
      { alerts: { open: [{ id: 'one' }] } },
      { alert: { id: 'two', state: 'resolved' } },
      { alert: { id: 'three' } },
      { alert: { id: 'four' } },
    ])
  })

  it('that were asked for anew meanwhile are answered once, by the later reading', async () => {
    const sink = new TestSink()
    const client = hub.connect(sink, undefined)
    const first = Promise.withResolvers<AlertsResponse>()
    const second = Promise.withResolvers<AlertsResponse>()
    readAlerts = () => first.promise
    hub.receive(client, '{"alerts":true}')
    await turnOfTheLoop()
    readAlerts = () => second.promise
    hub.receive(client, '{"alerts":false}')
    hub.receive(client, '{"alerts":true}')
    await turnOfTheLoop()
    first.resolve({ ...OPEN_ALERTS, open: [], openTotal: 0 })
    await turnOfTheLoop()
    announce({ ...ALERT, id: 'two' })
    second.resolve(OPEN_ALERTS)
    await expect.poll(() => sink.messages.length).toBe(2)
    expect(sink.messages).toMatchObject([{ alerts: { openTotal: 1 } }, { alert: { id: 'two' } }])
  })

  it('of which too many come while the open ones are read close the client', async () => {
    await hub.stop()
    hub = makeHub({ liveAlertsWaitingMax: 2 })
    const sink = new TestSink()
    readAlerts = () => new Promise(() => undefined)
    hub.receive(hub.connect(sink, undefined), '{"alerts":true}')
    for (const id of ['two', 'three']) announce({ ...ALERT, id })
    expect(sink.closed).toEqual([])
    announce({ ...ALERT, id: 'four' })
    expect(sink.closed).toMatchObject([{ reason: 'SERVING_LIVE_TOO_SLOW' }])
  })

  it('close a client that has not read what came before', async () => {
    const sink = new TestSink()
    hub.receive(hub.connect(sink, undefined), '{"alerts":true}')
    await expect.poll(() => sink.messages.length).toBe(1)
    sink.buffered = DEFAULT_SERVING_LIMITS.liveBufferedMaxBytes + 1
    announce(ALERT)
    expect(sink.closed).toMatchObject([{ reason: 'SERVING_LIVE_TOO_SLOW' }])
    expect(sink.messages).toHaveLength(1)
  })

  it('that cannot be followed are an error, and are not promised', async () => {
    const sink = new TestSink()
    beginFailure = speedErrors.create('SPEED_UNAVAILABLE')
    hub.receive(hub.connect(sink, undefined), '{"alerts":true}')
    await expect.poll(() => sink.takeErrors()).toMatchObject([{ code: 'SPEED_UNAVAILABLE' }])
    announce(ALERT)
    expect(sink.messages).toEqual([])
  })
})

function turnOfTheLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
