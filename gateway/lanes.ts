/** All lanes of a gateway: one for each partition of the events topic and of the rejects topic. */
import { TOPICS } from '../shared/log/topics.ts'
import { Lane, type LaneOptions } from './lane.ts'
import { LanePacer, type PaceBounds } from './lane-pacer.ts'

export interface LanesOptions extends Omit<LaneOptions, 'topic' | 'partition' | 'pacer'> {
  readonly pace: PaceBounds
  readonly eventPartitions: number
  readonly rejectPartitions: number
}

export class Lanes {
  readonly events: readonly Lane[]
  readonly rejects: readonly Lane[]
  readonly all: readonly Lane[]
  readonly pacer: LanePacer
  readonly #options: LanesOptions
  #lastAppendedAtMs = Number.NEGATIVE_INFINITY

  constructor(options: LanesOptions) {
    this.#options = options
    this.pacer = new LanePacer(options.pace, options.clock)
    const lanesOf = (topic: string, partitions: number) =>
      Array.from({ length: partitions }, (_, partition) => this.#open(topic, partition))
    this.events = lanesOf(TOPICS.events, options.eventPartitions)
    this.rejects = lanesOf(TOPICS.rejects, options.rejectPartitions)
    this.all = [...this.events, ...this.rejects]
  }

  /**
   * Whether the log takes records: false once a lane fails or waits in vain and none has got a
   * record through since that began. A single partition that is down slows its sessions only.
   */
  get isLogAvailable(): boolean {
    const nowMs = this.#options.clock.monotonicMs()
    for (const lane of this.all) {
      const downSinceMs = lane.downSinceMs(nowMs)
      if (downSinceMs !== undefined && downSinceMs >= this.#lastAppendedAtMs) return false
    }
    return true
  }

  get isIdle(): boolean {
    return this.all.every((lane) => lane.isIdle)
  }

  /** Refuses the owners of all records past their deadline. */
  expire(): void {
    const nowMs = this.#options.clock.monotonicMs()
    for (const lane of this.all) lane.expire(nowMs)
  }

  stop(): void {
    this.pacer.stop()
    for (const lane of this.all) lane.stop()
  }

  #open(topic: string, partition: number): Lane {
    const { observer, clock } = this.#options
    return new Lane({
      ...this.#options,
      pacer: this.pacer,
      topic,
      partition,
      observer: {
        // Rejects are nobody else's.
        ...(topic === TOPICS.events && observer.recordAppended !== undefined
          ? { recordAppended: observer.recordAppended }
          : {}),
        appended: (lane, batch) => {
          this.#lastAppendedAtMs = clock.monotonicMs()
          observer.appended(lane, batch)
        },
        failed: (lane, error, attempt) => observer.failed(lane, error, attempt),
      },
    })
  }
}
