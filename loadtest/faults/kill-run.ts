/**
 * Kills of the gateway under load, by SIGKILL: at named points of a frame's way, or at any moment.
 * After each the gateway starts again at the same address, and the clients send again what was not
 * acknowledged. In the end every event is acknowledged, and an independent reader looks for it.
 */
import type { Kafka } from '../../scripts/services/kafka.ts'
import { judgeDelivery } from '../../scripts/services/kafka/delivery.ts'
import { readBack } from '../../scripts/services/kafka/read-back.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import { systemClock as clock } from '../../shared/runtime/clock.ts'
import { seededRandom, systemRandom, type Random } from '../../shared/runtime/random.ts'
import { GatewayOnKafka, isBalanced, type Books, type KillPoint } from '../gateway-on-kafka.ts'
import { DenseLoad } from './dense-load.ts'

/** On a frame's way: frame in, validated, produce sent, log acknowledged, client acknowledged. */
export const KILL_STEPS = ['G1', 'G2', 'G3', 'G4', 'G5'] as const
export type KillStep = (typeof KILL_STEPS)[number] | 'anywhere'

const FAILPOINTS: Readonly<Record<(typeof KILL_STEPS)[number], string>> = {
  G1: 'gateway.afterFrame',
  G2: 'gateway.afterValidation',
  G3: 'gateway.beforeAppend',
  G4: 'gateway.afterAppend',
  G5: 'gateway.afterAcknowledge',
}
const PASSING_MAX = 60
/** An append is on its way for about so long. */
const PRODUCE_SENT_MAX_MS = 3
const ANYWHERE_MIN_MS = 300
const ANYWHERE_MAX_MS = 2_000
const KILL_DEADLINE_MS = 60_000
const FLUSH_DEADLINE_MS = 120_000

export interface KillRunOptions {
  readonly kafka: Kafka
  readonly partitions: number
  /** One kill each, in this order. */
  readonly steps: readonly KillStep[]
  readonly seed: number
  readonly framesPerSecond: number
  onKill?(kills: number, step: KillStep): void
}

export interface KillReport {
  readonly seed: number
  readonly kills: Readonly<Record<string, number>>
  readonly connections: number
  readonly eventsSent: number
  readonly eventsAcknowledged: number
  readonly distinctEventsInKafka: number
  readonly repeatedEventsInKafka: number
  /** Acknowledged and not in Kafka. */
  readonly missing: number
  /** In Kafka and never sent. */
  readonly invented: number
  /** Came before one that was sent earlier in its session. */
  readonly skipped: number
  /** Of the last gateway, which nobody killed. */
  readonly books: Books
  readonly booksBalance: boolean
  readonly exitCode: number | null
}

/** Throws when a gateway does not start, or is not killed where it should be. */
export async function runKills(options: KillRunOptions): Promise<KillReport> {
  const { kafka, partitions, steps, seed, framesPerSecond } = options
  const random = seededRandom(seed)
  const gateway = await GatewayOnKafka.create({
    BACKHAUL_PARTITIONS: `${partitions}`,
    KAFKA_BROKERS: kafka.bootstrap.join(','),
    GATEWAY_DRAIN_DELAY_MS: '0',
    GATEWAY_DRAIN_SPREAD_MS: '100',
  })
  const load = new DenseLoad({
    url: gateway.url,
    connections: 6,
    sessions: 48,
    eventsPerFrame: 10,
    framesPerSecond,
    clock,
    random: systemRandom,
  })
  try {
    load.start()
    for (const [index, step] of steps.entries()) {
      await killOnce(gateway, step, random)
      options.onKill?.(index + 1, step)
    }
    await gateway.start()
    if (!(await load.flush(FLUSH_DEADLINE_MS)))
      throw new Error(`not all was acknowledged in time:\n${gateway.output}`)
    const books = await gateway.books()
    const { metrics } = load
    load.close()
    const exitCode = await gateway.stop()
    const found = judgeDelivery(load.sent, await readBack(kafka, TOPICS.events), load.prefix)
    return {
      seed,
      kills: countsOf(steps),
      connections: metrics.connections,
      eventsSent: metrics.eventsAccepted,
      eventsAcknowledged: metrics.eventsAcknowledged,
      distinctEventsInKafka: found.kept,
      repeatedEventsInKafka: found.repeated,
      missing: found.missing.length,
      invented: found.invented.length,
      skipped: found.skipped.length,
      books,
      booksBalance: isBalanced(books) && books.inFlight === 0,
      exitCode,
    }
  } finally {
    load.close()
    await gateway.kill()
  }
}

async function killOnce(gateway: GatewayOnKafka, step: KillStep, random: Random): Promise<void> {
  if (step === 'anywhere') {
    await gateway.start()
    await clock.sleep(ANYWHERE_MIN_MS + random.below(ANYWHERE_MAX_MS - ANYWHERE_MIN_MS))
    return gateway.kill()
  }
  const kill: KillPoint = {
    failpoint: FAILPOINTS[step],
    passing: 1 + random.below(PASSING_MAX),
    laterMs: step === 'G3' ? 1 + random.below(PRODUCE_SENT_MAX_MS) : 0,
  }
  await gateway.start(kill)
  let isLate = false
  const cancel = clock.after(KILL_DEADLINE_MS, () => {
    isLate = true
    gateway.signal('SIGKILL')
  })
  const code = await gateway.ended
  cancel()
  if (isLate || code !== null)
    throw new Error(`the gateway did not come to ${kill.failpoint}:\n${gateway.output}`)
}

function countsOf(steps: readonly KillStep[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const step of steps) counts[step] = (counts[step] ?? 0) + 1
  return counts
}

/** Whether nothing was lost, nothing invented, nothing skipped, and the books balance. */
export function isKept(report: KillReport): boolean {
  return (
    report.missing === 0 &&
    report.invented === 0 &&
    report.skipped === 0 &&
    report.eventsAcknowledged === report.eventsSent &&
    report.distinctEventsInKafka === report.eventsSent &&
    report.booksBalance &&
    report.exitCode === 0
  )
}
