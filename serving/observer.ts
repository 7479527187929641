/**
 * Looks at playback as a reader does, every `observeEveryMs`, for the metrics of this process: how
 * fresh the live rows are, the headline numbers of the newest whole minute, and the verdict of the
 * last comparison of live and history.
 */
import { MINUTE_MS } from '../shared/qoe/aggregates.ts'
import type { Cut } from '../shared/qoe/cuts.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import type { ReconcileSummary } from '../shared/warehouse/reconcile-summary.ts'
import type { ServingLimits } from './limits.ts'
import type { ObservedPlayback, PlaybackTelemetry } from './playback-telemetry.ts'
import { answerQoe } from './qoe.ts'
import type { ReadingContext } from './reading.ts'

interface ObservedView extends ReadingContext {
  readonly cuts: readonly Cut[]
}

export interface ObserverOptions {
  readonly clock: Clock
  readonly limits: Pick<
    ServingLimits,
    'observeEveryMs' | 'observeHistoryEveryMs' | 'observedCdnsMax'
  >
  readonly telemetry: PlaybackTelemetry
  /** The view that is active now. */
  readonly served: () => ObservedView
  /** The verdict; absent where another process of the deployment tells it. */
  readonly readReconcile?: (() => Promise<ReconcileSummary | undefined>) | undefined
}

export class Observer {
  readonly #options: ObserverOptions
  #looking: Promise<void> | undefined
  #isFailing = false
  #cancel: () => void = () => undefined
  #historyLookedMs = Number.NEGATIVE_INFINITY

  constructor(options: ObserverOptions) {
    this.#options = options
  }

  /** The first look is an interval away, so that a start is not slower for it. */
  start(): void {
    const { clock, limits } = this.#options
    this.#cancel = clock.every(limits.observeEveryMs, () => this.#look())
  }

  async stop(): Promise<void> {
    this.#cancel()
    await this.#looking
  }

  /** Nobody may ask for the history for long. Its own telemetry says how far it goes, and what fails. */
  #lookAtHistory(): void {
    const { clock, limits, served } = this.#options
    const nowMs = clock.monotonicMs()
    if (nowMs - this.#historyLookedMs < limits.observeHistoryEveryMs) return
    this.#historyLookedMs = nowMs
    void served()
      .history?.acquire(false)
      .then((snapshot) => snapshot?.release())
  }

  /** One look at a time; one that fails leaves the metrics of freshness as they are. */
  #look(): void {
    this.#looking ??= this.#observe()
      .then(
        () => {
          this.#isFailing = false
        },
        (error: unknown) => {
          const { telemetry } = this.#options
          telemetry.observationFailed({ error, isFirst: !this.#isFailing })
          this.#isFailing = true
        },
      )
      .finally(() => (this.#looking = undefined))
  }

  async #observe(): Promise<void> {
    const { telemetry, served, limits, readReconcile } = this.#options
    this.#lookAtHistory()
    let playback: readonly ObservedPlayback[] = []
    try {
      const view = served()
      const asOfMs = (await view.reader.readProgress()).asOfMs('narrow')
      if (asOfMs !== undefined) {
        telemetry.narrowRead(asOfMs)
        playback = await observe(view, asOfMs, limits.observedCdnsMax)
      }
    } finally {
      // What could not be read is told by no number, rather than by the last one.
      telemetry.observed(playback)
    }
    const summary = await readReconcile?.()
    if (summary !== undefined) telemetry.reconciled(summary)
  }
}

/** Label of the sum over all CDNs. */
const ALL = 'all'

/** The sum of all, and the CDNs with most events, where the view has these cuts. */
async function observe(
  view: ObservedView,
  asOfMs: number,
  cdnsMax: number,
): Promise<ObservedPlayback[]> {
  const toMs = Math.floor(asOfMs / MINUTE_MS) * MINUTE_MS
  const range = { fromMs: toMs - MINUTE_MS, toMs, stepMs: MINUTE_MS, windowMs: MINUTE_MS }
  if (range.fromMs < 0) return []
  const observed: ObservedPlayback[] = []
  for (const cut of view.cuts) {
    if (cut.id !== 'total' && cut.id !== 'cdn') continue
    const by = [...cut.dimensions]
    const query = { cut, by, where: new Map(), ...range, seriesMax: cdnsMax }
    const { series } = await answerQoe(query, view)
    for (const { key, summary } of series) observed.push({ cdn: labelOf(key['cdn']), qoe: summary })
  }
  return observed
}

/** Clients name their CDN, and one may name it as the sum of all is named. */
function labelOf(cdn: string | undefined): string {
  return cdn === ALL ? `${ALL} (cdn)` : (cdn ?? ALL)
}
