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
}

/** Narrow cuts that are looked at: all rows of one key, and rows of a few. */
export const WATCHED_CUTS = ['total', 'cdn'] as const
export type WatchedCut = (typeof WATCHED_CUTS)[number]

/** A look adds up to this to what is measured, on the side of the slower. */
const LOOK_EVERY_MS = 200
const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
/** Behind a minute that has ended its rows still change for what comes late. */
const LOOK_BACK_MS = 2 * MINUTE_MS
/** Of narrow cuts. */
const KEY_BUCKETS = [0, 1, 2, 3]

const NEWEST = `SELECT key, partition, last_offset FROM minutes
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
  readonly #stopping = new AbortController()
  readonly #looking: Promise<void>

  constructor({ contactPoint, keyspace, view }: RowReaderOptions) {
    this.#view = view
    this.#client = new Client({
      contactPoints: [contactPoint],
      localDataCenter: 'datacenter1',
      keyspace,
      queryOptions: { prepare: true },
    })
    this.#looking = this.#look()
    // Told by `stop`; until then the load goes on.
    this.#looking.catch(() => undefined)
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

  /** Rejects when it could not look at some moment. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    try {
      await this.#looking
    } finally {
      await this.#client.shutdown()
    }
  }

  async #look(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      await Promise.all(WATCHED_CUTS.map((cut) => this.#lookAt(cut)))
      await clock.sleep(LOOK_EVERY_MS, signal)
    }
  }

  async #lookAt(cut: WatchedCut): Promise<void> {
    const fromMs = Math.max(this.#startMs, clock.nowMs() - LOOK_BACK_MS)
    const minuteMs = Math.floor(fromMs / MINUTE_MS) * MINUTE_MS
    const place = [this.#view, cut, KEY_BUCKETS, hoursFrom(fromMs)]
    const { rows } = await this.#client.execute(NEWEST, [...place, types.Long.fromNumber(minuteMs)])
    const seenAtMs = clock.nowMs()
    for (const row of rows) {
      const lastOffset = (row['last_offset'] as types.Long).toNumber()
      this.cuts[cut].saw(row['partition'] as number, row['key'] as string, lastOffset, seenAtMs)
    }
  }
}

/** Starts of the hours up to now. */
function hoursFrom(fromMs: number): types.Long[] {
  const first = Math.floor(fromMs / HOUR_MS)
  const count = Math.floor(clock.nowMs() / HOUR_MS) - first + 1
  return Array.from({ length: count }, (_, at) => types.Long.fromNumber((first + at) * HOUR_MS))
}
