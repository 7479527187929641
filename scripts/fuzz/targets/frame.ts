/** A client's frame: the scanner and the parser say the same of it, and both by code. */
import { strict } from 'node:assert'
import type { FrameOptions, FrameResult } from '../../../shared/events/decoded-frame.ts'
import { eventErrors } from '../../../shared/events/event-errors.ts'
import { decodeFrame } from '../../../shared/events/frame.ts'
import { parseFrame } from '../../../shared/events/frame-parse.ts'
import { DEFAULT_FRAME_LIMITS, DETAIL_MAX_CHARS } from '../../../shared/events/limits.ts'
import { EVENT_TYPES } from '../../../shared/events/schema.ts'
import { FUZZ_CORPUS } from '../../../shared/events/testing/fuzz-corpus.ts'
import { assert } from '../../../shared/runtime/errors.ts'
import { utf8, type FuzzTarget } from '../target.ts'

const OPTIONS: readonly FrameOptions[] = [true, false].map((numbered) => ({
  numbered,
  limits: { ...DEFAULT_FRAME_LIMITS, eventsMax: 20 },
}))

export const frameTarget: FuzzTarget = {
  name: 'frame',
  seeds: FUZZ_CORPUS.map(utf8),
  words: [
    ...EVENT_TYPES.map((type) => `"type":"${type}"`),
    ...'"session": "events": "seq": "at": "v":1 "frame": "sentAt": "labels": "viewerId":'.split(
      ' ',
    ),
    ...'[ ] { } null true "\\ud83c" "\\u0000" "__proto__": 1e3 -0 {"a": [['.split(' '),
  ],
  judge(bytes) {
    return OPTIONS.map((options) => {
      const found = told(decodeFrame(bytes, options))
      strict.deepEqual(found, told(parseFrame(bytes, options)))
      return verdictOf(found)
    }).join(' ')
  },
}

/** All that is told of a frame; bytes by where they lie in it. */
function told(result: FrameResult) {
  if (!result.ok) return result
  const { frame } = result
  const place = (bytes: Uint8Array) => [bytes.byteOffset, bytes.length]
  return {
    ok: true as const,
    frameNumber: frame.frameNumber,
    sentAtMs: frame.sentAtMs,
    context: JSON.stringify(frame.context),
    contextBytes: place(frame.contextBytes),
    acceptedBytes: Buffer.from(frame.acceptedBytes).toString('latin1'),
    accepted: frame.accepted.map(({ bytes, ...event }) => ({ ...event, bytes: place(bytes) })),
    rejected: frame.rejected.map(({ bytes, ...event }) => ({ ...event, bytes: place(bytes) })),
  }
}

function verdictOf(found: ReturnType<typeof told>): string {
  if (!found.ok) return coded(found)
  const types = new Set(found.accepted.map(({ type }) => type))
  const codes = new Set(found.rejected.map(coded))
  return [...types, ...codes].toSorted().join()
}

/** What a value was differs without end; where it stood does not. */
function coded({ code, detail }: { readonly code: string; readonly detail: string }): string {
  assert(code in eventErrors.catalogue, `${code} is in the catalogue`)
  assert(detail.length <= DETAIL_MAX_CHARS, `a detail of ${detail.length} characters`)
  return `${code} ${/^[\w.[\]]*/.exec(detail)?.[0].replace(/\d+/g, '#') ?? ''}`
}
