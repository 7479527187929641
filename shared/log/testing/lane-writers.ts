/**
 * Writers that append to every partition of a topic the way lanes do: one append at a time each,
 * repeated after a failure that may pass. They remember what was acknowledged, and where.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { BackhaulError } from '../../runtime/errors.ts'
import type { EventLog } from '../event-log.ts'

export interface Acknowledged {
  readonly value: string
  readonly partition: number
  readonly offset: number
}

const RETRY_MS = 50
const PAUSE_MS = 2
const RECORDS_PER_APPEND = 3

export class LaneWriters {
  readonly acknowledged: Acknowledged[] = []
  /** Codes of the failures, with how often each came. */
  readonly failures = new Map<string, number>()
  readonly #log: EventLog
  readonly #topic: string
  readonly #writers: readonly Promise<void>[]
  readonly #perLane: number[]
  #stopping = false

  constructor(log: EventLog, topic: string, partitions: number) {
    this.#log = log
    this.#topic = topic
    this.#perLane = Array.from({ length: partitions }, () => 0)
    this.#writers = this.#perLane.map((_, partition) => this.#write(partition))
  }

  /** Appends acknowledged on the partition that has the fewest. */
  get fewest(): number {
    return Math.min(...this.#perLane)
  }

  /** Ends when the appends under way are settled. */
  async stop(): Promise<void> {
    this.#stopping = true
    await Promise.all(this.#writers)
  }

  async #write(partition: number): Promise<void> {
    for (let round = 0; !this.#stopping; round += 1) {
      const values = Array.from(
        { length: RECORDS_PER_APPEND },
        (_, index) => `${partition}.${round}.${index}`,
      )
      await this.#append(partition, values)
      await sleep(PAUSE_MS)
    }
  }

  async #append(partition: number, values: readonly string[]): Promise<void> {
    const records = values.map((value) => ({ key: 'k', value: Buffer.from(value), headers: {} }))
    while (!this.#stopping) {
      try {
        const { baseOffset } = await this.#log.append(this.#topic, partition, records)
        this.#perLane[partition] = (this.#perLane[partition] ?? 0) + 1
        for (const [index, value] of values.entries())
          this.acknowledged.push({ value, partition, offset: baseOffset + index })
        return
      } catch (error) {
        if (!(error instanceof BackhaulError && error.spec.retryable)) throw error
        this.failures.set(error.code, (this.failures.get(error.code) ?? 0) + 1)
        await sleep(RETRY_MS)
      }
    }
  }
}
