/**
 * Content metadata for the answers: looks for what is new at intervals, and answers from what it
 * found last. No answer waits for it: what is not known yet is `unknown` until it comes.
 */
import type { Catalogue } from '../shared/content/catalogue.ts'
import type { ContentVersion } from '../shared/content/content-record.ts'
import type { ContentSource } from '../shared/content/content-source.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import type { ContentState } from './api-schemas.ts'
import type { ContentTelemetry } from './content-telemetry.ts'
import type { ServingLimits } from './limits.ts'

/** Looks up what the metadata says of a content at a time. */
export type ContentLookup = Pick<Catalogue, 'at'>

/** What answers need of the metadata. */
export interface ContentView extends ContentLookup {
  /** How much is known, and how old that is. */
  state(): ContentState
}

export interface ContentFeedOptions {
  readonly source: ContentSource
  readonly refreshMs: number
  readonly clock: Clock
  readonly limits: Pick<ServingLimits, 'contentStaleAfterMs'>
  readonly telemetry: ContentTelemetry
}

export class ContentFeed implements ContentView {
  readonly #options: ContentFeedOptions
  readonly #stopping = new AbortController()
  #cancel: () => void = () => undefined
  #refreshing: Promise<void> | undefined
  #asOfMs: number | undefined
  #isFailing = false

  constructor(options: ContentFeedOptions) {
    this.#options = options
  }

  start(): void {
    const { clock, refreshMs } = this.#options
    this.#cancel = clock.every(refreshMs, () => void this.refresh())
    void this.refresh()
  }

  async stop(): Promise<void> {
    this.#cancel()
    this.#stopping.abort()
    await this.#refreshing
  }

  at(contentId: string, atMs: number): ContentVersion | undefined {
    return this.#options.source.catalogue.at(contentId, atMs)
  }

  state(): ContentState {
    const { source, clock, refreshMs, limits } = this.#options
    const oldestMs = clock.nowMs() - refreshMs - limits.contentStaleAfterMs
    return {
      contents: source.catalogue.contents,
      asOfMs: this.#asOfMs ?? null,
      stale: this.#asOfMs === undefined || this.#asOfMs < oldestMs,
    }
  }

  /** One at a time; never rejects. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => (this.#refreshing = undefined))
    return this.#refreshing
  }

  /** Sets the gauges to what they are now. */
  reportSizes(): void {
    const { contents, versions, bytes } = this.#options.source.catalogue
    this.#options.telemetry.sizesChanged({ contents, versions, bytes })
  }

  async #refresh(): Promise<void> {
    const { source, clock, telemetry } = this.#options
    const { signal } = this.#stopping
    const beganAtMs = clock.nowMs()
    const before = source.catalogue
    try {
      await source.refresh((error) => telemetry.refused({ error }), signal)
      this.#asOfMs = beganAtMs
      const { contents } = source.catalogue
      const isNews = this.#isFailing || before !== source.catalogue
      telemetry.refreshed({ asOfMs: beganAtMs, contents, isNews })
      this.#isFailing = false
    } catch (error) {
      if (signal.aborted) return
      telemetry.failed({ error, isFirst: !this.#isFailing })
      this.#isFailing = true
    }
  }
}
