/** Reads rows of a view over and over and reports every one that went back. */
import { systemClock } from '../../shared/runtime/clock.ts'
import type { RowOrigin, RowVersion } from '../../shared/speed/rows.ts'
import type { SpeedStore } from '../../shared/speed/speed-store.ts'

const DEFAULTS = { everyMs: 100, sessionsMax: 100_000 } as const
const MINUTES_MAX = 100_000
/** Around now, within which every minute of a test lies. */
const HOUR_MS = 3_600_000

export interface StampWatchOptions {
  readonly everyMs?: number
  /** How many sessions, the newest, are looked at. */
  readonly sessionsMax?: number
}

export class StampWatch {
  readonly regressions: string[] = []
  reads = 0
  readonly #speed: SpeedStore
  readonly #view: string
  readonly #options: Required<StampWatchOptions>
  readonly #stamps = new Map<string, number>()
  readonly #stopping = new AbortController()
  readonly #running: Promise<void>
  #failure: unknown

  constructor(speed: SpeedStore, view: string, options: StampWatchOptions = {}) {
    this.#speed = speed
    this.#view = view
    this.#options = { ...DEFAULTS, ...options }
    this.#running = this.#run()
  }

  /** Rejects when the store has answered no reading at all. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#running
    await this.#speed.close()
    if (this.reads === 0) throw new Error('no row was read', { cause: this.#failure })
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    const startedAtMs = systemClock.nowMs()
    while (!signal.aborted) {
      try {
        await this.#read(startedAtMs - HOUR_MS)
        this.reads += 1
      } catch (error) {
        // A store that is away, or busy, has nothing to show meanwhile.
        this.#failure = error
      }
      await systemClock.sleep(this.#options.everyMs, signal)
    }
  }

  async #read(fromMs: number): Promise<void> {
    const range = { fromMs, toMs: systemClock.nowMs() + HOUR_MS }
    const query = { view: this.#view, ...range, limit: MINUTES_MAX }
    for (const row of await this.#speed.readMinutes({ ...query, cut: 'total' }))
      this.#note(`minute ${row.minuteStartMs}`, row)
    for (const row of await this.#speed.readPartitions(this.#view)) this.#note('progress', row)
    const { sessionsMax } = this.#options
    for (const row of await this.#speed.readRecentSessions(this.#view, sessionsMax))
      this.#note(`session ${row.sessionId}#${row.incarnation}`, row)
  }

  #note(what: string, row: RowOrigin & RowVersion): void {
    const name = `${what} of partition ${row.partition}, generation ${row.generation}`
    const before = this.#stamps.get(name) ?? 0
    if (row.stampUs < before) this.regressions.push(`${name}: ${before} to ${row.stampUs}`)
    this.#stamps.set(name, row.stampUs)
  }
}
