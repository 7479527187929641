import { afterEach, expect, it } from 'vitest'
import {
  eventually,
  gauge,
  requestUpgrade,
  startTestServing,
  stopTestServings,
} from './testing/test-serving.ts'

afterEach(stopTestServings)

/** The shortest that the WebSocket server takes; it keeps its own time. */
const SHORTEST_MS = 8_000
const DEADLINE_MS = 120_000

it('a live connection that answers no ping is closed, one that does stays', async () => {
  const { serving } = await startTestServing({ limits: { liveIdleTimeoutMs: SHORTEST_MS } })
  const answering = new WebSocket(`${serving.url.replace('http', 'ws')}/v1/live`)
  await eventually(() => answering.readyState === WebSocket.OPEN)
  let silentIsClosed = false
  requestUpgrade(serving.port).on('upgrade', (_, silent) => {
    silent.on('close', () => (silentIsClosed = true)).resume()
  })
  const connections = () => gauge(serving, 'serving_live_connections')
  await expect.poll(connections).toBe(2)
  await eventually(() => silentIsClosed, DEADLINE_MS)
  expect(await connections()).toBe(1)
  expect(answering.readyState).toBe(WebSocket.OPEN)
  answering.close()
})
