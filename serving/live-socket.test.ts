import { afterEach, describe, expect, it } from 'vitest'
import type { RunningServing } from './start.ts'
import {
  eventually,
  NOW_MS,
  startTestServing,
  stopTestServings,
  token,
  upgrade,
} from './testing/test-serving.ts'
import { minuteRow } from './testing/test-stores.ts'

const minuteStartMs = NOW_MS - 30_000

afterEach(stopTestServings)

describe('the live WebSocket', () => {
  const liveUrl = (serving: RunningServing) => `${serving.url.replace('http', 'ws')}/v1/live`
  const open = (serving: RunningServing, protocols: string[] = []) => {
    const socket = new WebSocket(liveUrl(serving), protocols)
    const messages: {
      update?: { series: { summary: { plays: number } }[] }
      error?: { code: string }
    }[] = []
    const closes: number[] = []
    socket.addEventListener('message', ({ data }) =>
      messages.push(JSON.parse(String(data)) as (typeof messages)[number]),
    )
    socket.addEventListener('close', ({ code }) => closes.push(code))
    const opened = new Promise((resolve) => {
      for (const name of ['open', 'error']) socket.addEventListener(name, () => resolve(undefined))
    })
    return { socket, messages, closes, opened }
  }
  const subscribe = JSON.stringify({ subscribe: { id: 'a', minutes: 2 } })

  it('sends a snapshot and then each change', async () => {
    const { serving, speed, clock } = await startTestServing()
    await speed.putMinutes([minuteRow({ minuteStartMs, aggregates: { plays: 1 } })])
    const { socket, messages, opened } = open(serving)
    await opened
    socket.send(subscribe)
    await eventually(() => messages.length === 1)
    expect(messages[0]?.update?.series[0]?.summary.plays).toBe(1)
    await speed.putMinutes([minuteRow({ minuteStartMs, aggregates: { plays: 2 } })])
    await clock.advance(1_000)
    await eventually(() => messages.length === 2)
    expect(messages[1]?.update?.series[0]?.summary.plays).toBe(2)
    socket.close()
  })

  it('refuses pages of other sites, which could else read it through a reader’s browser', async () => {
    const { serving } = await startTestServing({
      config: { corsOrigins: ['https://grafana.example'] },
    })
    const refused = await upgrade(serving.port, { Origin: 'https://evil.example' })
    expect(refused).toMatchObject({
      status: 403,
      problem: { status: 403, code: 'SERVING_ORIGIN_REFUSED' },
    })
    expect(refused.problem?.detail).toContain('https://evil.example')
    for (const headers of [{ Origin: 'https://grafana.example' }, { Origin: serving.url }, {}])
      expect(await upgrade(serving.port, headers)).toEqual({ status: 101 })
  })

  it('takes the token from the subprotocol and closes when it expires', async () => {
    const { serving, clock } = await startTestServing({ auth: true })
    expect(await upgrade(serving.port)).toMatchObject({
      status: 401,
      problem: { code: 'AUTH_TOKEN_MISSING' },
    })
    const bearer = `bearer.${Buffer.from(await token('read', NOW_MS + 10_000)).toString('base64url')}`
    const { socket, closes, opened } = open(serving, ['live.v1', bearer])
    await opened
    expect([socket.readyState, socket.protocol]).toEqual([WebSocket.OPEN, 'live.v1'])
    for (let second = 0; second < 10; second++) await clock.advance(1_000)
    await eventually(() => closes.length === 1)
    expect(closes).toEqual([4401])
  })

  it('admits a bounded number of connections', async () => {
    const { serving } = await startTestServing({ config: { liveConnectionsMax: 1 } })
    const { socket, closes, opened } = open(serving)
    await opened
    expect(await upgrade(serving.port)).toMatchObject({
      status: 503,
      problem: { status: 503, code: 'SERVING_LIVE_CONNECTIONS_FULL' },
    })
    const metrics = await (await fetch(`${serving.url}/metrics`)).text()
    expect(metrics).toContain('serving_live_refused_total{code="SERVING_LIVE_CONNECTIONS_FULL"} 1')
    socket.close()
    await eventually(() => closes.length === 1)
    expect(await upgrade(serving.port)).toEqual({ status: 101 })
  })

  it('closes a connection whose message is larger than the limit', async () => {
    const { serving } = await startTestServing({ limits: { liveMessageMaxBytes: 256 } })
    const { socket, closes, opened } = open(serving)
    await opened
    socket.send('x'.repeat(257))
    await eventually(() => closes.length === 1)
  })

  it('is closed with 1001 when the server stops', async () => {
    const { serving } = await startTestServing()
    const { closes, opened } = open(serving)
    await opened
    await stopTestServings()
    await eventually(() => closes.length === 1)
    expect(closes).toEqual([1001])
  })
})
