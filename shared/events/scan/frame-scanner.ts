/**
 * Scans a frame of `playback.v1`: its members, its context and every event, in one pass over the
 * bytes. A context or an event that is not plain is judged alone, the thorough way; anything else
 * that is unusual, or wrong, makes the scanner give the frame up.
 */
import { DecodedFrame, type FrameOptions, type RejectedEvent } from '../decoded-frame.ts'
import { judgeEventAlone, PROTOCOL_VERSION } from '../frame-parse.ts'
import { parseJsonBytes } from '../json-text.ts'
import { EPOCH_MS_MAX, EVENT_TYPES, type SessionContext, sessionContextSchema } from '../schema.ts'
import { canCompile, compileScan, type Scan } from './compile.ts'
import { scannedBy, textOf, type Scanned } from './field-values.ts'
import { EventScanner } from './event-scanner.ts'
import {
  BRACE_CLOSE,
  BRACE_OPEN,
  BRACKET_CLOSE,
  BRACKET_OPEN,
  COMMA,
  endOfDigits,
  endOfValue,
  ODD,
  skipBlanks,
  standsAt,
  wholeNumber,
} from './json-bytes.ts'
import { planObject } from './plan.ts'

/** `undefined` where code may not be generated: then every frame is parsed. */
export function createFrameScanner(): FrameScanner | undefined {
  return canCompile() ? new FrameScanner() : undefined
}

/** Events of a frame that are judged alone; with more of them, parsing the frame is cheaper. */
const JUDGED_ALONE_MAX = 32
/** Nesting of a plain frame: the frame, its events or context, an event or device. */
const PLAIN_DEPTH = 3
const NO_REJECTED: readonly RejectedEvent[] = []

const CONTEXT = planObject(sessionContextSchema)
const SESSION_ID = CONTEXT.fields.findIndex(({ name }) => name === 'sessionId')

const token = (name: string) => new TextEncoder().encode(`"${name}":`)
const VERSION = token('v')
const FRAME = token('frame')
const SENT_AT = token('sentAt')
const SESSION = token('session')
const EVENTS = token('events')

class FrameScanner {
  readonly #events = new EventScanner()
  readonly #scanned: Scanned = scannedBy(CONTEXT)
  readonly #scanContext: Scan = compileScan(CONTEXT, this.#scanned)
  #frameNumber: number | undefined
  #sentAtMs = ODD
  #hasVersion = false
  #sessionId = ''
  #context: SessionContext | undefined
  #contextStart = ODD
  #contextEnd = ODD
  #accepted: number[] = []
  #rejected: RejectedEvent[] | undefined
  #hasEvents = false

