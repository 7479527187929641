import { beforeEach, describe, expect, it } from 'vitest'
import { DEFAULT_CUT_IDS, parseCut } from '../../shared/qoe/cuts.ts'
import { ManualClock } from '../../shared/runtime/clock.ts'
import type { LiveUpdate, QoeSeries } from '../api-schemas.ts'
import { DEFAULT_SERVING_LIMITS } from '../limits.ts'
import { selectCut } from '../qoe-query.ts'
import { groupKeys, toSeries } from '../series.ts'
import { aggregates } from '../testing/test-stores.ts'
import { liveSubprotocols } from './api-client.ts'
import { instantData, latestComplete, minuteData } from './chart-data.ts'
import { LiveClient, type ConnectionState, type Socket } from './live-client.ts'
import { applyUpdate, type LiveWindow } from './live-series.ts'
import { parseRoute, sessionAddress } from './route.ts'

const MINUTE_MS = 60_000

/** Series as the server makes them: plays by minute, for each CDN. */
function seriesOf(
  asOfMs: number,
  range: { fromMs: number; toMs: number },
  cdns: Record<string, Record<number, number>>,
): QoeSeries[] {
  const limits = DEFAULT_SERVING_LIMITS
  const selection = selectCut(
    { by: ['cdn'], where: [] },
    { cuts: DEFAULT_CUT_IDS.map(parseCut), limits },
  )
  const minutes = new Map<number, Map<string, ReturnType<typeof aggregates>>>()
  for (const [cdn, plays] of Object.entries(cdns))
    for (const [minute, count] of Object.entries(plays)) {
      const startMs = Number(minute) * MINUTE_MS
      const keys = minutes.get(startMs) ?? new Map()
      minutes.set(startMs, keys)
      const concurrentPlays = Array<number>(6).fill(count)
      keys.set(JSON.stringify([cdn]), aggregates({ plays: count, events: 1, concurrentPlays }))
    }
  const sidesOf = ({ toMs }: { toMs: number }) => [{ source: 'speed' as const, toMs, asOfMs }]
  const grid = { ...range, stepMs: MINUTE_MS, windowMs: MINUTE_MS }
  const facts = { sidesOf, paneLifeMs: 1, limits, viewersCounted: true }
  return groupKeys(minutes, selection, 5).map((group) => toSeries(group, grid, facts))
}

function update(values: Partial<LiveUpdate> & Pick<LiveUpdate, 'series'>): LiveUpdate {
  return {
    id: 'split',
    full: true,
    fromMs: 0,
    toMs: 3 * MINUTE_MS,
    by: ['cdn'],
    cut: 'cdn',
    asOfMs: 160_000,
    concurrencyCompleteToMs: 130_000,
    nowMs: 162_000,
    stale: false,
    historyToMs: null,
    ...values,
  }
}

const range = { fromMs: 0, toMs: 3 * MINUTE_MS }
const whole = update({ series: seriesOf(160_000, range, { a: { 0: 1, 1: 2, 2: 3 }, b: { 1: 5 } }) })
const startOf = (window: LiveWindow | undefined, label: string) =>
  window?.series
    .find((one) => one.label === label)
    ?.buckets.map(({ startMs, plays }) => [startMs / MINUTE_MS, plays])

describe('the window of a subscription', () => {
  it('takes changed buckets in and lets those before the window go', () => {
    const next = { fromMs: MINUTE_MS, toMs: 4 * MINUTE_MS }
    const [a] = seriesOf(200_000, next, { a: { 2: 4, 3: 7 } })
    if (a === undefined) throw new Error('no series')
    const changed = { ...a, buckets: a.buckets.filter(({ startMs }) => startMs >= 2 * MINUTE_MS) }
    const window = applyUpdate(
      applyUpdate(undefined, whole),
      update({ full: false, ...next, series: [changed] }),
    )
    expect(startOf(window, 'a')).toEqual([
      [1, 2],
      [2, 4],
      [3, 7],
    ])
    expect(startOf(window, 'b')).toEqual([
      [1, 5],
      [2, 0],
    ])
  })

  it('waits for a whole one when it has nothing that a change could apply to', () => {
    expect(applyUpdate(undefined, update({ full: false, series: [] }))).toBeUndefined()
  })
})

describe('the data of a chart', () => {
  const window = applyUpdate(undefined, whole)
  if (window === undefined) throw new Error('no window')

  it('has a complete line and a tail that meet in the last complete minute', () => {
    const data = minuteData(window, window.series.slice(0, 1), (bucket) => bucket.plays)
    expect(data.times).toEqual([0, 60, 120])
    expect(data.columns[0]).toEqual({
      label: 'a',
      complete: [1, 2, null],
      tail: [null, 2, 3],
    })
  })

  it('has instants up to the watermark, complete up to a heartbeat interval before it', () => {
    const data = instantData(window, window.series.slice(0, 1), 'concurrentPlaysByInstant')
    expect(data.times).toHaveLength(18)
    const [column] = data.columns
    // 120 s is the last instant before 130 s; 160 s the last that the watermark reached.
    expect(column?.complete.findLastIndex((value) => value !== null)).toBe(12)
    expect(column?.tail.findIndex((value) => value !== null)).toBe(12)
    expect(column?.tail.findLastIndex((value) => value !== null)).toBe(16)
    expect(latestComplete(data)).toBe(3)
  })
})

