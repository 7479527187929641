/** Bounds of the LMDB event log. Each is reached by a test. */
import { assert } from '../runtime/errors.ts'

/** Largest encoded record: key, headers and value. */
export const RECORD_MAX_BYTES = 16 * 1024 * 1024
/** Records of one append are kept together in chunks of about this size; a larger record has its own. */
export const CHUNK_TARGET_BYTES = 64 * 1024
/** Bytes of the appends of one commit. */
export const COMMIT_MAX_BYTES = 32 * 1024 * 1024
/** Bytes of the appends that wait for a commit; beyond, an append is refused as unavailable. */
export const APPEND_QUEUE_MAX_BYTES = 128 * 1024 * 1024
/** Appends that wait for a commit; likewise. */
export const APPEND_QUEUE_MAX_CALLS = 16_384
/** Reads that wait for the next record of one partition. */
export const WAITING_READS_MAX = 1_024
/** Partitions of a topic; the number is 16 bits of every key. */
export const PARTITIONS_MAX = 65_535
/** Topics of a log; the number is 16 bits of every key. */
export const TOPICS_MAX = 65_535
/** Chunks that one commit of the retention deletes. */
export const RETENTION_SLICE_CHUNKS = 256
/** How often the log applies its retention by itself. */
export const RETENTION_PERIOD_MS = 60_000
/** How often the log looks for records that another process appended, for the reads that wait. */
export const FOLLOW_PERIOD_MS = 200
/** How long a group waits for a member's handler before it goes on without the member. */
export const REBALANCE_TIMEOUT_MS = 60_000
/** Length of a consumer group’s name in UTF-8; its length is 8 bits of a key. */
export const GROUP_NAME_MAX_BYTES = 255
/** Length of a topic’s name in UTF-8, the same as Kafka’s. */
export const TOPIC_NAME_MAX_BYTES = 249

assert(RECORD_MAX_BYTES <= COMMIT_MAX_BYTES, 'a commit must hold the largest record')
assert(COMMIT_MAX_BYTES <= APPEND_QUEUE_MAX_BYTES, 'the queue must fill a commit')
