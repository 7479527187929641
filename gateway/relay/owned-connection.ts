/**
 * One connection of a feed while this relay owns it: opened and opened again, its messages put into
 * the log, its position saved, the feed told of what is kept.
 */
import type { BackhaulError, ErrorDetail } from '../../shared/runtime/errors.ts'
import type { Clock } from '../../shared/runtime/clock.ts'
import { fullJitterMs } from '../../shared/runtime/full-jitter.ts'
import type { Random } from '../../shared/runtime/random.ts'
import type { RelayConfig } from './config.ts'
import type { CursorStore } from './cursor-store.ts'
import { relayErrors, type FeedFailureCode } from './errors.ts'
import { FeedSocket } from './feed-socket.ts'
import { addressOf, type Feed } from './feeds.ts'
import {
  ACKNOWLEDGE_EVERY_MS,
  CONNECTION_STABLE_MS,
  OFFER_AGAIN_MS,
  RECONNECT_MAX_MS,
  RECONNECT_MS,
} from './limits.ts'
import type { FeedMapping, FeedPosition } from './mapping.ts'
import type { Pipeline } from './pipeline.ts'
import type { RelayTelemetry } from './telemetry.ts'

export interface OwnedConnectionOptions {
  readonly feed: Feed
  /** Of the feed, from 0. */
  readonly connection: number
  readonly mapping: FeedMapping
  readonly pipeline: Pipeline
  readonly cursors: CursorStore
  readonly ownership: number
  readonly config: RelayConfig
  readonly clock: Clock
  readonly random: Random
  readonly telemetry: RelayTelemetry
  /** Another relay has the connection. */
  lost(error: unknown): void
}

export class OwnedConnection {
  readonly #options: OwnedConnectionOptions
  readonly #stopping = new AbortController()
  #socket: FeedSocket | undefined
  #isOpen = false
  /** Resolves when the connection that is open has ended. */
  #ended: (failure: BackhaulError) => void = () => undefined
  #closedSinceMs: number | undefined
  #failures = 0
  /** The position that the feed may be told of. */
  #kept: FeedPosition = {}
  #unsaved = false
  #isSaving = false
  #saving: Promise<void> = Promise.resolve()
  readonly #cancelSaves: () => void
  #cancelAcknowledge: (() => void) | undefined
  readonly #running: Promise<void>

  constructor(options: OwnedConnectionOptions) {
    this.#options = options
    const { clock, config } = options
    this.#cancelSaves = clock.every(config.saveMs, () => this.#save())
    this.#running = this.#run()
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** More is in the log without a gap. */
  advanced(): void {
    this.#unsaved = true
    if (!this.#options.pipeline.numbersSessions) this.#acknowledgeSoon()
  }

  /** Takes nothing more, waits for what is under way as long as it may, and saves the position. */
  async finish(graceMs: number): Promise<void> {
    const { clock, pipeline } = this.#options
    this.#end()
    const untilMs = clock.monotonicMs() + graceMs
    while (!pipeline.isIdle && clock.monotonicMs() < untilMs) await clock.sleep(OFFER_AGAIN_MS)
    await this.#saving
    this.#save()
    await this.#saving
    await this.abandon()
  }

  /** Another owner goes on: nothing more is taken, saved or told. */
  async abandon(): Promise<void> {
    this.#end()
    this.#cancelAcknowledge?.()
    this.#options.pipeline.stop()
    await this.#running
    await this.#saving
  }

  #end(): void {
    this.#stopping.abort()
    this.#cancelSaves()
    this.#socket?.close()
    this.#isOpen = false
    this.#ended(relayErrors.create('RELAY_FEED_CLOSED'))
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      const { clock, feed, connection, telemetry } = this.#options
      const openedAtMs = clock.monotonicMs()
      const failure = await this.#connect(attempt)
      if (signal.aborted) return
      telemetry.ended(feed.id, connection, failure)
      const wasOpen = this.#isOpen
      this.#isOpen = false
      if (wasOpen) this.#closedSinceMs = clock.monotonicMs()
      const wasStable = wasOpen && clock.monotonicMs() - openedAtMs >= CONNECTION_STABLE_MS
      // After one that was open, the first address again; a round of all of them costs no wait.
      if (wasStable) this.#failures = 0
      if (wasOpen) attempt = -1
      if (wasOpen || (attempt + 1) % feed.urls.length === 0) await this.#wait()
      if (NO_ROOM.has(failure.code)) await this.#untilRoom()
    }
  }

