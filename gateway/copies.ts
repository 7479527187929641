/**
 * Copies of what `playback.events` holds already, for the topics that routes lead to. They stand
 * outside the acknowledgement: they have their own lanes, turns and memory, and when a topic cannot
 * keep up its copies are dropped and counted. Nothing waits for them.
 */
import { partitionOf } from '../shared/log/partitioner.ts'
import { ByteBudget } from './byte-budget.ts'
import { LanePacer, type PaceBounds } from './lane-pacer.ts'
import { Lane, LaneRecord, type LaneOptions, type RecordOwner } from './lane.ts'
import type { RefusalReason } from './ledger.ts'
import { routedTopics, Router, type Route } from './routes.ts'

/** No room in memory, not in the log by the deadline, or refused by the log for good. */
export type CopyDropReason = 'full' | 'deadline' | 'append'

export interface CopiesOptions extends Pick<
  LaneOptions,
  'bounds' | 'log' | 'clock' | 'random' | 'failpoints'
> {
  readonly routes: readonly Route[]
  /** Partitions of each routed topic. */
  readonly partitions: ReadonlyMap<string, number>
  readonly maxBytes: number
  readonly pace: PaceBounds
  readonly observer: CopiesObserver
}

export interface CopiesObserver {
  copied(topic: string): void
  copyDropped(topic: string, reason: CopyDropReason): void
}

export class Copies {
  readonly #options: CopiesOptions
  readonly #router: Router
  readonly #pacer: LanePacer
  readonly #budget: ByteBudget
  readonly #lanes: ReadonlyMap<string, readonly Lane[]>

  constructor(options: CopiesOptions) {
    const { routes, partitions, maxBytes, pace, clock } = options
    this.#options = options
    this.#router = new Router(routes)
    this.#pacer = new LanePacer(pace, clock)
    this.#budget = new ByteBudget(maxBytes)
    this.#lanes = new Map(
      routedTopics(routes).map((topic) => [
        topic,
        this.#openLanes(topic, partitions.get(topic) ?? 0),
      ]),
    )
  }

  get usedBytes(): number {
    return this.#budget.usedBytes
  }

  get isIdle(): boolean {
    return [...this.#lanes.values()].every((lanes) => lanes.every((lane) => lane.isIdle))
  }

  /** Copies a record that the log has just taken, where a route asks for it. */
  consider({ key, value, headers }: LaneRecord): void {
    if (this.#lanes.size === 0 || key === undefined) return
    for (const topic of this.#router.topicsOf(value)) {
      // Bytes of its own: the record's are a part of a piece of memory that it would keep as a whole.
      const own = new Uint8Array(value)
      const lanes = this.#lanes.get(topic) ?? []
      const lane = lanes[partitionOf(key, lanes.length)]
      const copy = new LaneRecord(
        { key, value: own, headers },
        'events',
        1,
        new CopyOwner(this.#options, topic),
      )
      if (lane?.offer(copy) !== true) this.#options.observer.copyDropped(topic, 'full')
    }
  }

  /** Drops the copies that have waited past the deadline. */
  expire(): void {
    const nowMs = this.#options.clock.monotonicMs()
    for (const lanes of this.#lanes.values()) for (const lane of lanes) lane.expire(nowMs)
  }

  stop(): void {
    this.#pacer.stop()
    for (const lanes of this.#lanes.values()) for (const lane of lanes) lane.stop()
  }

  #openLanes(topic: string, partitions: number): Lane[] {
    return Array.from(
      { length: partitions },
      (_, partition) =>
        new Lane({
          ...this.#options,
          topic,
          partition,
          pacer: this.#pacer,
          budget: this.#budget,
          observer: { appended: () => undefined, failed: () => undefined },
        }),
    )
  }
}

/** Owns one copy: gives it up at the deadline, and counts how it ends. */
class CopyOwner implements RecordOwner {
  readonly #options: CopiesOptions
  readonly #topic: string
  #isLive = true

  constructor(options: CopiesOptions, topic: string) {
    this.#options = options
    this.#topic = topic
  }

  get isLive(): boolean {
    return this.#isLive
  }

  recordAppended(): void {
    this.#options.observer.copied(this.#topic)
  }

  recordDropped(): void {
    this.#options.observer.copyDropped(this.#topic, 'deadline')
  }

  recordFailed(): void {
    this.#options.observer.copyDropped(this.#topic, 'append')
  }

  refuse(_reason: RefusalReason, record: LaneRecord): void {
    this.#isLive = false
    record.lane?.discard(record)
  }
}
