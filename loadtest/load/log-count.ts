/**
 * Counts what is in Kafka after a load, by a reader that shares nothing with the product: kafkajs's
 * own consumer and `JSON.parse`. Every session's seqs are looked at: distinct ones, and repeats.
 */
import { readTopic } from '../read-topic.ts'

export interface LogCount {
  readonly records: number
  /** Distinct (sessionId, seq). */
  readonly distinctEvents: number
  readonly repeatedEvents: number
  /** Events of sessions that the load did not make. */
  readonly foreignEvents: number
}

/** A record of the load. */
export interface LoggedFrame {
  readonly partition: number
  readonly offset: number
  /** Append time, epoch ms. */
  readonly loggedAtMs: number
  readonly events: number
  readonly cdn: string
}

interface Frame {
  readonly session: { readonly sessionId: string; readonly cdn: string }
  readonly events: readonly { readonly seq: number }[]
}

/** With `logged` told of each record, in order of its partition. */
export async function countEvents(
  brokers: readonly string[],
  topic: string,
  sessionPrefix: string,
  logged: (frame: LoggedFrame) => void = () => undefined,
): Promise<LogCount> {
  const seen = new SeenEvents(sessionPrefix)
  await readTopic(brokers, topic, ({ value, offset, timestamp }, partition) => {
    const frame = value === null ? undefined : seen.take(value)
    if (frame === undefined) return
    const { session, events } = frame
    logged({
      partition,
      offset: Number(offset),
      loggedAtMs: Number(timestamp),
      events: events.length,
      cdn: session.cdn,
    })
  })
  return seen.count()
}

/** Which seqs of which session: a bit each, grown as they come. */
class SeenEvents {
  readonly #prefix: string
  readonly #sessions = new Map<string, Uint32Array>()
  #records = 0
  #distinct = 0
  #repeated = 0
  #foreign = 0

  constructor(prefix: string) {
    this.#prefix = prefix
  }

  /** The frame, if it is one of the load. */
  take(value: Buffer): Frame | undefined {
    // A tick has no value.
    if (value.length === 0) return undefined
    this.#records += 1
    const frame = JSON.parse(value.toString()) as Frame
    const { session, events } = frame
    if (!session.sessionId.startsWith(this.#prefix)) {
      this.#foreign += events.length
      return undefined
    }
    for (const { seq } of events) this.#mark(session.sessionId, seq)
    return frame
  }

  count(): LogCount {
    return {
      records: this.#records,
      distinctEvents: this.#distinct,
      repeatedEvents: this.#repeated,
      foreignEvents: this.#foreign,
    }
  }

  #mark(sessionId: string, seq: number): void {
    const word = seq >>> 5
    let bits = this.#sessions.get(sessionId)
    if (bits === undefined || bits.length <= word) {
      const grown = new Uint32Array(Math.max(word + 1, 2 * (bits?.length ?? 2)))
      if (bits !== undefined) grown.set(bits)
      this.#sessions.set(sessionId, grown)
      bits = grown
    }
    const mask = 1 << (seq & 31)
    const before = bits[word] ?? 0
    if ((before & mask) === 0) this.#distinct += 1
    else this.#repeated += 1
    bits[word] = before | mask
  }
}
