/**
 * One connection of a feed, seen by one of the relays beside one another: it waits until the lease is
 * free, owns the connection while it holds it, and stands by again when it has lost it.
 */
import { join } from 'node:path'
import { acquireLease, LeaseWatch, type Lease } from '../../shared/objects/lease.ts'
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import { BackhaulError } from '../../shared/runtime/errors.ts'
import type { Clock } from '../../shared/runtime/clock.ts'
import type { Random } from '../../shared/runtime/random.ts'
import { DEFAULT_FRAME_LIMITS } from '../../shared/events/limits.ts'
import type { Ingest } from '../ingest.ts'
import type { RelayConfig } from './config.ts'
import { CursorStore } from './cursor-store.ts'
import type { Feed } from './feeds.ts'
import type { FeedMapping } from './mapping.ts'
import { OwnedConnection } from './owned-connection.ts'
import { Pipeline, type PipelineObserver, type PipelineStart } from './pipeline.ts'
import { Spool } from './spool.ts'
import type { RelayTelemetry } from './telemetry.ts'

export interface FeedConnectionOptions {
  readonly feed: Feed
  /** Of the feed, from 0. */
  readonly connection: number
  readonly mapping: FeedMapping
  readonly ingest: Ingest
  readonly objects: ObjectStore
  readonly config: RelayConfig
  /** Name of this relay in leases. */
  readonly holder: string
  readonly spoolFolder: string
  readonly clock: Clock
  readonly random: Random
  readonly telemetry: RelayTelemetry
  /** Slots of connections that this relay may own. */
  readonly slots: { take(): boolean; give(): void }
}

/** A wait for the next look at the lease is longer by up to this share of it. */
const POLL_JITTER = 0.5

interface Owned {
  readonly pipeline: Pipeline
  readonly spool: Spool
  readonly connection: OwnedConnection
}

export class FeedConnection {
  readonly #options: FeedConnectionOptions
  readonly #stopping = new AbortController()
  readonly #watch = new LeaseWatch()
  #owned: Owned | undefined
  readonly #running: Promise<void>

  constructor(options: FeedConnectionOptions) {
    this.#options = options
    this.#running = this.#run()
  }

  get feedId(): string {
    return this.#options.feed.id
  }

  /** How it stands; `undefined` while another relay owns it. */
  get standing() {
    if (this.#owned === undefined) return undefined
    const { pipeline, spool, connection } = this.#owned
    return {
      isOpen: connection.isOpen,
      spooledBytes: spool.usedBytes,
      inFlightBytes: pipeline.inFlightBytes,
      sessions: pipeline.sessions,
      lagMs: pipeline.lagMs(this.#options.clock.nowMs()),
    }
  }

  /** Hands the connection over; what is under way has the deadline of the log to get there. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { clock, random, config, slots } = this.#options
    const { signal } = this.#stopping
    while (!signal.aborted) {
      if (slots.take()) {
        await this.#takeOver()
        slots.give()
      }
      const waitMs = config.takeoverPollMs * (1 + random.next() * POLL_JITTER)
      await clock.sleep(waitMs, signal)
    }
  }

  /** Resolves when it is no longer owned, or could not be had. */
  async #takeOver(): Promise<void> {
    const { feed, connection, telemetry } = this.#options
    try {
      const lease = await this.#lease()
      if (lease === undefined) return
      try {
        await this.#own(lease)
      } finally {
        await lease.release()
      }
    } catch (error) {
      telemetry.takeoverFailed(feed.id, connection, error)
    }
  }

  async #lease(): Promise<Lease | undefined> {
    const { feed, connection, objects, config, holder, clock } = this.#options
    const name = `relay/leases/${feed.id}/${connection}`
    const durationMs = config.leaseMs
    try {
      return await acquireLease(objects, { name, holder, durationMs, clock, watch: this.#watch })
    } catch (error) {
      if (error instanceof BackhaulError && TAKEN.has(error.code)) return undefined
      throw error
    }
  }

  async #own(lease: Lease): Promise<void> {
    const { feed, connection, mapping, objects, config, clock, random, telemetry } = this.#options
    const cursors = new CursorStore(objects, feed.id, connection)
    const saved = await cursors.load()
    const ownership = saved.ownership + 1
    // Where a feed goes on from nowhere, sessions begin anew: their old numbers may have been used.
    const from = feed.resumable ? saved : { cursor: '', sessions: [] }
    // Before anything is taken: an owner that went before can save nothing from now on.
    await cursors.save({ ...from, number: saved.number, ownership })
    telemetry.tookOver(feed.id, connection, ownership)
    const over = new AbortController()
    const spool = new Spool(this.#spoolFolder, config.spoolMaxBytes)
    const start = { ...from, number: saved.number, ownership }
    const pipeline = this.#openPipeline(spool, start, {
      advanced: () => owned.advanced(),
      spoolFailed: (error) => owned.spoolFailed(error),
    })
    const owned = new OwnedConnection({
      feed,
      connection,
      mapping,
      pipeline,
      cursors,
      ownership,
      config,
      clock,
      random,
      telemetry,
      lost: () => over.abort(),
    })
    this.#owned = { pipeline, spool, connection: owned }
    try {
      await anyAborted([lease.signal, over.signal, this.#stopping.signal])
      if (this.#stopping.signal.aborted) await owned.finish(this.#graceMs)
      else await owned.abandon()
    } finally {
      this.#owned = undefined
      spool.close()
    }
  }

  #openPipeline(
    spool: Spool,
    from: PipelineStart,
    told: Pick<PipelineObserver, 'advanced' | 'spoolFailed'>,
  ): Pipeline {
    const { feed, connection, mapping, ingest, config, clock, telemetry } = this.#options
    const { id } = feed
    const principal = { subject: undefined, scopes: [], expiresAtMs: undefined }
    return new Pipeline({
      feedId: id,
      connection,
      intake: ingest.intake,
      source: ingest.enrichment.sourceOf({ principal, country: '', traceparent: '' }),
      mapping,
      frameLimits: { ...DEFAULT_FRAME_LIMITS, eventsMax: ingest.config.frameEventsMax },
      inFlightMaxBytes: config.inFlightMaxBytes,
      numbersGoOn: feed.numbersGoOn,
      resumable: feed.resumable,
      spool,
      from,
      sessionsMax: config.sessionsMax,
      clock,
      observer: {
        took: (message) => telemetry.took(id, message),
        repeated: () => telemetry.repeated(id),
        rejected: (code) => telemetry.rejected(id, code),
        failed: (position, error) => telemetry.failed(id, position, error),
        ...told,
      },
    })
  }

  get #spoolFolder(): string {
    const { spoolFolder, feed, connection, holder } = this.#options
    return join(spoolFolder, holder, feed.id, String(connection))
  }

  /** What the log has not taken by its own deadline, it does not take in time. */
  get #graceMs(): number {
    return this.#options.ingest.config.appendDeadlineMs
  }
}

/** Another relay has it, or took it at the same moment. */
const TAKEN = new Set(['LEASE_HELD', 'OBJECT_PRECONDITION_FAILED'])

function anyAborted(signals: readonly AbortSignal[]): Promise<void> {
  const any = AbortSignal.any([...signals])
  if (any.aborted) return Promise.resolve()
  return new Promise((resolve) => any.addEventListener('abort', () => resolve(), { once: true }))
}
