/**
 * Reads enriched contexts from the bytes of records. A session sends the same context in every
 * frame: what it sent last is looked up by its id, and where the same bytes stand again, gives the same
 * object again. Of a session that is new, or forgotten, all but its own ids mostly stood in other
 * sessions' contexts: what lies between the ids is looked up, and shared with them, which also keeps a
 * million sessions' contexts small.
 *
 *   {"sessionId":"…","contentId":"…","device":{…},…,"viewerPseudonym":"…"}
 *                  └──────────────── template ──────────────────────┘
 */
import { LRUCache } from 'lru-cache'
import { parseJsonBytes } from '../json-text.ts'
import { CONTEXT_TEMPLATES_KEPT_MAX, CONTEXTS_KEPT_MAX, DEFAULT_FRAME_LIMITS } from '../limits.ts'
import { type EnrichedContext, enrichedContextSchema } from '../schema.ts'
import { compileScan, type Scan } from './compile.ts'
import { fits, scannedBy, textOf } from './field-values.ts'
import { BRACE_OPEN, endOfText, endOfValue, ODD, QUOTE, standsAt } from './json-bytes.ts'
import { planObject } from './plan.ts'

const utf8 = (text: string) => new TextEncoder().encode(text)
const HEAD = utf8('{"sessionId":"')
const VIEWER = utf8(',"viewerPseudonym":"')
const PSEUDONYM_DIGITS = 32
/** What closes a context behind the digits of its viewer. */
const VIEWER_END = utf8('"}')
const FNV_BASIS = 0x811c9dc5
const FNV_PRIME = 0x01000193
const SMALL_INTEGER_MAX = 2 ** 30 - 1
const { depthMax } = DEFAULT_FRAME_LIMITS
const PLAN = planObject(enrichedContextSchema)
const SESSION_ID = PLAN.fields.find(({ name }) => name === 'sessionId')

/** A context and the bytes that say it. */
export interface ReadContext {
  readonly bytes: Uint8Array
  readonly context: EnrichedContext
}

export class ContextReader {
  /** By a number made of the session's id: of two sessions that share one, the later stays. */
  readonly #contexts = new LRUCache<number, ReadContext>({ max: CONTEXTS_KEPT_MAX })
  readonly #templates = new LRUCache<string, EnrichedContext>({ max: CONTEXT_TEMPLATES_KEPT_MAX })
  readonly #scan: Scan = compileScan(PLAN, scannedBy(PLAN))

  /** The context that begins at `start`, with its bytes; `undefined` when it is wrong. */
  read(bytes: Uint8Array, start: number): ReadContext | undefined {
    const session = sessionNumber(bytes, start)
    const known = this.#contexts.get(session)
    // An object ends where its bytes say so, whatever stands behind it.
    if (known !== undefined && standsAt(bytes, start, known.bytes)) return known
    const end = bytes[start] === BRACE_OPEN ? endOfValue(bytes, start, depthMax) : ODD
    if (end === ODD) return undefined
    const context = this.#fromTemplate(bytes, start, end) ?? parse(bytes, start, end)
    if (context === undefined) return undefined
    const read = { bytes: new Uint8Array(bytes.subarray(start, end)), context }
    this.#contexts.set(session, read)
    return read
  }

  #fromTemplate(bytes: Uint8Array, start: number, end: number): EnrichedContext | undefined {
    const idStart = start + HEAD.length
    const idEnd = standsAt(bytes, start, HEAD) ? endOfText(bytes, idStart) : ODD
    if (idEnd === ODD || SESSION_ID === undefined) return undefined
    if (!fits(bytes, idStart, idEnd, SESSION_ID)) return undefined
    const digitsStart = startOfViewer(bytes, idEnd, end)
    // With the viewer's name or without it, so that the two never share a template.
    const key = latin1(bytes, idEnd, digitsStart ?? end)
    const template = this.#templates.get(key)
    if (template === undefined) return this.#addTemplate(key, bytes.subarray(start, end))
    // Both have the fields already, so that a copy with other values keeps their order.
    const sessionId = textOf(bytes, idStart, idEnd)
    return digitsStart === undefined
      ? { ...template, sessionId }
      : {
          ...template,
          sessionId,
          viewerPseudonym: latin1(bytes, digitsStart, digitsStart + PSEUDONYM_DIGITS),
        }
  }

  /** Only a plain context is a template: it names every field once, so its ids are those found. */
  #addTemplate(key: string, bytes: Uint8Array): EnrichedContext | undefined {
    if (this.#scan(bytes, 0) !== bytes.length) return undefined
    const context = parse(bytes, 0, bytes.length)
    if (context !== undefined) this.#templates.set(key, context)
    return context
  }
}

/** FNV-1a over the bytes of the id, in the bits of a small integer. */
function sessionNumber(bytes: Uint8Array, start: number): number {
  let number = FNV_BASIS
  for (let at = start + HEAD.length; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? QUOTE
    if (byte === QUOTE) break
    number = Math.imul(number ^ byte, FNV_PRIME)
  }
  return number & SMALL_INTEGER_MAX
}

/** Where the digits of the viewer begin that closes the context; `undefined` without one. */
function startOfViewer(bytes: Uint8Array, after: number, end: number): number | undefined {
  const digitsEnd = end - VIEWER_END.length
  const digitsStart = digitsEnd - PSEUDONYM_DIGITS
  const nameStart = digitsStart - VIEWER.length
  if (nameStart <= after || !standsAt(bytes, nameStart, VIEWER)) return undefined
  if (!standsAt(bytes, digitsEnd, VIEWER_END)) return undefined
  for (let at = digitsStart; at < digitsEnd; at += 1)
    if (!isHexDigit(bytes[at] ?? 0)) return undefined
  return digitsStart
}

function isHexDigit(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || (byte >= 0x61 && byte <= 0x66)
}

/** A character for each byte: a key that is cheap to make, and text where the bytes are ASCII. */
function latin1(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1')
}

function parse(bytes: Uint8Array, start: number, end: number): EnrichedContext | undefined {
  const parsed = parseJsonBytes(bytes.subarray(start, end))
  return 'value' in parsed ? enrichedContextSchema.safeParse(parsed.value).data : undefined
}
