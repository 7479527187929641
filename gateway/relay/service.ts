/**
 * A relay as a process of its own, its log on Kafka. The log need not be there yet: until its topics
 * answer, the process lives, is unready, and asks again.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { awaitTopics } from '../../shared/log/await-topics.ts'
import type { KafkaConfig } from '../../shared/log/kafka-config.ts'
import { openKafkaEventLog } from '../../shared/log/kafka-event-log.ts'
import { topicSpecs } from '../../shared/log/topics.ts'
import type { GcsConfig } from '../../shared/objects/gcs-config.ts'
import { openObjectStore } from '../../shared/objects/open-object-store.ts'
import type { Clock } from '../../shared/runtime/clock.ts'
import { noFailpoints } from '../../shared/runtime/failpoints.ts'
import { StopStack, type Running } from '../../shared/runtime/lifecycle.ts'
import type { Random } from '../../shared/runtime/random.ts'
import type { BackhaulConfig } from '../../shared/runtime/settings.ts'
import type { TelemetryBase } from '../../shared/runtime/telemetry.ts'
import { extraTopics, type GatewayConfig } from '../config.ts'
import { openIngest, type Ingest } from '../ingest.ts'
import { SWEEP_MS } from '../limits.ts'
import { openKeys } from '../service.ts'
import type { RelayConfig } from './config.ts'
import { loadFeeds, startRelay } from './start.ts'

export interface RelayServiceOptions {
  readonly backhaul: BackhaulConfig
  /** Lanes, limits and routes, as a gateway's. */
  readonly gateway: GatewayConfig
  readonly config: RelayConfig
  readonly kafka: KafkaConfig
  /** Absent where leases and positions are in the data folder. */
  readonly gcs: GcsConfig | undefined
  readonly telemetry: TelemetryBase
  readonly clock: Clock
  readonly random: Random
}

export class RelayService implements Running {
  readonly #options: RelayServiceOptions
  readonly #stack = new StopStack()
  readonly #stopping = new AbortController()
  #ingest: Ingest | undefined

  constructor(options: RelayServiceOptions) {
    this.#options = options
  }

  get unreadyCode(): 'RELAY_LOG_UNAVAILABLE' | undefined {
    return this.#ingest?.lanes.isLogAvailable === true ? undefined : 'RELAY_LOG_UNAVAILABLE'
  }

  report(): void {
    if (this.#ingest === undefined) return
    this.#ingest.telemetry.report({
      ...this.#ingest.standing,
      allowances: { address: 0, subject: 0 },
      connections: 0,
      requests: 0,
      ready: this.unreadyCode === undefined,
    })
  }

  /**
   * Resolves once feeds are served or stood by for, or the service was stopped. Throws
   * `GATEWAY_KEYS_REQUIRED` and what `startRelay` throws, with what was started stopped again.
   */
  async start(): Promise<void> {
    try {
      await this.#startParts()
    } catch (error) {
      // Its parts are closed under it, so it fails: that is how it ends, and `stop` does the rest.
      if (this.#stopping.signal.aborted) return
      await this.#stack.stop()
      throw error
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#stack.stop()
  }

  async #startParts(): Promise<void> {
    const { backhaul, gateway, config, clock, random, telemetry, kafka, gcs } = this.#options
    const keys = openKeys(backhaul)
    // What is wrong with the feeds is said at once, not when the log answers.
    await loadFeeds(config)
    const log = await openKafkaEventLog({ config: kafka, clock, telemetry })
    this.#stack.add('event log', () => log.close())
    const { signal } = this.#stopping
    await awaitTopics(log, topicSpecs(backhaul, extraTopics(gateway)), { clock, signal, telemetry })
    if (signal.aborted) return
    const { partitions } = backhaul
    const common = { log, telemetry, clock, random, partitions, failpoints: noFailpoints }
    const ingest = await openIngest({ ...keys, ...common, config: gateway }, this.#stack)
    this.#ingest = ingest
    this.#stack.add(
      'sweep',
      clock.every(SWEEP_MS, () => ingest.expire()),
    )
    await mkdir(backhaul.dataDir, { recursive: true })
    const folder = join(backhaul.dataDir, 'objects')
    const objects = await openObjectStore({ gcs, folder, clock, random, telemetry })
    this.#stack.add('object store', () => objects.close())
    const spoolFolder = join(backhaul.dataDir, 'relay-spool')
    const relay = await startRelay({ ...common, config, ingest, objects, spoolFolder })
    // Stopped meanwhile: nobody else knows of it.
    if (signal.aborted) return await relay.stop()
    this.#stack.add('relay', () => relay.stop())
  }
}