  /** The frame, or `undefined` when it is for the parser to judge. */
  scan(bytes: Uint8Array, options: FrameOptions): DecodedFrame | undefined {
    this.#reset()
    if (options.limits.depthMax < PLAIN_DEPTH || !this.#members(bytes, options)) return undefined
    const isWhole =
      this.#hasVersion && this.#sentAtMs !== ODD && this.#contextEnd !== ODD && this.#hasEvents
    if (!isWhole || options.numbered !== (this.#frameNumber !== undefined)) return undefined
    const frame = new DecodedFrame(bytes, {
      frameNumber: this.#frameNumber,
      sentAtMs: this.#sentAtMs,
      sessionId: this.#sessionId,
      context: this.#context,
      contextStart: this.#contextStart,
      contextEnd: this.#contextEnd,
      accepted: this.#accepted,
      rejected: this.#rejected ?? NO_REJECTED,
    })
    // It may hold a raw viewer id, which must not outlive its frame.
    this.#context = undefined
    return frame
  }

  #reset(): void {
    this.#frameNumber = undefined
    this.#sentAtMs = ODD
    this.#hasVersion = false
    this.#context = undefined
    this.#contextEnd = ODD
    this.#accepted = []
    this.#rejected = undefined
    this.#hasEvents = false
  }

  #members(bytes: Uint8Array, options: FrameOptions): boolean {
    let at = skipBlanks(bytes, 0)
    if (bytes[at] !== BRACE_OPEN) return false
    do {
      at = this.#member(bytes, skipBlanks(bytes, at + 1), options)
      if (at === ODD) return false
      at = skipBlanks(bytes, at)
    } while (bytes[at] === COMMA)
    return bytes[at] === BRACE_CLOSE && skipBlanks(bytes, at + 1) === bytes.length
  }

  /** End of the member that begins at `at`, each of which may come once. */
  #member(bytes: Uint8Array, at: number, options: FrameOptions): number {
    if (standsAt(bytes, at, SENT_AT)) {
      const start = skipBlanks(bytes, at + SENT_AT.length)
      if (this.#sentAtMs !== ODD) return ODD
      this.#sentAtMs = wholeNumber(bytes, start, EPOCH_MS_MAX)
      return this.#sentAtMs === ODD ? ODD : endOfDigits(bytes, start)
    }
    if (standsAt(bytes, at, FRAME)) {
      const start = skipBlanks(bytes, at + FRAME.length)
      const number = wholeNumber(bytes, start, Number.MAX_SAFE_INTEGER)
      if (number === ODD || this.#frameNumber !== undefined || !options.numbered) return ODD
      this.#frameNumber = number
      return endOfDigits(bytes, start)
    }
    if (standsAt(bytes, at, VERSION)) {
      const start = skipBlanks(bytes, at + VERSION.length)
      if (this.#hasVersion || wholeNumber(bytes, start, PROTOCOL_VERSION) !== PROTOCOL_VERSION)
        return ODD
      this.#hasVersion = true
      return endOfDigits(bytes, start)
    }
    if (standsAt(bytes, at, SESSION)) {
      if (this.#contextEnd !== ODD) return ODD
      return this.#session(bytes, skipBlanks(bytes, at + SESSION.length), options)
    }
    if (standsAt(bytes, at, EVENTS)) {
      if (this.#hasEvents) return ODD
      return this.#eventList(bytes, skipBlanks(bytes, at + EVENTS.length), options)
    }
    return ODD
  }

  #session(bytes: Uint8Array, start: number, { limits }: FrameOptions): number {
    let end = this.#scanContext(bytes, start)
    if (end === ODD) {
      end = endOfValue(bytes, start, limits.depthMax - 1)
      if (end === ODD) return ODD
      const parsed = parseJsonBytes(bytes.subarray(start, end))
      const context =
        'value' in parsed ? sessionContextSchema.safeParse(parsed.value).data : undefined
      if (context === undefined) return ODD
      this.#context = context
      this.#sessionId = context.sessionId
    } else {
      const { textStarts, textEnds } = this.#scanned
      this.#sessionId = textOf(bytes, textStarts[SESSION_ID] ?? 0, textEnds[SESSION_ID] ?? 0)
    }
    this.#contextStart = start
    this.#contextEnd = end
    return end
  }

  #eventList(bytes: Uint8Array, start: number, options: FrameOptions): number {
    if (bytes[start] !== BRACKET_OPEN) return ODD
    const { eventsMax } = options.limits
    const events = this.#events
    const accepted = this.#accepted
    let judgedAlone = 0
    let at = start
    for (let index = 0; index < eventsMax; index += 1) {
      at = skipBlanks(bytes, at + 1)
      let end = events.scan(bytes, at)
      if (end !== ODD) accepted.push(at, end, events.seq, events.variantIndex)
      else {
        judgedAlone += 1
        if (judgedAlone > JUDGED_ALONE_MAX) return ODD
        end = this.#judgeAlone(bytes, at, index, options)
        if (end === ODD) return ODD
      }
      at = skipBlanks(bytes, end)
      if (bytes[at] === BRACKET_CLOSE) {
        this.#hasEvents = true
        return at + 1
      }
      if (bytes[at] !== COMMA) return ODD
    }
    return ODD
  }

  #judgeAlone(bytes: Uint8Array, start: number, index: number, { limits }: FrameOptions): number {
    const end = endOfValue(bytes, start, limits.depthMax - 2)
    if (end === ODD) return ODD
    const event = bytes.subarray(start, end)
    const verdict = judgeEventAlone(event, index, limits)
    if (verdict === undefined) return ODD
    if ('type' in verdict)
      this.#accepted.push(start, end, verdict.seq, EVENT_TYPES.indexOf(verdict.type))
    else {
      this.#rejected ??= []
      this.#rejected.push({ ...verdict, bytes: event })
    }
    return end
  }
}
