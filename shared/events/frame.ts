/**
 * One frame of `playback.v1` from bytes to verdicts:
 *
 *   {"v":1,"frame":17,"sentAt":…,"session":{…context…},"events":[{"seq":41,"type":…},…]}
 *
 * A frame is refused whole when it cannot be read or its context is invalid; an event that breaks
 * the schema is rejected alone. Whatever the bytes are, nothing throws. Plain frames are scanned;
 * whatever is unusual in one, or wrong, is left to `JSON.parse` and the schema.
 */
import type { FrameOptions, FrameResult } from './decoded-frame.ts'
import { parseFrame } from './frame-parse.ts'
import { createFrameScanner } from './scan/frame-scanner.ts'

const scanner = createFrameScanner()

export function decodeFrame(bytes: Uint8Array, options: FrameOptions): FrameResult {
  const frame = scanner?.scan(bytes, options)
  return frame === undefined ? parseFrame(bytes, options) : { ok: true, frame }
}
