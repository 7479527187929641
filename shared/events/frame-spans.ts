/**
 * Finds where a frame's context and events lie in its bytes, so that they go on verbatim and are
 * never serialised again. It runs before `JSON.parse` and judges nothing but depth: on bytes that
 * are not JSON its spans mean nothing, yet it always ends and never throws. On valid JSON it picks
 * the members that `JSON.parse` picks: the last of equal names, escaped names included.
 */
import type { FrameLimits } from './limits.ts'

export interface Span {
  readonly start: number
  /** Exclusive. */
  readonly end: number
}

export interface EventSpan extends Span {
  /** Members the event's object names, repeated names counted each time. */
  readonly members: number
  /** Whether some string of the event escapes half a surrogate pair. */
  readonly loneSurrogate: boolean
}

export interface FrameSpans {
  readonly tooDeep: boolean
  readonly session: Span | undefined
  /** Of the first `eventsMax` elements. */
  readonly events: readonly EventSpan[]
}

export function findFrameSpans(bytes: Uint8Array, limits: FrameLimits): FrameSpans {
  const walk = new FrameWalk(bytes, limits)
  walk.run()
  return walk
}

const TAB = 0x09
const LF = 0x0a
const CR = 0x0d
const SPACE = 0x20
const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a
const BRACKET_OPEN = 0x5b
const BACKSLASH = 0x5c
const BRACKET_CLOSE = 0x5d
const LETTER_U = 0x75
const BRACE_OPEN = 0x7b
const BRACE_CLOSE = 0x7d

const FRAME_DEPTH = 1
const EVENTS_DEPTH = 2
const EVENT_DEPTH = 3
const NONE = -1

const decoder = new TextDecoder()

class FrameWalk implements FrameSpans {
  tooDeep = false
  session: Span | undefined
  events: EventSpan[] = []

  readonly #bytes: Uint8Array
  readonly #limits: FrameLimits
  #depth = 0
  /** Whether the next string of the frame's object is a name. */
  #nameNext = false
  #name = ''
  #valueStart = NONE
  #inEvents = false
  #elementStart = NONE
  #members = 0
  #loneSurrogateAt = NONE
  /** End of the last byte that is not blank. */
  #tokenEnd = 0

  constructor(bytes: Uint8Array, limits: FrameLimits) {
    this.#bytes = bytes
    this.#limits = limits
  }

  run(): void {
    const bytes = this.#bytes
    for (let index = 0; index < bytes.length && !this.tooDeep; index += 1) {
      const byte = bytes[index]
      if (byte === SPACE || byte === LF || byte === CR || byte === TAB) continue
      if (byte === QUOTE) index = this.#string(index)
      else if (byte === BRACE_OPEN || byte === BRACKET_OPEN) this.#open(index, byte)
      else if (byte === BRACE_CLOSE || byte === BRACKET_CLOSE) this.#close()
      else if (byte === COMMA) this.#comma()
      else if (byte === COLON) this.#colon()
      else this.#begin(index)
      this.#tokenEnd = index + 1
    }
  }

  /** A value begins at `index`; remembers it where it is a member's or an element's first byte. */
  #begin(index: number): void {
    if (this.#depth === FRAME_DEPTH) {
      if (this.#valueStart === NONE) this.#valueStart = index
    } else if (this.#depth === EVENTS_DEPTH && this.#inEvents && this.#elementStart === NONE) {
      this.#elementStart = index
    }
  }

  #open(index: number, byte: number): void {
    this.#begin(index)
    if (this.#depth === FRAME_DEPTH && this.#name === 'events' && byte === BRACKET_OPEN) {
      this.#inEvents = true
      this.#elementStart = NONE
      this.#members = 0
      this.events = []
    }
    this.#depth += 1
    if (this.#depth === FRAME_DEPTH) this.#nameNext = true
    if (this.#depth > this.#limits.depthMax) this.tooDeep = true
  }

  #close(): void {
    if (this.#depth === EVENTS_DEPTH && this.#inEvents) {
      this.#endElement()
      this.#inEvents = false
    } else if (this.#depth === FRAME_DEPTH) {
      this.#endMember()
    }
    if (this.#depth > 0) this.#depth -= 1
  }

  #comma(): void {
    if (this.#depth === FRAME_DEPTH) {
      this.#endMember()
      this.#nameNext = true
    } else if (this.#depth === EVENTS_DEPTH && this.#inEvents) {
      this.#endElement()
    }
  }

  #colon(): void {
    if (this.#depth === FRAME_DEPTH) {
      this.#nameNext = false
      this.#valueStart = NONE
    } else if (this.#depth === EVENT_DEPTH && this.#inEvents) {
      this.#members += 1
    }
  }

  #endMember(): void {
    if (this.#name === 'session' && this.#valueStart !== NONE)
      this.session = { start: this.#valueStart, end: this.#tokenEnd }
    this.#name = ''
    this.#valueStart = NONE
  }

  #endElement(): void {
    if (this.#elementStart !== NONE && this.events.length < this.#limits.eventsMax)
      this.events.push({
        start: this.#elementStart,
        end: this.#tokenEnd,
        members: this.#members,
        loneSurrogate: this.#loneSurrogateAt >= this.#elementStart,
      })
    this.#elementStart = NONE
    this.#members = 0
  }

  /** Walks the string that opens at `start`; returns the index of its closing quote. */
  #string(start: number): number {
    const bytes = this.#bytes
    let escaped = false
    let pendingHigh = false
    let index = start + 1
    for (; index < bytes.length; index += 1) {
      const byte = bytes[index]
      if (byte === QUOTE) break
      let unit = 0
      if (byte === BACKSLASH) {
        escaped = true
        index += 1
        if (bytes[index] === LETTER_U) {
          unit = this.#escapedUnit(index)
          if (unit !== NONE) index += 4
        }
      }
      const isLow = unit >= 0xdc00 && unit <= 0xdfff
      if (pendingHigh !== isLow) this.#loneSurrogateAt = index
      pendingHigh = unit >= 0xd800 && unit <= 0xdbff
    }
    if (pendingHigh) this.#loneSurrogateAt = index
    if (this.#depth === FRAME_DEPTH && this.#nameNext)
      this.#name = this.#nameOf(start, index, escaped)
    else this.#begin(start)
    return index
  }

  /** The code unit of `\uXXXX` whose `u` is at `index`; `NONE` without four hexadecimal digits. */
  #escapedUnit(index: number): number {
    let unit = 0
    for (let digit = 1; digit <= 4; digit += 1) {
      const value = hexValue(this.#bytes[index + digit] ?? 0)
      if (value === NONE) return NONE
      unit = unit * 16 + value
    }
    return unit
  }

  /** The member's name, in full only where it may be one of the two that matter. */
  #nameOf(quote: number, closing: number, escaped: boolean): string {
    // Six bytes at most for each of a name's characters: nothing longer spells "session".
    if (closing - quote > 6 * 'session'.length + 1) return ''
    if (!escaped) return decoder.decode(this.#bytes.subarray(quote + 1, closing))
    try {
      return String(JSON.parse(decoder.decode(this.#bytes.subarray(quote, closing + 1))))
    } catch {
      return ''
    }
  }
}

function hexValue(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const lower = byte | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x61 + 10 : NONE
}