  /** Full jitter over a window that doubles: a feed that fell is not met by all at once. */
  async #wait(): Promise<void> {
    const { clock, random } = this.#options
    const bounds = { retryDelayMs: RECONNECT_MS, retryDelayMaxMs: RECONNECT_MAX_MS }
    const waitMs = fullJitterMs(this.#failures, bounds, random)
    this.#failures += 1
    await clock.sleep(waitMs, this.#stopping.signal)
  }

  async #untilRoom(): Promise<void> {
    const { clock, pipeline } = this.#options
    const { signal } = this.#stopping
    while (!signal.aborted && !pipeline.hasRoomAgain) await clock.sleep(OFFER_AGAIN_MS, signal)
  }

  /** Resolves when the connection could not be opened or has ended, to why. */
  #connect(attempt: number): Promise<BackhaulError> {
    const { feed, connection, pipeline, config, clock } = this.#options
    // Before the address says where to go on from: what is in the spool comes again.
    pipeline.begin(feed.resumable)
    return new Promise((resolve) => {
      this.#ended = resolve
      const { connectTimeoutMs, messageMaxBytes } = config
      try {
        const template = feed.urls[attempt % feed.urls.length] ?? ''
        const url = addressOf(template, connection, pipeline.cursor)
        this.#socket = new FeedSocket({
          url,
          feed,
          connectTimeoutMs,
          messageMaxBytes,
          clock,
          opened: () => this.#opened(url),
          message: (bytes) => this.#receive(bytes),
          ended: resolve,
        })
      } catch (cause) {
        resolve(relayErrors.create('RELAY_FEED_UNREACHABLE', { received: String(cause), cause }))
      }
    })
  }

  #opened(url: string): void {
    const { feed, connection, mapping, pipeline, clock, telemetry } = this.#options
    this.#isOpen = true
    telemetry.opened(feed.id, connection, url)
    if (this.#closedSinceMs !== undefined && !feed.resumable)
      telemetry.unresumed(feed.id, clock.monotonicMs() - this.#closedSinceMs)
    this.#closedSinceMs = undefined
    this.#tell(() => mapping.hello?.({ connection, cursor: pipeline.cursor }))
    // What was told while nobody listened.
    this.#acknowledge()
  }

  #receive(bytes: Uint8Array): void {
    const { pipeline, config } = this.#options
    if (pipeline.receive(bytes)) return
    // Closed before it is answered for: a feed that can resume sends this message again.
    this.#close('RELAY_SPOOL_FULL', {
      expected: `at most ${config.inFlightMaxBytes} bytes in memory and ${config.spoolMaxBytes} on disk`,
    })
  }

  /** The disk failed under the spool: a feed that can resume sends again what was there. */
  spoolFailed(error: unknown): void {
    this.#close('RELAY_SPOOL_FAILED', { received: String(error), cause: error })
  }

  #close(code: FeedFailureCode, detail: ErrorDetail): void {
    this.#socket?.close()
    this.#ended(relayErrors.create(code, detail))
  }

  #tell(make: () => string | undefined): void {
    try {
      const text = make()
      if (text !== undefined) this.#socket?.send(text)
    } catch (cause) {
      this.#close('RELAY_MAPPING_FAILED', { received: String(cause), cause })
    }
  }

  #acknowledgeSoon(): void {
    const { mapping, clock } = this.#options
    if (mapping.acknowledge === undefined) return
    this.#cancelAcknowledge ??= clock.after(ACKNOWLEDGE_EVERY_MS, () => this.#acknowledge())
  }

  #acknowledge(): void {
    this.#cancelAcknowledge = undefined
    const { mapping, pipeline } = this.#options
    if (!pipeline.numbersSessions) this.#kept = pipeline.durablePosition
    const { cursor = '', number } = this.#kept
    if (cursor === '' && number === undefined) return
    this.#tell(() => mapping.acknowledge?.(this.#kept))
  }

  /**
   * The numbers of sessions belong to the position, so a feed that is told of what is kept hears of
   * such a position only once it is saved: the next owner must not know less than the feed.
   */
  #save(): void {
    // A slow store must not gather saves: the next one comes when this is over.
    if (!this.#unsaved || this.#isSaving) return
    this.#unsaved = false
    this.#isSaving = true
    this.#saving = this.#saveNow().finally(() => (this.#isSaving = false))
  }

  async #saveNow(): Promise<void> {
    const { feed, pipeline, cursors, ownership, telemetry, lost } = this.#options
    const { cursor = '', number, sessions } = pipeline.durable
    try {
      await cursors.save({ cursor, number, ownership, sessions })
    } catch (error) {
      this.#unsaved = true
      if (isLost(error)) lost(error)
      else telemetry.saveFailed(feed.id, error)
      return
    }
    if (!pipeline.numbersSessions) return
    this.#kept = { cursor, number }
    this.#acknowledge()
  }
}

/** Ends after which a feed is opened only when the log has caught up. */
const NO_ROOM = new Set<string>(['RELAY_SPOOL_FULL', 'RELAY_SPOOL_FAILED'])

function isLost(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'RELAY_OWNERSHIP_LOST'
}
