import fc from 'fast-check'
import { expect, test } from 'vitest'
import { TOPICS } from '../shared/log/topics.ts'
import type { Connection } from './connection.ts'
import { ACCEPT_OBJECTIVE_MS } from './limits.ts'
import { createBench, frameBytes, isBalanced, type HeldSocket } from './testing/connection-bench.ts'
import { settle } from './testing/passing-time.ts'

const AT = 1_800_000_000_000
const CREDIT_FRAMES = 8

/** A client that keeps the protocol, as far as it goes. */
class Client {
  readonly connection: Connection
  readonly socket: HeldSocket
  readonly name: string
  acked = -1
  next = 0
  edge = CREDIT_FRAMES - 1
  /** What the server took back. */
  readonly broken: string[] = []

  constructor(name: string, opened: { connection: Connection; socket: HeldSocket }) {
    this.name = name
    this.connection = opened.connection
    this.socket = opened.socket
  }

  /** Seqs are the frame's number times 10, so that what was acknowledged can be looked for. */
  send(kind: 'good' | 'mixed' | 'bad'): void {
    if (this.next > this.edge) return
    const frame = this.next++
    const good = [0, 1].map((index) => ({ seq: frame * 10 + index, type: 'heartbeat', at: AT }))
    const wrong = { seq: frame * 10 + 5, type: 'wrong', at: AT }
    const events = kind === 'good' ? good : kind === 'mixed' ? [...good, wrong] : [wrong, 'worse']
    this.connection.receive(frameBytes(frame, { session: { sessionId: this.name }, events }))
  }

  listen(): void {
    for (const { ack, creditFrames, slow } of this.socket.take()) {
      if (ack !== undefined) {
        if (ack < this.acked) this.broken.push(`ack ${this.acked} → ${ack}`)
        this.acked = ack
        const edge = ack + (creditFrames ?? 0)
        if (edge < this.edge) this.broken.push(`edge ${this.edge} → ${edge}`)
        this.edge = edge
      }
      if (slow !== undefined) this.next = Math.min(this.next, slow.resendFrom)
    }
  }
}

const step = fc.oneof(
  fc.record({
    kind: fc.constant('send' as const),
    client: fc.nat(3),
    frame: fc.constantFrom('good' as const, 'good' as const, 'mixed' as const, 'bad' as const),
  }),
  fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 700 }) }),
  fc.record({
    kind: fc.constantFrom(
      'hold' as const,
      'release' as const,
      'fail' as const,
      'heal' as const,
      'listen' as const,
      'garbage' as const,
      'leave' as const,
    ),
  }),
)

test('received = accepted + rejected + refused + inFlight at every moment, and no acknowledged event is missing', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 100 }), async (steps) => {
      const bench = await createBench({ budgetBytes: 6_000, bounds: { deadlineMs: 400 } })
      const { log, clock, lanes, ledgers, budget } = bench
      const clients = [0, 1, 2, 3].map((index) => new Client(`s${index}`, bench.open()))
      const check = () => {
        expect(isBalanced(ledgers.events)).toBe(true)
        expect(isBalanced(ledgers.unreadable)).toBe(true)
        expect(budget.usedBytes).toBeLessThanOrEqual(budget.maxBytes)
      }
      const wait = async (ms: number) => {
        for (let passed = 0; passed < ms; passed += 50) {
          await clock.advance(50)
          await settle()
          check()
          lanes.expire()
          check()
          for (const { connection } of clients) {
            connection.flush()
            connection.sweep()
          }
        }
      }
      for (const each of steps) {
        if (each.kind === 'send') clients[each.client]?.send(each.frame)
        else if (each.kind === 'wait') await wait(each.ms)
        else if (each.kind === 'hold') log.hold()
        else if (each.kind === 'release') log.release()
        else if (each.kind === 'fail') log.fail()
        else if (each.kind === 'heal') log.heal()
        else if (each.kind === 'listen') for (const client of clients) client.listen()
        else if (each.kind === 'garbage') clients[3]?.connection.receive(Buffer.from('{'))
        else clients[2]?.connection.goAway(0)
        check()
      }
      log.heal()
      log.release()
      await wait(4_000)
      for (const client of clients) client.listen()
      expect(clients.flatMap(({ broken }) => broken)).toEqual([])
      expect(ledgers.events.inFlight).toBe(0)
      expect(ledgers.unreadable.inFlight).toBe(0)
      expect(budget.usedBytes).toBe(0)
      expect(ledgers.events.accepted).toBe(acceptedIn(log.values(TOPICS.events)))
      for (const client of clients.slice(0, 3)) expectKept(client, log.values(TOPICS.events))
    }),
    { numRuns: 80 },
  )
})

test('events that the log has within a second are on time, later ones are counted', async () => {
  const { log, clock, ledgers, open } = await createBench({ bounds: { deadlineMs: 5_000 } })
  const client = new Client('s1', open())
  client.send('good')
  await clock.advance(100)
  await settle()
  expect(ledgers.events).toMatchObject({ accepted: 2, acceptedLate: 0 })
  log.hold()
  client.send('mixed')
  await clock.advance(ACCEPT_OBJECTIVE_MS + 1)
  log.release()
  await settle()
  expect(ledgers.events).toMatchObject({ accepted: 4, rejected: 1, acceptedLate: 2 })
})

function acceptedIn(values: readonly Record<string, unknown>[]): number {
  return values.reduce((sum, { events }) => sum + (events as unknown[]).length, 0)
}

/** Every acknowledged frame has left its events, or its rejected seqs, in the log. */
function expectKept(client: Client, values: readonly Record<string, unknown>[]): void {
  const seqs = new Set<number>()
  for (const { session, events, rejectedSeqs } of values) {
    if ((session as { sessionId: string }).sessionId !== client.name) continue
    for (const { seq } of events as { seq: number }[]) seqs.add(seq)
    for (const seq of (rejectedSeqs ?? []) as number[]) seqs.add(seq)
  }
  for (let frame = 0; frame <= client.acked; frame++)
    expect([frame * 10, frame * 10 + 5].some((seq) => seqs.has(seq))).toBe(true)
}
