/** Minutes without the log under full load: memory stays flat, credit stops, all resumes alone. */
import { expect, test } from 'vitest'
import { TOPICS } from '../shared/log/topics.ts'
import { SWEEP_MS } from './limits.ts'
import {
  createBench,
  frameBytes,
  isBalanced,
  turn,
  type HeldSocket,
} from './testing/connection-bench.ts'
import { settle } from './testing/passing-time.ts'
import type { Connection } from './connection.ts'

const MINUTE_MS = 60_000
const CLIENTS = 40
const BUDGET_BYTES = 200_000

/** A client that always has more to send, keeps to its credit and comes back after `slow`. */
class BusyClient {
  readonly name: string
  readonly connection: Connection
  acked = -1
  slowCount = 0
  #edge = 7
  #next = 0
  #resendAtMs = 0
  readonly #socket: HeldSocket

  constructor(name: string, opened: { connection: Connection; socket: HeldSocket }) {
    this.name = name
    this.connection = opened.connection
    this.#socket = opened.socket
  }

  work(nowMs: number): void {
    for (const { ack, creditFrames = 0, slow } of this.#socket.take()) {
      if (ack !== undefined) {
        this.acked = ack
        this.#edge = Math.max(this.#edge, ack + creditFrames)
      }
      if (slow === undefined) continue
      this.slowCount += 1
      this.#next = Math.min(this.#next, slow.resendFrom)
      this.#resendAtMs = nowMs + slow.retryAfterMs
    }
    if (nowMs < this.#resendAtMs) return
    for (; this.#next <= this.#edge; this.#next++)
      this.connection.receive(
        frameBytes(this.#next, {
          session: { sessionId: this.name },
          events: [{ seq: this.#next, type: 'heartbeat', at: 1 }],
        }),
      )
  }

  get closed(): unknown {
    return this.#socket.ended
  }
}

async function setUp() {
  const bench = await createBench({
    budgetBytes: BUDGET_BYTES,
    bounds: { deadlineMs: 10_000, maxRecords: 10_000 },
    settings: { pingMs: MINUTE_MS * 10 },
  })
  const clients = Array.from(
    { length: CLIENTS },
    (_, index) => new BusyClient(`busy-${index}`, bench.open()),
  )
  const { clock, lanes, budget, ledgers } = bench
  /** The most that was held in memory, and that waited in queues, meanwhile. */
  const live = async (forMs: number, stepMs = SWEEP_MS) => {
    const most = { bytes: 0, entries: 0, acked: 0 }
    for (let passedMs = 0; passedMs < forMs; passedMs += stepMs) {
      for (const client of clients) client.work(clock.monotonicMs())
      await clock.advance(stepMs)
      await settle()
      await turn()
      lanes.expire()
      for (const { connection } of clients) connection.sweep()
      const entries = lanes.all.reduce((sum, lane) => sum + lane.queueEntries, 0)
      most.bytes = Math.max(most.bytes, budget.usedBytes)
      most.entries = Math.max(most.entries, entries)
      expect(isBalanced(ledgers.events)).toBe(true)
    }
    return most
  }
  return { ...bench, clients, live }
}

test.each(['fails', 'is silent'] as const)(
  'while the log %s for five minutes memory stays flat, and all resumes alone',
  async (how) => {
    const { clients, live, log, lanes, ledgers, budget } = await setUp()
    await live(2_000)
    const before = clients.map(({ acked }) => acked)
    expect(Math.min(...before)).toBeGreaterThanOrEqual(0)
    if (how === 'fails') log.fail()
    else log.hold()
    const early = await live(30_000)
    const ackedEarly = clients.map(({ acked }) => acked)
    const late = await live(4.5 * MINUTE_MS)
    // Nothing is acknowledged, so no credit comes; what was granted is given back by `slow`.
    expect(clients.map(({ acked }) => acked)).toEqual(ackedEarly)
    expect(lanes.isLogAvailable).toBe(false)
    for (const { slowCount, closed } of clients) {
      expect(slowCount).toBeGreaterThan(0)
      expect(closed).toBeUndefined()
    }
    expect(early.bytes).toBeLessThanOrEqual(BUDGET_BYTES)
    expect(late.bytes).toBeLessThanOrEqual(BUDGET_BYTES)
    expect(late.entries).toBeLessThanOrEqual(Math.max(early.entries, 2_100) + 100)
    log.heal()
    log.release()
    await live(30_000)
    expect(lanes.isLogAvailable).toBe(true)
    for (const [index, { acked }] of clients.entries())
      expect(acked).toBeGreaterThan((before[index] ?? 0) + 20)
    // Every acknowledged event is in the log.
    const kept = new Set(
      log
        .values(TOPICS.events)
        .map(({ session, events }) => `${JSON.stringify(session)} ${JSON.stringify(events)}`),
    )
    const total = clients.reduce((sum, { acked }) => sum + acked + 1, 0)
    expect(kept.size).toBeGreaterThanOrEqual(total)
    expect(ledgers.events.refusedBy.deadline).toBeGreaterThan(0)
    expect(budget.usedBytes).toBeLessThan(BUDGET_BYTES)
  },
)

test('a partition that is slow holds up its own sessions only', async () => {
  const { clients, live, log } = await setUp()
  log.hold(TOPICS.events, 0)
  await live(20_000)
  const moving = clients.filter(({ acked }) => acked > 100)
  const held = clients.filter(({ slowCount }) => slowCount > 0)
  expect(moving.length).toBeGreaterThan(5)
  expect(held.length).toBeGreaterThan(5)
  expect(moving.length + held.length).toBe(CLIENTS)
  log.release()
  await live(10_000)
  for (const { acked } of clients) expect(acked).toBeGreaterThan(20)
})
