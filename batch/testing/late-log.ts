/**
 * A log with all that makes a run hold copies back: a session that goes on for longer than the days
 * that a run searches, with a repeat of its first days; frames that came long before they were logged,
 * with repeats of their own and frames that follow in time; and a session beside them that does not wait.
 */
import { partitionOf } from '../../shared/log/partitioner.ts'
import { encodeFrameRecord, encodeTick, FRAME_SCHEMA } from '../../shared/log/record.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import type { EventLog } from '../../shared/log/event-log.ts'
import type { ManualClock } from '../../shared/runtime/clock.ts'
import { PARTITIONS } from './batch-machine.ts'

export const LASTING = 'lasting'
export const DELAYED = 'delayed'
export const PLAIN = 'plain'

const HOUR_MS = 60 * 60_000
const DAY_MS = 24 * HOUR_MS
/** The lasting session is kept from one of its frames to the next. */
const STEP_MS = 2 * HOUR_MS
const DAYS = 9

interface Sent {
  readonly sessionId: string
  readonly seqs: readonly number[]
  /** How long before it is logged it came, ms. */
  readonly delayMs?: number
  readonly rejectedSeqs?: readonly number[]
}

/** What is needed to go on in a copy of the log. */
export interface LateLogState {
  readonly nextSeq: number
}

export class LateLog {
  readonly #log: EventLog
  readonly #clock: ManualClock
  #nextSeq: number

  constructor(log: EventLog, clock: ManualClock, state: LateLogState = { nextSeq: 0 }) {
    this.#log = log
    this.#clock = clock
    this.#nextSeq = state.nextSeq
  }

  get state(): LateLogState {
    return { nextSeq: this.#nextSeq }
  }

  /** Nine days of the lasting session, of which nothing waits. */
  async begin(): Promise<void> {
    const endMs = this.#clock.nowMs() + DAYS * DAY_MS
    while (this.#clock.nowMs() < endMs) await this.#goOn()
    await this.#tick()
  }

  /** What a run holds back, and a session that it does not. */
  async goOn(): Promise<void> {
    await this.#goOn()
    // Of its first day, sent again.
    await this.#append({ sessionId: LASTING, seqs: [1, 2] })
    const delayMs = 20 * DAY_MS
    await this.#append({ sessionId: DELAYED, seqs: [0, 1], delayMs, rejectedSeqs: [2] })
    await this.#append({ sessionId: DELAYED, seqs: [1, 3], delayMs })
    await this.#append({ sessionId: DELAYED, seqs: [4] })
    await this.#append({ sessionId: PLAIN, seqs: [0, 1, 2] })
    await this.#tick()
  }

  /** What follows of the sessions that wait, and a gap that is filled. */
  async follow(): Promise<void> {
    await this.#goOn()
    await this.#append({ sessionId: DELAYED, seqs: [5, 3, 6] })
    await this.#append({ sessionId: PLAIN, seqs: [2, 3] })
    await this.#tick()
  }

  /** Time in which nothing comes. */
  async pass(durationMs: number): Promise<void> {
    await this.#clock.advance(durationMs)
    await this.#tick()
  }

  async #tick(): Promise<void> {
    for (let partition = 0; partition < PARTITIONS; partition++)
      await this.#log.append(TOPICS.events, partition, [encodeTick()])
  }

  async #goOn(): Promise<void> {
    await this.#clock.advance(STEP_MS)
    await this.#append({ sessionId: LASTING, seqs: [this.#nextSeq, this.#nextSeq + 1] })
    this.#nextSeq += 2
  }

  async #append({ sessionId, seqs, delayMs = 0, rejectedSeqs = [] }: Sent): Promise<void> {
    await this.#clock.advance(1_000)
    const receivedAtMs = this.#clock.nowMs() - delayMs
    const types = ['playbackRequest', 'playbackStart']
    const events = seqs.map((seq) => ({
      seq,
      type: types[seq] ?? 'heartbeat',
      at: receivedAtMs - 1_000 + seq,
    }))
    const value = encodeFrameRecord({
      contextJson: Buffer.from(JSON.stringify({ sessionId, contentId: 'content', cdn: 'cdn' })),
      sentAtMs: receivedAtMs,
      receivedAtMs,
      rejectedSeqs,
      events: events.map((event) => Buffer.from(JSON.stringify(event))),
    })
    const record = { key: sessionId, value, headers: { schema: FRAME_SCHEMA } }
    await this.#log.append(TOPICS.events, partitionOf(sessionId, PARTITIONS), [record])
  }
}
