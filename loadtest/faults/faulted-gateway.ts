/** A gateway on Kafka under a dense load, for a fault to befall it; and what must hold afterwards. */
import assert from 'node:assert/strict'
import type { Kafka } from '../../scripts/services/kafka.ts'
import { judgeDelivery, type Delivery } from '../../scripts/services/kafka/delivery.ts'
import { readBack } from '../../scripts/services/kafka/read-back.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import { systemClock as clock } from '../../shared/runtime/clock.ts'
import { systemRandom as random } from '../../shared/runtime/random.ts'
import { GatewayOnKafka, isBalanced } from '../gateway-on-kafka.ts'
import { DenseLoad } from './dense-load.ts'
import { until } from './until.ts'

export const PARTITIONS = 4
/** Brokers start and stop in a test of a fault, on a machine that may be slow. */
export const FAULT_TIMEOUT_MS = 300_000
const FLUSH_DEADLINE_MS = 90_000

export class FaultedGateway {
  readonly gateway: GatewayOnKafka
  readonly load: DenseLoad
  readonly #kafka: Kafka

  private constructor(kafka: Kafka, gateway: GatewayOnKafka, token: string | undefined) {
    this.#kafka = kafka
    this.gateway = gateway
    this.load = new DenseLoad({
      url: gateway.url,
      token,
      connections: 6,
      sessions: 48,
      eventsPerFrame: 5,
      framesPerSecond: 100,
      clock,
      random,
    })
  }

  /** With the load on it, and the first of it acknowledged. */
  static async start(
    kafka: Kafka,
    settings: Readonly<Record<string, string>> = {},
    token?: string,
  ): Promise<FaultedGateway> {
    const gateway = await GatewayOnKafka.create({
      BACKHAUL_PARTITIONS: `${PARTITIONS}`,
      KAFKA_BROKERS: kafka.bootstrap.join(','),
      KAFKA_PRODUCE_TIMEOUT_MS: '1000',
      GATEWAY_SLOW_RETRY_MS: '200',
      GATEWAY_APPEND_DEADLINE_MS: '4000',
      GATEWAY_DRAIN_DELAY_MS: '0',
      GATEWAY_DRAIN_SPREAD_MS: '200',
      ...settings,
    })
    const faulted = new FaultedGateway(kafka, gateway, token)
    started.push(faulted)
    await gateway.start()
    faulted.load.start()
    await faulted.progress(200)
    return faulted
  }

  /** Waits until so many more events are acknowledged. */
  async progress(events: number): Promise<void> {
    const { load, gateway } = this
    const target = load.metrics.eventsAcknowledged + events
    await until(
      `${events} more events are acknowledged`,
      () => load.metrics.eventsAcknowledged >= target,
      () => `${JSON.stringify(load.metrics)}\n${gateway.output}`,
    )
  }

  /** Waits until so many more appends have failed. */
  async failures(appends: number): Promise<void> {
    const count = () => this.gateway.metric('gateway_append_failures_total')
    const target = (await count()) + appends
    await until(`${appends} more appends fail`, async () => (await count()) >= target)
  }

  /** Waits until the port for operators says whether new clients are welcome. */
  async readiness(status: 200 | 503, code = ''): Promise<void> {
    await until(`readiness is ${status} ${code}`, async () => {
      const answer = await this.gateway.ask('/readyz')
      return answer?.status === status && answer.text.includes(code)
    })
  }

  /** The books hold at this moment, whatever is going on. */
  async expectBalance(): Promise<void> {
    const books = await this.gateway.books()
    assert(isBalanced(books), JSON.stringify(books))
  }

  /**
   * Ends the load and the gateway. All that was sent was acknowledged and is in the log, in order;
   * nothing else is; the books close with nothing in flight.
   */
  async expectKept(): Promise<Delivery> {
    const { load, gateway } = this
    assert(await load.flush(FLUSH_DEADLINE_MS), gateway.output)
    const { eventsAccepted, eventsAcknowledged, eventsRejected } = load.metrics
    assert.equal(eventsAcknowledged, eventsAccepted)
    assert.equal(eventsRejected, 0)
    const books = await gateway.books()
    assert(isBalanced(books), JSON.stringify(books))
    assert.equal(books.inFlight, 0)
    assert(books.accepted > 0, 'the gateway accepted something')
    load.close()
    assert.equal(await gateway.stop(), 0, gateway.output)
    const found = judgeDelivery(load.sent, await readBack(this.#kafka, TOPICS.events), load.prefix)
    const { missing, invented, skipped } = found
    assert.deepEqual({ missing, invented, skipped }, { missing: [], invented: [], skipped: [] })
    assert.equal(found.kept, eventsAccepted)
    return found
  }

  async end(): Promise<void> {
    this.load.close()
    await this.gateway.kill()
  }
}

const started: FaultedGateway[] = []

/** Ends what a failed test left running. */
export async function endFaultedGateways(): Promise<void> {
  await Promise.all(started.splice(0).map((faulted) => faulted.end()))
}
