/** A well-behaved client beside a misbehaving one, which must not touch it. */
import { expect } from 'vitest'
import { TOPICS } from '../../shared/log/topics.ts'
import { frameText } from './connection-bench.ts'
import { TestClient, type TestGateway } from './test-gateway.ts'

let neighbours = 0

/** Runs `bad` beside a neighbour that sends a frame before and after it, both of which arrive. */
export async function besideNeighbour(
  { port, log }: TestGateway,
  bad: () => Promise<void>,
  protocols?: string[],
): Promise<void> {
  neighbours += 1
  const sessionId = `neighbour-${neighbours}`
  const frame = (number: number) =>
    frameText(number, {
      session: { sessionId },
      events: [{ seq: number, type: 'heartbeat', at: 1_800_000_000_000 }],
    })
  const neighbour = await TestClient.open(port, protocols)
  neighbour.send(frame(0))
  await neighbour.untilAcked(0)
  await bad()
  neighbour.send(frame(1))
  await neighbour.untilAcked(1)
  expect(neighbour.closed).toBeUndefined()
  for (const message of neighbour.messages) {
    expect(message).not.toHaveProperty('rejected')
    expect(message).not.toHaveProperty('slow')
  }
  const kept = log.records(TOPICS.events).filter(({ key }) => key === sessionId)
  expect(kept).toHaveLength(2)
  neighbour.socket.close()
}
