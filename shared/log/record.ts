/**
 * The value of a record in `playback.events`: one line of JSON, self-contained,
 *
 *   {"session":{…enriched context…},"sentAt":…,"receivedAt":…,"rejectedSeqs":[…]?,"events":[…]}
 *
 * where the events' bytes are the client's own. The header `schema` is `playback.v1` for a frame
 * and `tick.v1` for a tick, the empty record by which an idle partition lets time pass in the log.
 */
import type { EnrichedContext, PlaybackEvent } from '../events/schema.ts'

export const FRAME_SCHEMA = 'playback.v1'
export const TICK_SCHEMA = 'tick.v1'

interface DecodedBase {
  readonly offset: number
  readonly loggedAtMs: number
}

export interface TickRecord extends DecodedBase {
  readonly kind: 'tick'
}

export interface FrameRecord extends DecodedBase {
  readonly kind: 'frame'
  /** Length of the record's value in bytes. */
  readonly valueBytes: number
  readonly context: EnrichedContext
  /** Device clock at transmission, epoch ms. */
  readonly sentAtMs: number
  /** Gateway clock at arrival, epoch ms, never later than `loggedAtMs`. */
  readonly receivedAtMs: number
  /** Whether `receivedAt` in the record was later than `loggedAt` and was lowered to it. */
  readonly receivedAtClamped: boolean
  /** Seqs of this frame that the gateway rejected; they count as seen. */
  readonly rejectedSeqs: readonly number[]
  readonly events: readonly PlaybackEvent[]
}

/** What a fold consumes. Poison (a value that cannot be decoded) still moves time and offset. */
export interface PoisonRecord extends DecodedBase {
  readonly kind: 'poison'
  readonly reason: string
}

export type DecodedRecord = FrameRecord | TickRecord | PoisonRecord
