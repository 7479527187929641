/**
 * Reads minute rows from Cassandra while a load runs, by statements of its own over the driver: what
 * it tells is what any reader could have read at that moment, whatever the processor says of itself.
 */
import { Client, types } from 'cassandra-driver'
import { systemClock as clock } from '../../shared/runtime/clock.ts'
import { FreshnessOfCut } from './freshness.ts'

export interface RowReaderOptions {
  readonly contactPoint: string
  readonly keyspace: string
  readonly view: string
  /** Of the log. */
  readonly partitions: number
}

/** Narrow cuts that are looked at: all rows of one key, and rows of a few. */
export const WATCHED_CUTS = ['total', 'cdn'] as const
export type WatchedCut = (typeof WATCHED_CUTS)[number]

/** A look adds up to this to what is measured, on the side of the slower. */
const LOOK_EVERY_MS = 200
const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
/** Rows of the minute before a partition's newest still change. */
const LOOK_BACK_MS = MINUTE_MS
/** Of narrow cuts. */
const KEY_BUCKETS = [0, 1, 2, 3]

const NEWEST = `SELECT minute_ms, key, partition, last_offset FROM minutes
  WHERE view_id = ? AND cut = ? AND key_bucket IN ? AND hour_ms IN ? AND minute_ms >= ?`
const SUMS = `SELECT aggregates FROM minutes
  WHERE view_id = ? AND cut = 'total' AND key_bucket IN ? AND hour_ms IN ?`

export class RowReader {
  readonly cuts: Readonly<Record<WatchedCut, FreshnessOfCut>> = {
    total: new FreshnessOfCut(),
    cdn: new FreshnessOfCut(),
  }
  readonly #client: Client
  readonly #view: string
  readonly #startMs = clock.nowMs()
  /** Of each cut the newest minute of each partition that was seen. */
  readonly #newestMs: Readonly<Record<WatchedCut, number[]>>
  readonly #stopping = new AbortController()
  readonly #looking: Promise<void>
  #looks = 0
  #failedLooks = 0
  #failure: unknown

  constructor({ contactPoint, keyspace, view, partitions }: RowReaderOptions) {
    this.#view = view
    const newestMs = () => Array.from({ length: partitions }, () => this.#startMs)
    this.#newestMs = { total: newestMs(), cdn: newestMs() }
    this.#client = new Client({
      contactPoints: [contactPoint],
      localDataCenter: 'datacenter1',
      keyspace,
      queryOptions: { prepare: true },
    })
    this.#looking = this.#look()
  }

  /** Looks that the store did not answer: what they would have seen is seen later. */
  get failedLooks(): number {
    return this.#failedLooks
  }

  /** Events in the rows of all minutes since it began to look. */
  async eventsInRows(): Promise<number> {
    const hours = hoursFrom(this.#startMs - HOUR_MS)
    const { rows } = await this.#client.execute(SUMS, [this.#view, KEY_BUCKETS, hours])
    return rows.reduce((sum, row) => {
      const { events = 0 } = JSON.parse(row['aggregates'] as string) as { events?: number }
      return sum + events
    }, 0)
  }

  /** Rejects when the store has answered no look at all. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#looking
    await this.#client.shutdown()
    if (this.#looks === 0) throw new Error('no row was read', { cause: this.#failure })
  }

  async #look(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      try {
        await Promise.all(WATCHED_CUTS.map((cut) => this.#lookAt(cut)))
        this.#looks += 1
      } catch (error) {
        // A store under too much load lets reads time out; that is measured, and no end of it.
        this.#failedLooks += 1
        this.#failure = error
      }
      await clock.sleep(LOOK_EVERY_MS, signal)
    }
  }

  /** However far a partition is behind, its newest rows are among those that are read. */
  async #lookAt(cut: WatchedCut): Promise<void> {
    const newestMs = this.#newestMs[cut]
    const fromMs = Math.floor(Math.min(...newestMs) / MINUTE_MS) * MINUTE_MS - LOOK_BACK_MS
    const place = [this.#view, cut, KEY_BUCKETS, hoursFrom(fromMs)]
    const { rows } = await this.#client.execute(NEWEST, [...place, types.Long.fromNumber(fromMs)])
    const seenAtMs = clock.nowMs()
    for (const row of rows) {
      const partition = row['partition'] as number
      const minuteMs = (row['minute_ms'] as types.Long).toNumber()
      const lastOffset = (row['last_offset'] as types.Long).toNumber()
      newestMs[partition] = Math.max(newestMs[partition] ?? 0, minuteMs)
      this.cuts[cut].saw(partition, row['key'] as string, lastOffset, seenAtMs)
    }
  }
}

/** Starts of the hours up to now. */
function hoursFrom(fromMs: number): types.Long[] {
  const first = Math.floor(fromMs / HOUR_MS)
  const count = Math.floor(clock.nowMs() / HOUR_MS) - first + 1
  return Array.from({ length: count }, (_, at) => types.Long.fromNumber((first + at) * HOUR_MS))
}
