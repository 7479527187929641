/** Reads rows of a view over and over and reports every one that went back. */
import { systemClock } from '../../shared/runtime/clock.ts'
import type { RowOrigin, RowVersion } from '../../shared/speed/rows.ts'
import type { SpeedStore } from '../../shared/speed/speed-store.ts'

const EVERY_MS = 100
const ROWS_MAX = 100_000
/** Around now, within which every minute of a test lies. */
const HOUR_MS = 3_600_000

export class StampWatch {
  readonly regressions: string[] = []
  reads = 0
  readonly #speed: SpeedStore
  readonly #view: string
  readonly #stamps = new Map<string, number>()
  readonly #stopping = new AbortController()
  readonly #running: Promise<void>

  constructor(speed: SpeedStore, view: string) {
    this.#speed = speed
    this.#view = view
    this.#running = this.#run()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#running
    await this.#speed.close()
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    const nowMs = systemClock.nowMs()
    const range = { fromMs: nowMs - HOUR_MS, toMs: nowMs + HOUR_MS }
    const query = { view: this.#view, ...range, limit: ROWS_MAX }
    while (!signal.aborted) {
      for (const row of await this.#speed.readMinutes({ ...query, cut: 'total' }))
        this.#note(`minute ${row.minuteStartMs}`, row)
      for (const row of await this.#speed.readPartitions(this.#view)) this.#note('progress', row)
      for (const row of await this.#speed.readRecentSessions(this.#view, ROWS_MAX))
        this.#note(`session ${row.sessionId}#${row.incarnation}`, row)
      this.reads += 1
      await systemClock.sleep(EVERY_MS, signal)
    }
  }

  #note(what: string, row: RowOrigin & RowVersion): void {
    const name = `${what} of partition ${row.partition}, generation ${row.generation}`
    const before = this.#stamps.get(name) ?? 0
    if (row.stampUs < before) this.regressions.push(`${name}: ${before} to ${row.stampUs}`)
    this.#stamps.set(name, row.stampUs)
  }
}
