/**
 * A processor as a process of its own: everything around `startProcessor` that standalone does for
 * all roles. The log need not be there yet: until its topics answer, the process lives, is unready,
 * and asks again.
 */
import { awaitTopics } from '../shared/log/await-topics.ts'
import type { KafkaConfig } from '../shared/log/kafka-config.ts'
import { openKafkaEventLog } from '../shared/log/kafka-event-log.ts'
import type { GcsConfig } from '../shared/objects/gcs-config.ts'
import { createSealer } from '../shared/log/reject-record.ts'
import { topicSpecs } from '../shared/log/topics.ts'
import { parseCut } from '../shared/qoe/cuts.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import type { Failpoints } from '../shared/runtime/failpoints.ts'
import { StopStack, type Running } from '../shared/runtime/lifecycle.ts'
import type { Random } from '../shared/runtime/random.ts'
import type { BackhaulConfig } from '../shared/runtime/settings.ts'
import type { TelemetryBase } from '../shared/runtime/telemetry.ts'
import type { CassandraConfig } from '../shared/speed/cassandra-config.ts'
import { startAdmin } from './admin.ts'
import type { AlertSettings, ProcessorConfig } from './config.ts'
import { processorErrors, type ProcessorErrorCode } from './errors.ts'
import { startProcessor, type RunningProcessor } from './start.ts'
import { openStores } from './stores.ts'

export interface ProcessorServiceOptions {
  readonly backhaul: BackhaulConfig
  readonly config: ProcessorConfig
  readonly kafka: KafkaConfig
  /** Absent where rows are in the data folder. */
  readonly cassandra: CassandraConfig | undefined
  /** Absent where checkpoints are in the data folder. */
  readonly gcs: GcsConfig | undefined
  /** Absent where no alert rules are evaluated. */
  readonly alerts: AlertSettings | undefined
  readonly telemetry: TelemetryBase
  readonly clock: Clock
  readonly random: Random
  readonly failpoints: Failpoints
}

/** A processor that may still wait for its log. */
export class ProcessorService implements Running {
  readonly #options: ProcessorServiceOptions
  readonly #stack = new StopStack()
  readonly #stopping = new AbortController()
  #processor: RunningProcessor | undefined

  constructor(options: ProcessorServiceOptions) {
    this.#options = options
  }

  /** Why it does not work on partitions; `undefined` once it does. */
  get unreadyCode(): ProcessorErrorCode | undefined {
    if (this.#stopping.signal.aborted) return 'PROCESSOR_STOPPING'
    return this.#processor === undefined ? 'PROCESSOR_LOG_UNAVAILABLE' : undefined
  }

  get processor(): RunningProcessor | undefined {
    return this.#processor
  }

  /**
   * Resolves once it is a member of its group, or was stopped. Throws `PROCESSOR_SEAL_KEY_REQUIRED`,
   * `PROCESSOR_ADMIN_PORT_UNAVAILABLE`, `PROCESSOR_DATA_FOLDER_HELD` and what `startProcessor` throws, with what was started
   * stopped again.
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

  /** Operators see it stop: their port is closed last. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#stack.stop()
  }

  async #startParts(): Promise<void> {
    const { backhaul, config, kafka, cassandra, gcs, clock, random, telemetry } = this.#options
    const sealer = openSealer(backhaul)
    const admin = await startAdmin({
      service: this,
      config,
      backhaul,
      registry: telemetry.registry,
    })
    this.#stack.add('port for operators', () => admin.close())
    const parts = { backhaul, cassandra, gcs, clock, random, telemetry }
    const stores = await openStores(parts, this.#stack)
    const log = await openKafkaEventLog({ config: kafka, clock, telemetry })
    this.#stack.add('event log', () => log.close())
    const { signal } = this.#stopping
    await awaitTopics(log, topicSpecs(backhaul), { clock, signal, telemetry })
    if (signal.aborted) return
    const processor = await startProcessor({
      ...this.#options,
      ...stores,
      log,
      sealer,
      cuts: backhaul.cuts.map(parseCut),
      partitions: backhaul.partitions,
    })
    // Stopped meanwhile: nobody else knows of it.
    if (signal.aborted) return await processor.stop()
    this.#processor = processor
    this.#stack.add('processor', () => processor.stop())
  }
}

/** A key made on the spot could not open what other processors and gateways sealed. */
function openSealer({ sealKey }: BackhaulConfig) {
  if (sealKey === '') throw processorErrors.create('PROCESSOR_SEAL_KEY_REQUIRED')
  return createSealer(Buffer.from(sealKey, 'base64'))
}
