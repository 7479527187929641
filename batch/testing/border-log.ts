/**
 * A log of sessions whose start-up times lie on and beside every border of the histogram's buckets,
 * each with a viewer of its own, so that the registers see every kind of digit.
 */
import { createHash } from 'node:crypto'

import type { PlaybackEvent } from '../../shared/events/schema.ts'
import type { DecodedRecord } from '../../shared/log/record.ts'

const START_MS = 1_800_000_000_000
/** Events follow one another within the time-out. */
const HEARTBEAT_MS = 29 * 60_000
/** Of the largest value of a histogram, and one more. */
export const BORDER_BITS_MAX = 28

export function borderLog(bits: number): DecodedRecord[] {
  const borders = Array.from({ length: bits }, (_, bit) => 2 ** bit)
  const startups = new Set(borders.flatMap((border) => [border - 1, border, border + 1]))
  return [...startups].map((startupMs, offset) => {
    const timesMs = [0]
    while ((timesMs.at(-1) ?? 0) + HEARTBEAT_MS < startupMs) {
      timesMs.push((timesMs.at(-1) ?? 0) + HEARTBEAT_MS)
    }
    const events = [...timesMs, startupMs].map((timeMs, seq, all): PlaybackEvent => {
      const at = START_MS + timeMs
      if (seq === 0) return { seq, at, type: 'playbackRequest' }
      return seq === all.length - 1
        ? { seq, at, type: 'playbackStart' }
        : { seq, at, type: 'heartbeat' }
    })
    const receivedAtMs = START_MS + 2 ** bits
    const viewerPseudonym = createHash('sha256').update(`${offset}`).digest('hex').slice(0, 32)
    return {
      kind: 'frame',
      offset,
      loggedAtMs: receivedAtMs,
      valueBytes: 100,
      context: { sessionId: `startup of ${startupMs}`, viewerPseudonym },
      sentAtMs: receivedAtMs,
      receivedAtMs,
      receivedAtClamped: false,
      rejectedSeqs: [],
      events,
    }
  })
}
