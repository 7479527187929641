/**
 * Records of a partition, and where in them a checkpoint of an earlier format was cut that is kept
 * in `checkpoint-format-<n>.bin`: what is folded on from it must be what is folded from the start.
 * A format keeps its file when it is not the current one any more.
 */
import type { DecodedRecord } from '../../shared/log/record.ts'
import type { FoldOptions } from '../../shared/qoe/fold.ts'
import {
  BASE_MS,
  foldOptions,
  frameRecord,
  playbackEvent,
} from '../../shared/qoe/testing/fold-harness.ts'
import type { PlaybackEventType } from '../../shared/events/schema.ts'

const COUNT = 60
const STEP_MS = 4_000
const TYPES: readonly PlaybackEventType[] = [
  'playbackRequest',
  'playbackStart',
  'renditionUpdate',
  'playbackStall',
  'playbackStart',
  'cdnUpdate',
  'heartbeat',
  'seekStart',
  'seekEnd',
  'playbackFinish',
]

/** The checkpoint shows this offset: sessions play and wait in it, one has closed. */
export const CUT_OFFSET = 40

export const OPTIONS: FoldOptions = foldOptions({ keysPerCutMinuteMax: 100, partsPerSessionMax: 8 })

/** Six sessions in turn; every seventh event comes two frames late, and some come twice. */
export function scenarioRecords(): readonly DecodedRecord[] {
  return Array.from({ length: COUNT }, (_, offset) => {
    const session = offset % 6
    const turn = Math.floor(offset / 6)
    // One session ends early, and times out before the cut.
    const ends = session === 0 && turn > 1
    const seq = turn % 7 === 3 ? turn + 1 : turn
    const atMs = BASE_MS + offset * STEP_MS
    const type = TYPES[seq % TYPES.length] ?? 'heartbeat'
    return frameRecord({
      offset,
      loggedAtMs: atMs + 300,
      sentAtMs: atMs,
      context: {
        sessionId: ends ? 's6' : `s${session}`,
        contentId: `movie-${session % 2}`,
        cdn: 'a',
        viewerPseudonym: `${session}a0`.padEnd(32, '0123456789abcdef'),
      },
      events: [playbackEvent(type, seq, atMs)],
    })
  })
}
