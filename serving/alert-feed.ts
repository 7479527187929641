/**
 * Alerts as they come: follows `playback.alerts` from its end on, in every partition, and hands on
 * each message once. It begins when somebody first asks.
 */
import { LRUCache } from 'lru-cache'
import { decodeAlert, type Alert } from '../shared/alerts/alert.ts'
import type { EventLog } from '../shared/log/event-log.ts'
import { TOPICS } from '../shared/log/topics.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import { BackhaulError } from '../shared/runtime/errors.ts'
import type { ServingLimits } from './limits.ts'
import type { ServingTelemetry } from './telemetry.ts'

export interface AlertFeedOptions {
  readonly log: Pick<EventLog, 'describeTopic' | 'offsets' | 'read'>
  readonly clock: Clock
  readonly limits: ServingLimits
  readonly telemetry: Pick<ServingTelemetry, 'alertFeedFailed'>
}

export class AlertFeed {
  readonly #options: AlertFeedOptions
  readonly #stopping = new AbortController()
  readonly #seen: LRUCache<string, true>
  readonly #followers: Promise<void>[] = []
  #onAlert: (alert: Alert) => void = () => undefined
  #begun: Promise<void> | undefined

  constructor(options: AlertFeedOptions) {
    this.#options = options
    this.#seen = new LRUCache({ max: options.limits.alertIdsMax })
  }

  /** Resolves once every later alert reaches the listener; throws what the log throws. */
  begin(onAlert: (alert: Alert) => void): Promise<void> {
    this.#onAlert = onAlert
    this.#begun ??= this.#begin().catch((error: unknown) => {
      this.#begun = undefined
      throw error
    })
    return this.#begun
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await Promise.all(this.#followers)
  }

  async #begin(): Promise<void> {
    const { log } = this.#options
    const { partitions } = await log.describeTopic(TOPICS.alerts)
    const ends = await Promise.all(
      Array.from({ length: partitions }, (_, partition) => log.offsets(TOPICS.alerts, partition)),
    )
    for (const [partition, { end }] of ends.entries())
      this.#followers.push(this.#follow(partition, end))
  }

  async #follow(partition: number, fromOffset: number): Promise<void> {
    const { clock, limits, telemetry } = this.#options
    const { signal } = this.#stopping
    while (!signal.aborted) {
      try {
        fromOffset = await this.#readOn(partition, fromOffset)
      } catch (error) {
        if (signal.aborted) return
        telemetry.alertFeedFailed({ error })
        if (error instanceof BackhaulError && error.code === 'LOG_OFFSET_OUT_OF_RANGE')
          fromOffset = await this.#startOf(partition, fromOffset)
        await clock.sleep(limits.alertFeedRetryMs, signal)
      }
    }
  }

  async #readOn(partition: number, fromOffset: number): Promise<number> {
    const { log, limits } = this.#options
    const { records } = await log.read(TOPICS.alerts, partition, {
      fromOffset,
      maxRecords: limits.alertsPerReadMax,
      maxBytes: limits.alertReadMaxBytes,
      waitMs: limits.alertFeedWaitMs,
      signal: this.#stopping.signal,
    })
    for (const { value } of records) {
      const alert = decodeAlert(value)
      // A message that a killed evaluator sent again.
      if (alert === undefined || this.#seen.has(alert.id)) continue
      this.#seen.set(alert.id, true)
      this.#onAlert(alert)
    }
    return fromOffset + records.length
  }

  /** The log has let go of what was not read: the rest of it is read. */
  async #startOf(partition: number, otherwise: number): Promise<number> {
    try {
      return (await this.#options.log.offsets(TOPICS.alerts, partition)).start
    } catch {
      return otherwise
    }
  }
}