class TestSocket implements Socket {
  onopen: (() => void) | null = null
  onmessage: ((event: { readonly data: unknown }) => void) | null = null
  onclose: ((event: { readonly code: number }) => void) | null = null
  readonly sent: unknown[] = []
  send(text: string): void {
    this.sent.push(JSON.parse(text))
  }
  close(): void {
    this.onclose?.({ code: 1000 })
  }
}

describe('the live connection of the page', () => {
  let clock: ManualClock
  let sockets: TestSocket[]
  let states: ConnectionState[]
  let windows: LiveWindow[]
  let client: LiveClient
  beforeEach(() => {
    clock = new ManualClock()
    sockets = []
    states = []
    windows = []
    client = new LiveClient({
      open() {
        const socket = new TestSocket()
        sockets.push(socket)
        return socket
      },
      clock,
      chance: () => 1,
      onWindow: (_, window) => void windows.push(window),
      onConnection: (state) => void states.push(state),
      onError: () => undefined,
    })
  })
  const subscription = { by: ['cdn'], minutes: 30, series: 8 }

  it('subscribes when it opens, and again after every reconnect', async () => {
    client.subscribe('split', subscription)
    for (const turn of [0, 1]) {
      sockets[turn]?.onopen?.()
      expect(sockets[turn]?.sent).toEqual([{ subscribe: { id: 'split', ...subscription } }])
      sockets[turn]?.onclose?.({ code: 1006 })
      await clock.advance(1_000)
    }
    expect(sockets).toHaveLength(3)
  })

  it('waits longer after each failure, up to a bound, and starts short after a success', async () => {
    const waits: number[] = []
    for (let failure = 0; failure < 8; failure++) {
      sockets.at(-1)?.onclose?.({ code: 1006 })
      const state = states.at(-1)
      if (state?.kind !== 'waiting') throw new Error('not waiting')
      waits.push(state.retryAtMs - clock.nowMs())
      await clock.advance(state.retryAtMs - clock.nowMs())
    }
    expect(waits).toEqual([500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000])
    client.subscribe('split', subscription)
    sockets.at(-1)?.onopen?.()
    sockets.at(-1)?.onmessage?.({ data: JSON.stringify({ update: whole }) })
    sockets.at(-1)?.onclose?.({ code: 1006 })
    const state = states.at(-1)
    expect(state?.kind === 'waiting' && state.retryAtMs - clock.nowMs()).toBe(500)
  })

  it('hands out windows of its subscriptions only', () => {
    sockets[0]?.onopen?.()
    sockets[0]?.onmessage?.({ data: JSON.stringify({ update: whole }) })
    expect(windows).toHaveLength(0)
    client.subscribe('split', subscription)
    sockets[0]?.onmessage?.({ data: JSON.stringify({ update: whole }) })
    expect(windows).toHaveLength(1)
  })

  it('forgets a window when the split behind its id changes', () => {
    client.subscribe('split', subscription)
    sockets[0]?.onopen?.()
    sockets[0]?.onmessage?.({ data: JSON.stringify({ update: whole }) })
    client.subscribe('split', { ...subscription, by: ['country'] })
    sockets[0]?.onmessage?.({ data: JSON.stringify({ update: { ...whole, full: false } }) })
    expect(windows).toHaveLength(1)
  })

  it('ignores a socket that it has replaced', () => {
    client.reconnect()
    sockets[0]?.onopen?.()
    sockets[0]?.onclose?.({ code: 1006 })
    expect(states.filter(({ kind }) => kind !== 'connecting')).toEqual([])
  })

  it('carries the token as a subprotocol', () => {
    expect(liveSubprotocols(undefined)).toEqual(['live.v1'])
    const [, bearer] = liveSubprotocols('a.b?c>d')
    expect(Buffer.from(bearer?.slice('bearer.'.length) ?? '', 'base64url').toString()).toBe(
      'a.b?c>d',
    )
  })
})

describe('addresses within the page', () => {
  it('name the split or the session, whatever its id holds', () => {
    expect(parseRoute('')).toEqual({ page: 'overview', split: undefined })
    expect(parseRoute('#/cdn')).toEqual({ page: 'overview', split: 'cdn' })
    for (const sessionId of ['s-1', 'a/b c%', 'ü#?'])
      expect(parseRoute(sessionAddress(sessionId))).toEqual({ page: 'session', sessionId })
    expect(parseRoute('#/session/%')).toEqual({ page: 'session', sessionId: '%' })
  })
})
