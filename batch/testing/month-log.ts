/**
 * A month with little on each day: a session at noon with a repeated frame, one from before midnight to
 * after it, and now and then a frame that came two days before it was logged.
 */
import type { EventLog } from '../../shared/log/event-log.ts'
import { partitionOf } from '../../shared/log/partitioner.ts'
import { encodeFrameRecord, encodeTick, FRAME_SCHEMA } from '../../shared/log/record.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import type { ManualClock } from '../../shared/runtime/clock.ts'
import { PARTITIONS } from './batch-machine.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const DELAYED_EVERY_DAYS = 7
const TYPES = ['playbackRequest', 'playbackStart', 'playbackStall', 'playbackStart', 'sessionEnd']

interface Sent {
  readonly sessionId: string
  /** Seqs of its events, by frame. */
  readonly frames: readonly (readonly number[])[]
  readonly delayMs?: number
}

export class MonthLog {
  readonly #log: EventLog
  readonly #clock: ManualClock
  readonly #startMs: number

  /** From the UTC day on that the clock shows. */
  constructor(log: EventLog, clock: ManualClock) {
    this.#log = log
    this.#clock = clock
    this.#startMs = clock.nowMs() - (clock.nowMs() % DAY_MS)
  }

  /** Appends what comes on the day, counted from 0, and in its last night. */
  async appendDay(day: number): Promise<void> {
    const startMs = this.#startMs + day * DAY_MS
    await this.#at(startMs + 12 * HOUR_MS)
    const noon = `noon-${day}`
    await this.#append({
      sessionId: noon,
      frames: [
        [0, 1],
        [2, 3],
        [2, 3],
      ],
    })
    if (day % DELAYED_EVERY_DAYS === 2)
      await this.#append({ sessionId: `delayed-${day}`, frames: [[0, 1, 3]], delayMs: 2 * DAY_MS })
    await this.#at(startMs + DAY_MS - 90_000)
    await this.#append({ sessionId: `night-${day}`, frames: [[0, 1]] })
    await this.#at(startMs + DAY_MS + 90_000)
    await this.#append({ sessionId: `night-${day}`, frames: [[2, 3, 4]] })
  }

  /** Appends a last word to each partition, by which everything has closed. */
  async end(): Promise<void> {
    await this.#clock.advance(DAY_MS)
    for (let partition = 0; partition < PARTITIONS; partition += 1)
      await this.#log.append(TOPICS.events, partition, [encodeTick()])
  }

  async #at(ms: number): Promise<void> {
    await this.#clock.advance(ms - this.#clock.nowMs())
  }

  async #append({ sessionId, frames, delayMs = 0 }: Sent): Promise<void> {
    const receivedAtMs = this.#clock.nowMs() - delayMs
    const records = frames.map((seqs) => ({
      key: sessionId,
      value: encodeFrameRecord({
        contextJson: Buffer.from(
          JSON.stringify({ sessionId, contentId: `content-${frames.length}`, cdn: 'cdn' }),
        ),
        sentAtMs: receivedAtMs,
        receivedAtMs,
        rejectedSeqs: [],
        events: seqs.map((seq) =>
          Buffer.from(
            JSON.stringify({ seq, type: TYPES[seq], at: receivedAtMs - 60_000 + seq * 10_000 }),
          ),
        ),
      }),
      headers: { schema: FRAME_SCHEMA },
    }))
    await this.#log.append(TOPICS.events, partitionOf(sessionId, PARTITIONS), records)
  }
}
