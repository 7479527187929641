/**
 * What this process knows of the Kafka cluster: its brokers, its topics, who leads each partition,
 * and the connections to them. Knowledge is looked up when it is first needed and again after an
 * answer or a failure showed that it is stale; look-ups are shared, and no more often than every
 * `METADATA_REFRESH_MS`.
 */
import { logErrors } from '../log/log-errors.ts'
import type { Clock } from '../runtime/clock.ts'
import { BackhaulError } from '../runtime/errors.ts'
import { Connections, parseAddress, type Purpose } from './connections.ts'
import type {
  BrokerAddress,
  BrokerConnection,
  ClusterMetadata,
  KafkaClient,
  TopicMetadata,
} from './kafka-client.ts'
import { CALL_RETRY_MAX_MS, CALL_RETRY_MS, METADATA_REFRESH_MS } from './limits.ts'
import { ERROR, meansStaleCoordinator, refusal } from './protocol-errors.ts'

export interface ClusterObserver {
  connectionOpened(): void
  connectionFailed(address: BrokerAddress, error: BackhaulError): void
  /** No broker answered at all; told once until one does. */
  brokersUnreachable(error: unknown): void
  brokersReachable(): void
}

export interface ClusterParts {
  readonly client: KafkaClient
  readonly bootstrap: readonly string[]
  readonly clock: Clock
  readonly observer: ClusterObserver
  /** How long a call is repeated while a later try may succeed. */
  readonly callTimeoutMs: number
  requestTimeoutMs(purpose: Purpose): number
}

export class KafkaCluster {
  readonly connections: Connections
  readonly #parts: ClusterParts
  readonly #bootstrap: readonly BrokerAddress[]
  readonly #topics = new Map<string, TopicMetadata>()
  readonly #coordinators = new Map<string, number>()
  readonly #stopping = new AbortController()
  readonly #suspects = new Set<string>()
  #brokers = new Map<number, BrokerAddress>()
  #controllerId = -1
  #stale = true
  #refreshing: Promise<void> | undefined
  #refreshedAtMs = Number.NEGATIVE_INFINITY
  #unreachable = false

  constructor(parts: ClusterParts) {
    this.#parts = parts
    this.#bootstrap = parts.bootstrap.map(parseAddress)
    const { client, clock, observer } = parts
    this.connections = new Connections({
      client,
      clock,
      observer,
      requestTimeoutMs: (purpose) => parts.requestTimeoutMs(purpose),
    })
  }

