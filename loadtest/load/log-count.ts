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

interface Frame {
  readonly session: { readonly sessionId: string }
  readonly events: readonly { readonly seq: number }[]
}

export async function countEvents(
  brokers: readonly string[],
  topic: string,
  sessionPrefix: string,
): Promise<LogCount> {
  const seen = new SeenEvents(sessionPrefix)
  await readTopic(brokers, topic, ({ value }) => {
    if (value !== null) seen.take(value)
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

  take(value: Buffer): void {
    // A tick has no value.
    if (value.length === 0) return
    this.#records += 1
    const { session, events } = JSON.parse(value.toString()) as Frame
    if (!session.sessionId.startsWith(this.#prefix)) {
      this.#foreign += events.length
      return
    }
    for (const { seq } of events) this.#mark(session.sessionId, seq)
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
