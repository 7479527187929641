/**
 * Scans the value of a record as `encodeFrameRecord` writes it, straight into the fold's events. A
 * value that is written in any other way, or wrong, is given up for the parser to judge.
 */
import { parseJsonBytes } from '../events/json-text.ts'
import { DEFAULT_FRAME_LIMITS } from '../events/limits.ts'
import {
  type EnrichedContext,
  EPOCH_MS_MAX,
  eventSchema,
  type PlaybackEvent,
  SEQ_MAX,
} from '../events/schema.ts'
import { canCompile } from '../events/scan/compile.ts'
import { ContextReader } from '../events/scan/context-reader.ts'
import { EventScanner } from '../events/scan/event-scanner.ts'
import {
  BRACKET_CLOSE,
  COMMA,
  endOfDigits,
  endOfValue,
  ODD,
  standsAt,
  wholeNumber,
} from '../events/scan/json-bytes.ts'

export interface FrameValue {
  readonly session: EnrichedContext
  readonly sentAt: number
  readonly receivedAt: number
  readonly rejectedSeqs?: readonly number[] | undefined
  readonly events: readonly PlaybackEvent[]
}

/** `undefined` where code may not be generated: then every record is parsed. */
export function createRecordScanner(): RecordScanner | undefined {
  return canCompile() ? new RecordScanner() : undefined
}

const utf8 = (text: string) => new TextEncoder().encode(text)
const HEAD = utf8('{"session":')
const SENT_AT = utf8(',"sentAt":')
const RECEIVED_AT = utf8(',"receivedAt":')
const REJECTED_SEQS = utf8(',"rejectedSeqs":[')
const EVENTS = utf8(',"events":[')
const TAIL = utf8(']}')
const { depthMax } = DEFAULT_FRAME_LIMITS

class RecordScanner {
  readonly #events = new EventScanner()
  readonly #contexts = new ContextReader()

  scan(value: Uint8Array): FrameValue | undefined {
    const session = standsAt(value, 0, HEAD) ? this.#contexts.read(value, HEAD.length) : undefined
    if (session === undefined) return undefined
    const sentAtStart = after(value, HEAD.length + session.bytes.length, SENT_AT)
    if (sentAtStart === ODD) return undefined
    const sentAt = wholeNumber(value, sentAtStart, EPOCH_MS_MAX)
    const receivedAtStart = after(value, endOfDigits(value, sentAtStart), RECEIVED_AT)
    if (receivedAtStart === ODD) return undefined
    const receivedAt = wholeNumber(value, receivedAtStart, EPOCH_MS_MAX)
    if (sentAt === ODD || receivedAt === ODD) return undefined
    let at = endOfDigits(value, receivedAtStart)
    let rejectedSeqs: number[] | undefined
    const seqsStart = after(value, at, REJECTED_SEQS)
    if (seqsStart !== ODD) {
      rejectedSeqs = []
      at = readSeqs(value, seqsStart, rejectedSeqs)
    }
    const eventsStart = after(value, at, EVENTS)
    if (eventsStart === ODD) return undefined
    const events = this.#eventsIn(value, eventsStart)
    return events && { session: session.context, sentAt, receivedAt, rejectedSeqs, events }
  }

  /** The events from `start` to the end of the value. */
  #eventsIn(value: Uint8Array, start: number): PlaybackEvent[] | undefined {
    const events: PlaybackEvent[] = []
    if (isTail(value, start)) return events
    let at = start
    for (;;) {
      let end = this.#events.scan(value, at)
      if (end !== ODD) events.push(this.#events.event(value))
      else {
        end = endOfValue(value, at, depthMax)
        const event = end === ODD ? undefined : parseEvent(value.subarray(at, end))
        if (event === undefined) return undefined
        events.push(event)
      }
      if (isTail(value, end)) return events
      if (value[end] !== COMMA) return undefined
      at = end + 1
    }
  }
}

/** Index behind `token` if it stands at `index`. */
function after(value: Uint8Array, index: number, token: Uint8Array): number {
  return index !== ODD && standsAt(value, index, token) ? index + token.length : ODD
}

function isTail(value: Uint8Array, index: number): boolean {
  return index + TAIL.length === value.length && standsAt(value, index, TAIL)
}

/** Reads seqs up to their closing bracket; returns the index behind it. */
function readSeqs(value: Uint8Array, start: number, into: number[]): number {
  let at = start
  for (;;) {
    const seq = wholeNumber(value, at, SEQ_MAX)
    if (seq === ODD) return ODD
    into.push(seq)
    at = endOfDigits(value, at)
    if (value[at] === BRACKET_CLOSE) return at + 1
    if (value[at] !== COMMA) return ODD
    at += 1
  }
}

/** An event that is not plain, the thorough way. */
function parseEvent(bytes: Uint8Array): PlaybackEvent | undefined {
  const parsed = parseJsonBytes(bytes)
  return 'value' in parsed ? eventSchema.safeParse(parsed.value).data : undefined
}