  /** What is known of the topic; `LOG_TOPIC_UNKNOWN` when the brokers do not have it. */
  async topic(name: string): Promise<TopicMetadata> {
    const known = this.#topics.get(name)
    if (known !== undefined && !this.#stale) return known
    await this.#refresh(name)
    const found = this.#topics.get(name)
    if (found === undefined) throw logErrors.create('LOG_TOPIC_UNKNOWN', { received: name })
    return found
  }

  /** Asks the brokers now, whatever is known. */
  async describe(name: string): Promise<TopicMetadata> {
    const { topics } = await this.#ask([name])
    const found = topics.find((topic) => topic.name === name)
    if (found === undefined || found.errorCode === ERROR.unknownTopicOrPartition)
      throw logErrors.create('LOG_TOPIC_UNKNOWN', { received: name })
    if (found.errorCode !== ERROR.none) throw refusal(found.errorCode, name)
    this.#topics.set(name, found)
    return found
  }

  /** The leader's address if it is known and nothing says otherwise: no waiting on the hot path. */
  leaderNow(topic: string, partition: number): BrokerAddress | undefined {
    if (this.#stale) return undefined
    const leader = this.#topics.get(topic)?.leaders[partition]
    return leader === undefined ? undefined : this.#brokers.get(leader)
  }

  async leader(topic: string, partition: number): Promise<BrokerAddress> {
    const { leaders } = await this.topic(topic)
    // Whoever started with more partitions: the topic was deleted since, and created with fewer.
    if (partition >= leaders.length)
      throw logErrors.create('LOG_TOPIC_MISMATCH', {
        expected: `${topic} to have a partition ${partition}`,
        received: `a topic of ${leaders.length} partitions, created anew`,
      })
    const leader = this.#brokers.get(leaders[partition] ?? -1)
    if (leader !== undefined) return leader
    this.#stale = true
    throw logErrors.create('LOG_UNAVAILABLE', {
      received: `${topic}/${partition} has no leader at the moment`,
    })
  }

  async controller(): Promise<BrokerConnection> {
    await this.#refresh(undefined)
    const address = this.#brokers.get(this.#controllerId) ?? this.#addresses()[0]
    if (address === undefined) throw logErrors.create('LOG_UNAVAILABLE')
    return this.connections.get(address, 'control')
  }

  /** The broker that keeps the group. */
  async coordinator(group: string): Promise<BrokerAddress> {
    const known = this.coordinatorNow(group)
    if (known !== undefined) return known
    await this.#refresh(undefined)
    const found = await this.#anyBroker((connection) => connection.findCoordinator(group))
    if (found.errorCode !== ERROR.none) throw refusal(found.errorCode, `group ${group}`)
    const address = this.#brokers.get(found.nodeId)
    if (address === undefined) {
      this.#stale = true
      throw refusal(ERROR.coordinatorNotAvailable, `group ${group}`)
    }
    this.#coordinators.set(group, found.nodeId)
    return address
  }

  /** The coordinator's address as far as it is known. */
  coordinatorNow(group: string): BrokerAddress | undefined {
    return this.#brokers.get(this.#coordinators.get(group) ?? -1)
  }

  forgetCoordinator(group: string): void {
    this.#coordinators.delete(group)
  }

  /** What is known of leaders may be wrong: the next who asks looks it up. */
  markStale(): void {
    this.#stale = true
  }

  /** Repeats a call while it fails with what may pass, for as long as a call may take. */
  async retry<Result>(call: () => Promise<Result>): Promise<Result> {
    const { clock, callTimeoutMs } = this.#parts
    const deadlineMs = clock.monotonicMs() + callTimeoutMs
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await call()
      } catch (error) {
        const passing = error instanceof BackhaulError && error.spec.retryable
        if (!passing || clock.monotonicMs() > deadlineMs || this.#stopping.signal.aborted)
          throw error
        const waitMs = Math.min(CALL_RETRY_MAX_MS, CALL_RETRY_MS * 2 ** attempt)
        await clock.sleep(waitMs, this.#stopping.signal)
      }
    }
  }

  /** Asks the group's coordinator, and looks it up again when it is another by now. */
  coordinated<Answer extends { readonly errorCode: number }>(
    group: string,
    ask: (connection: BrokerConnection) => Promise<Answer>,
  ): Promise<Answer> {
    return this.retry(async () => {
      const address = await this.coordinator(group)
      try {
        const answer = await ask(await this.connections.get(address, 'control'))
        if (meansStaleCoordinator(answer.errorCode)) throw refusal(answer.errorCode, group)
        return answer
      } catch (error) {
        this.forgetCoordinator(group)
        this.markStale()
        throw error
      }
    })
  }

  async close(): Promise<void> {
    this.#stopping.abort()
    await this.connections.close()
  }

  async #refresh(wanted: string | undefined): Promise<void> {
    const isNew = wanted !== undefined && !this.#topics.has(wanted)
    if (!this.#stale && !isNew) return
    if (isNew) await this.#refreshing
    this.#refreshing ??= this.#lookUp(wanted).finally(() => (this.#refreshing = undefined))
    await this.#refreshing
  }

  async #lookUp(wanted: string | undefined): Promise<void> {
    const { clock } = this.#parts
    const sinceMs = clock.monotonicMs() - this.#refreshedAtMs
    const isKnown = wanted === undefined || this.#topics.has(wanted)
    if (isKnown && sinceMs < METADATA_REFRESH_MS)
      await clock.sleep(METADATA_REFRESH_MS - sinceMs, this.#stopping.signal)
    this.#refreshedAtMs = clock.monotonicMs()
    // Whatever turns stale while the answer is on its way is looked up again.
    this.#stale = false
    try {
      const names = new Set(this.#topics.keys())
      if (wanted !== undefined) names.add(wanted)
      const { topics } = await this.#ask([...names])
      for (const topic of topics) this.#learn(topic)
    } catch (error) {
      this.#stale = true
      throw error
    }
  }

  /** A topic that was there and is not told of now may only not be known to that broker yet. */
  #learn(topic: TopicMetadata): void {
    if (
      topic.errorCode === ERROR.unknownTopicOrPartition ||
      topic.errorCode === ERROR.invalidTopic
    ) {
      if (this.#topics.has(topic.name)) this.#stale = true
    } else if (topic.errorCode === ERROR.none || topic.errorCode === ERROR.leaderNotAvailable)
      this.#topics.set(topic.name, topic)
    else throw refusal(topic.errorCode, topic.name)
  }

  async #ask(topics: readonly string[]): Promise<ClusterMetadata> {
    const metadata = await this.#anyBroker((connection) => connection.metadata(topics))
    this.#brokers = new Map(metadata.brokers.map((broker) => [broker.nodeId, broker]))
    this.#controllerId = metadata.controllerId
    return metadata
  }

  /** Known brokers first, then those to begin with; whoever failed last time comes last. */
  #addresses(): readonly BrokerAddress[] {
    const known = [...this.#brokers.values(), ...this.#bootstrap]
    const isSuspect = (address: BrokerAddress) => this.#suspects.has(nameOf(address))
    return [...known.filter((one) => !isSuspect(one)), ...known.filter(isSuspect)]
  }

  async #anyBroker<Answer>(
    ask: (connection: BrokerConnection) => Promise<Answer>,
  ): Promise<Answer> {
    let failure: unknown
    for (const address of this.#addresses()) {
      try {
        const answer = await ask(await this.connections.get(address, 'metadata'))
        this.#suspects.delete(nameOf(address))
        if (this.#unreachable) this.#parts.observer.brokersReachable()
        this.#unreachable = false
        return answer
      } catch (error) {
        this.#suspects.add(nameOf(address))
        failure = error
      }
    }
    if (!this.#unreachable && !this.#stopping.signal.aborted)
      this.#parts.observer.brokersUnreachable(failure)
    this.#unreachable = true
    throw failure
  }
}

function nameOf({ host, port }: BrokerAddress): string {
  return `${host}:${port}`
}
