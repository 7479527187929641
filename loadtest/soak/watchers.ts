/** Readers that look on while a soak runs: at the rows in the store, and at what serving answers of them. */
import { systemClock as clock } from '../../shared/runtime/clock.ts'
import { StampWatch } from '../processor/stamp-watch.ts'
import { RegressionWatch } from '../regression-watch.ts'
import type { SoakAudience } from './audience.ts'
import type { Stage } from './stage.ts'

const LOOK_EVERY_MS = 1_000
const SESSIONS_LOOKED_AT = 100
/** Sessions that serving is asked for at a time; another one takes the place of the oldest. */
const SESSIONS_ASKED_FOR = 3
const NEXT_SESSION_EVERY_MS = 15_000
const MARGIN_MS = 10 * 60_000
const CUTS = ['', 'by=cdn&', 'by=content&']

export interface Seen {
  readonly regressions: readonly string[]
  readonly rowReads: number
  readonly answers: number
}

export class Watchers {
  readonly #stage: Stage
  readonly #audience: SoakAudience
  readonly #stamps: StampWatch
  readonly #minutes: readonly RegressionWatch[]
  readonly #sessions: RegressionWatch[] = []
  readonly #stopping = new AbortController()
  readonly #running: Promise<void>
  #seen: Promise<Seen> | undefined

  static async start(stage: Stage, audience: SoakAudience, forMs: number): Promise<Watchers> {
    const speed = await stage.machine.openSpeed()
    const options = { everyMs: LOOK_EVERY_MS, sessionsMax: SESSIONS_LOOKED_AT }
    const stamps = new StampWatch(speed, stage.machine.view, options)
    return new Watchers({ stage, audience, stamps, forMs })
  }

  private constructor({ stage, audience, stamps, forMs }: WatcherParts) {
    this.#stage = stage
    this.#audience = audience
    this.#stamps = stamps
    const nowMs = clock.nowMs()
    const range = `step=1m&series=100&from=${nowMs - MARGIN_MS}&to=${nowMs + forMs + MARGIN_MS}`
    this.#minutes = CUTS.map((by) =>
      RegressionWatch.ofQuery(`${stage.servingUrl}/v1/qoe?${by}${range}`),
    )
    this.#running = this.#run()
  }

  /** May be called again. */
  stop(): Promise<Seen> {
    this.#seen ??= this.#end()
    return this.#seen
  }

  async #end(): Promise<Seen> {
    this.#stopping.abort()
    await Promise.all([this.#running, this.#stamps.stop()])
    const watches = [...this.#minutes, ...this.#sessions]
    return {
      regressions: [...this.#stamps.regressions, ...watches.flatMap((each) => each.regressions)],
      rowReads: this.#stamps.reads,
      answers: watches.reduce((sum, { reads }) => sum + reads, 0),
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    let nextSessionMs = clock.monotonicMs()
    while (!signal.aborted) {
      const { newestSession } = this.#audience
      if (newestSession !== '' && clock.monotonicMs() >= nextSessionMs) {
        const url = `${this.#stage.servingUrl}/v1/sessions/${newestSession}`
        this.#sessions.push(RegressionWatch.ofSession(url))
        nextSessionMs += NEXT_SESSION_EVERY_MS
      }
      const asked = [...this.#minutes, ...this.#sessions.slice(-SESSIONS_ASKED_FOR)]
      await Promise.all(asked.map((each) => each.read()))
      await clock.sleep(LOOK_EVERY_MS, signal)
    }
  }
}

interface WatcherParts {
  readonly stage: Stage
  readonly audience: SoakAudience
  readonly stamps: StampWatch
  readonly forMs: number
}
