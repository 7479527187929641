/**
 * All that answers from one view of the speed store: its rows, cuts and limits belong together. A
 * switch to another view makes a new one of these and puts it in place at once; a request, and a
 * poll of the live feed, keeps the one it began with, so no answer mixes two views.
 */
import type { EventLog } from '../shared/log/event-log.ts'
import type { ErasureReader } from '../shared/objects/erasures.ts'
import type { Cut } from '../shared/qoe/cuts.ts'
import { paneLifeOf, type FoldLimits } from '../shared/qoe/fold.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import type { SpeedStore } from '../shared/speed/speed-store.ts'
import { VIEW_REFRESH_MS } from '../shared/views/limits.ts'
import type { BatchActivity } from '../shared/warehouse/batch-activity.ts'
import type { AlertsContext } from './alerts.ts'
import type { ContentView } from './content-feed.ts'
import type { History } from './history/history.ts'
import type { ServingLimits } from './limits.ts'
import { createMinuteReader } from './minute-reader.ts'
import type { ReadingContext } from './reading.ts'
import { createSessionsApi, type SessionsApi } from './sessions.ts'
import type { StatusContext } from './status.ts'
import type { ServingTelemetry } from './telemetry.ts'
import { createViewerSessionsApi, type ListViewerSessions } from './viewer-sessions.ts'

/** What tells a view from others. */
export interface ViewFacts {
  readonly view: string
  readonly cuts: readonly Cut[]
  readonly limits: FoldLimits
}

export interface ServedView extends ReadingContext, StatusContext, AlertsContext {
  readonly limits: ServingLimits
  /** Absent where there is no content metadata. */
  readonly content: ContentView | undefined
  readonly sessions: SessionsApi
  readonly listViewerSessions: ListViewerSessions
}

export interface ServedViewsOptions {
  readonly log: EventLog
  readonly speed: SpeedStore
  readonly clock: Clock
  readonly limits: ServingLimits
  readonly telemetry: ServingTelemetry
  readonly partitions: number
  readonly history: History | undefined
  /** Absent where there is no content metadata. */
  readonly content: ContentView | undefined
  readonly batchActivity: (() => BatchActivity) | undefined
  readonly erasures?: ErasureReader
  /** Served until another view is active. */
  readonly initial: ViewFacts
  /** The active view; `undefined` while there is none. Absent where it never changes. */
  readonly readActive?: (() => Promise<ViewFacts | undefined>) | undefined
}

export class ServedViews {
  readonly #options: ServedViewsOptions
  #current: ServedView
  #looking: Promise<void> | undefined
  #isFailing = false
  #stopLooking: () => void = () => undefined

  constructor(options: ServedViewsOptions) {
    this.#options = options
    this.#current = servedView(options.initial, options)
  }

  /** What a request that begins now is answered from. */
  get current(): ServedView {
    return this.#current
  }

  /** Looks once, and from then on again and again. A look that fails leaves what is served. */
  async begin(): Promise<void> {
    const { readActive, clock } = this.#options
    if (readActive === undefined) return
    await this.#look(readActive, true)
    this.#stopLooking = clock.every(VIEW_REFRESH_MS, () => void this.#look(readActive))
  }

  async stop(): Promise<void> {
    this.#stopLooking()
    await this.#looking
  }

  #look(readActive: () => Promise<ViewFacts | undefined>, isFirst = false): Promise<void> {
    this.#looking ??= this.#follow(readActive, isFirst).finally(() => (this.#looking = undefined))
    return this.#looking
  }

  async #follow(readActive: () => Promise<ViewFacts | undefined>, isFirst: boolean): Promise<void> {
    const { telemetry } = this.#options
    try {
      const active = await readActive()
      this.#isFailing = false
      if (active === undefined || active.view === this.#current.view) return
      this.#current = servedView(active, this.#options)
      telemetry.viewServed({ view: active.view, isFirst })
    } catch (error) {
      telemetry.viewLookFailed({ error, isFirst: !this.#isFailing })
      this.#isFailing = true
    }
  }
}

function servedView(facts: ViewFacts, options: ServedViewsOptions): ServedView {
  const { view, cuts, limits: foldLimits } = facts
  const { telemetry } = options
  const paneLifeMs = paneLifeOf(foldLimits)
  const onCache = telemetry.closedMinutesAsked
  const reader = createMinuteReader({ ...options, view, paneLifeMs, onCache })
  const ofSessions = { ...options, view, foldLimits }
  const sessions = createSessionsApi(ofSessions)
  const listViewerSessions = createViewerSessionsApi(ofSessions)
  const { content } = options
  return { ...options, view, cuts, paneLifeMs, reader, sessions, listViewerSessions, content }
}
