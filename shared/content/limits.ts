/** Bounds of content metadata. What is beyond one of them is refused by name and counted. */
import { assert } from '../runtime/errors.ts'

/** Contents of a catalogue. */
export const CONTENTS_MAX = 100_000
/** Versions of one content; of more, those that hold from the latest times on are kept. */
export const CONTENT_VERSIONS_MAX = 32
/** All versions of a catalogue as JSON, bytes. */
export const CATALOGUE_MAX_BYTES = 32 * 2 ** 20
/** One version as a line of JSON, bytes. */
export const CONTENT_LINE_MAX_BYTES = 8_192
/** A file of them, bytes. */
export const CONTENT_FILE_MAX_BYTES = 256 * 2 ** 20
/** Problems of one file that are kept with their lines; all are counted. */
export const CONTENT_PROBLEMS_LISTED_MAX = 100
/** Records of one read of `playback.content`. */
export const CONTENT_FETCH_RECORDS = 500
/** Bytes of such a read. */
export const CONTENT_FETCH_BYTES = 2 * 2 ** 20
/** How long a read below the end of the topic waits for records, once one came back without any … */
export const CONTENT_READ_WAIT_MS = 1_000
/** … and how many in a row have to, before nothing is taken to be left up to the end. */
export const CONTENT_EMPTY_READS_MAX = 4
/** Records of one append to `playback.content`. */
export const CONTENT_APPEND_RECORDS = 100
/** Longest duration of a content. */
export const CONTENT_DURATION_MAX_MS = 31 * 24 * 60 * 60_000
/**
 * Records of `playback.content` after that of a content, for each content there is, from which on a
 * load writes it again: the embedded log does not compact, it lets the oldest go.
 */
export const CONTENT_RECORDS_PER_CONTENT_MAX = 4
/** Share of what the embedded log keeps of the topic that the contents may take, as its divisor. */
export const CONTENT_LOG_SHARE = 8

assert(
  CONTENT_VERSIONS_MAX * CONTENT_LINE_MAX_BYTES <= CONTENT_FETCH_BYTES,
  'a read takes the largest record',
)
