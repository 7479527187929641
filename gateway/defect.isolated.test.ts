/** A defect of a decoder is contained: it costs one connection or request, and is logged. */
import { afterAll, expect, test, vi } from 'vitest'
import { frameText } from './testing/connection-bench.ts'
import { call, startTestGateway, stopTestGateways, TestClient } from './testing/test-gateway.ts'

vi.mock(import('../shared/events/frame.ts'), async (importOriginal) => {
  const original = await importOriginal()
  return {
    ...original,
    decodeFrame(bytes, options) {
      if (Buffer.from(bytes).includes('defect')) throw new Error('a seeded defect')
      return original.decodeFrame(bytes, options)
    },
  }
})

afterAll(stopTestGateways)

test('a frame that meets a defect closes its connection with 1011; others go on', async () => {
  const gateway = await startTestGateway()
  const neighbour = await TestClient.open(gateway.port)
  const client = await TestClient.open(gateway.port)
  client.send('defect')
  expect(await client.untilClosed()).toEqual({ code: 1011, reason: 'GATEWAY_INTERNAL' })
  const answer = await call(gateway.port, { method: 'POST', path: '/v1/events', body: 'defect' })
  expect(answer).toMatchObject({ status: 500, json: { code: 'GATEWAY_INTERNAL' } })
  neighbour.send(frameText(0))
  await neighbour.untilAcked(0)
  expect(gateway.logged.join('')).toContain('a seeded defect')
})
