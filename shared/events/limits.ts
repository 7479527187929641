/** Bounds of what one frame or one CMCD body may hold. */
export interface FrameLimits {
  /** Events in one frame. */
  readonly eventsMax: number
  /** Nesting of objects and arrays; the frame itself is 1, an event 3. */
  readonly depthMax: number
}

export const DEFAULT_FRAME_LIMITS: FrameLimits = { eventsMax: 1_000, depthMax: 16 }

/** Records in one CMCD body; not above `eventsMax`, so that a body's frame is a valid frame. */
export const CMCD_RECORDS_MAX = DEFAULT_FRAME_LIMITS.eventsMax

/** Without a send time, a CMCD body this much older than its arrival was queued, not misdated. */
export const CMCD_QUEUE_DELAY_MAX_MS = 10 * 60_000

/** Enriched contexts that a reader of the log keeps, by their bytes; some 1 KB each. */
export const CONTEXTS_KEPT_MAX = 20_000

/** Contexts without session and viewer that a reader of the log keeps; some 1 KB each. */
export const CONTEXT_TEMPLATES_KEPT_MAX = 20_000

/** Characters of an error's detail. */
export const DETAIL_MAX_CHARS = 240

/** Characters of a received string that an error repeats; a longer one is told by its length. */
export const RECEIVED_MAX_CHARS = 40

/** Keys of the pseudonym keyring. */
export const KEYRING_KEYS_MAX = 16

/** Least length of a pseudonym key. */
export const KEYRING_KEY_MIN_BYTES = 16
