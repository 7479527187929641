/**
 * Sessions that are going on while a processor is disturbed, straight into the log: they start, play,
 * stall, end and come back; frames repeat, overtake one another, come late, and have rejected seqs.
 */
import { createHash } from 'node:crypto'
import type { EventLog } from '../../shared/log/event-log.ts'
import { partitionOf } from '../../shared/log/partitioner.ts'
import { encodeFrameRecord, FRAME_SCHEMA } from '../../shared/log/record.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import { MINUTE_MS } from '../../shared/qoe/aggregates.ts'
import { systemClock } from '../../shared/runtime/clock.ts'
import { BackhaulError } from '../../shared/runtime/errors.ts'
import { seededRandom, type Random } from '../../shared/runtime/random.ts'

export interface LiveSessionsOptions {
  readonly log: EventLog
  readonly partitions: number
  readonly seed: number
  /** Sessions that play at a time. */
  readonly atOnce?: number
}

interface Viewer {
  readonly sessionId: string
  nextSeq: number
  /** Frames that are still to be sent before the viewer leaves. */
  left: number
}

const ROUND_MS = 60
const FRAMES_PER_ROUND = 8
const TYPES = ['playbackStart', 'heartbeat', 'playbackStall', 'heartbeat', 'playbackStart'] as const
/** Beyond the lateness that the tests allow. */
const LATE_MS = 30_000
/** A frame is sent again, as a gateway would, until a log that is disturbed has taken it. */
const APPEND_DEADLINE_MS = 90_000

const bytesOf = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))

export class LiveSessions {
  readonly #options: LiveSessionsOptions
  readonly #random: Random
  readonly #viewers: Viewer[] = []
  readonly #stopping = new AbortController()
  /** End of the first minute that there are events of, epoch ms. */
  readonly firstMinuteEndsMs = (Math.floor(systemClock.nowMs() / MINUTE_MS) + 1) * MINUTE_MS
  #begun = 0
  #running: Promise<void>

  constructor(options: LiveSessionsOptions) {
    this.#options = options
    this.#random = seededRandom(options.seed)
    this.#running = this.#run()
  }

  /** A session that has begun and goes on. */
  get anyOpen(): string {
    return this.#viewers.find(({ nextSeq }) => nextSeq > 0)?.sessionId ?? ''
  }

  /** Resolves when everything that was begun is in the log; rejects when an append failed. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      for (let frame = 0; frame < FRAMES_PER_ROUND; frame += 1) await this.#sendOne()
      await systemClock.sleep(ROUND_MS, signal)
    }
  }

  async #sendOne(): Promise<void> {
    const { atOnce = 24 } = this.#options
    const chance = this.#random.below(100)
    while (this.#viewers.length < atOnce) this.#viewers.push(this.#newViewer())
    const viewer = this.#viewers[this.#random.below(this.#viewers.length)] ?? this.#newViewer()
    const nowMs = systemClock.nowMs()
    const first = viewer.nextSeq
    viewer.left -= 1
    // One that leaves without a word times out.
    const ends = viewer.left === 0 && chance < 70
    if (viewer.left === 0) this.#viewers.splice(this.#viewers.indexOf(viewer), 1)
    const atMs = chance < 4 ? nowMs - LATE_MS : nowMs - 200
    // A seq that is passed over comes in the next frame, overtaken, or never.
    const skipped = chance % 9 === 0 ? 1 : 0
    const seqs = [first + skipped, first + skipped + 1]
    viewer.nextSeq = first + skipped + 2
    const events = seqs.map((seq, index) => this.#event(seq, atMs + index, ends && index === 1))
    await this.#append(viewer, events, chance % 23 === 0 ? [first] : [])
    if (chance % 18 === 0) await this.#append(viewer, [this.#event(first, atMs, false)])
    if (chance % 7 === 0) await this.#append(viewer, events)
  }

  #newViewer(): Viewer {
    this.#begun += 1
    const sessionId = `live-${this.#options.seed}-${this.#begun}`
    return { sessionId, nextSeq: 0, left: 3 + this.#random.below(12) }
  }

  #event(seq: number, at: number, isEnd: boolean) {
    if (isEnd) return { seq, type: 'sessionEnd', at }
    return { seq, type: seq === 0 ? 'playbackRequest' : TYPES[seq % TYPES.length], at }
  }

  async #append(
    { sessionId }: Viewer,
    events: readonly object[],
    rejectedSeqs: readonly number[] = [],
  ): Promise<void> {
    const { log, partitions } = this.#options
    const nowMs = systemClock.nowMs()
    const context = {
      sessionId,
      contentId: `movie-${sessionId.length % 3}`,
      cdn: this.#random.below(2) === 0 ? 'a' : 'b',
      viewerPseudonym: createHash('sha256').update(sessionId).digest('hex').slice(0, 32),
    }
    const value = encodeFrameRecord({
      contextJson: bytesOf(context),
      sentAtMs: nowMs,
      receivedAtMs: nowMs,
      rejectedSeqs,
      events: events.map(bytesOf),
    })
    const record = { key: sessionId, value, headers: { schema: FRAME_SCHEMA } }
    const partition = partitionOf(sessionId, partitions)
    const deadlineMs = systemClock.monotonicMs() + APPEND_DEADLINE_MS
    for (;;)
      try {
        await log.append(TOPICS.events, partition, [record])
        return
      } catch (error) {
        const isRetryable = error instanceof BackhaulError && error.spec.retryable
        if (!isRetryable || systemClock.monotonicMs() > deadlineMs) throw error
      }
  }
}
