/** Bounds of connections to Kafka and of what goes over them. */
import { assert } from '../runtime/errors.ts'

/** Requests on their way on one connection. Brokers work on one after another. */
export const REQUESTS_IN_FLIGHT_MAX = 5
/** Shared produce requests on their way to one broker; what becomes ready meanwhile is the next one. */
export const SHARED_PRODUCES_MAX = 2
/** Bytes of records in one produce request, before compression; one append always fits. */
export const PRODUCE_REQUEST_MAX_BYTES = 8 * 1024 * 1024
/** Bytes of one append, before compression. */
export const APPEND_MAX_BYTES = 32 * 1024 * 1024
/** Appends that wait for a produce request to one broker; beyond, they are refused as unavailable. */
export const WAITING_APPENDS_MAX = 16_384
/** How long a broker waits for in-sync replicas in a request that many lanes share. */
export const SHARED_PRODUCE_TIMEOUT_MS = 2_000
/** Connections to one broker for lanes that left the shared requests. */
export const LONE_CONNECTIONS_MAX = 4
/** Bytes of one fetch's answer; one batch always fits. */
export const FETCH_MAX_BYTES = 16 * 1024 * 1024
/** Bytes of one partition in one fetch, compressed. */
export const FETCH_PARTITION_MAX_BYTES = 1024 * 1024
/** The least that is asked of one partition where its batches compress well. */
export const FETCH_PARTITION_MIN_BYTES = 64 * 1024
/** Uncompressed bytes that a compressed one is taken to stand for, at most. */
export const FETCH_INFLATION_MAX = 64
/** How long a fetch waits at the broker; a read that comes meanwhile waits as long at most. */
export const FETCH_WAIT_MS = 250
/** Reads that wait for one broker; beyond, they are refused as unavailable. */
export const WAITING_READS_MAX = 4_096
/** Bytes of records that were fetched and not yet asked for, of all partitions. */
export const READ_AHEAD_MAX_BYTES = 64 * 1024 * 1024
/** Fetches that one `readAt` makes for one partition. */
export const READ_AT_FETCHES_MAX = 512
/** A broker that does not say in this time who leads what is passed over for another. */
export const METADATA_TIMEOUT_MS = 3_000
/** Least time between two look-ups of topics and leaders. */
export const METADATA_REFRESH_MS = 100
/** Brokers that are asked for a partition one after another, while each says that it does not lead. */
export const LEADER_RETRIES_MAX = 5
/** Time between them, in which the change of leader becomes known. */
export const LEADER_RETRY_MS = 100
/** A connection that failed is tried again after this time at the earliest, doubled each time … */
export const RECONNECT_MS = 50
/** … up to this. */
export const RECONNECT_MAX_MS = 1_000
/** A call that a later try may answer is repeated after this time, doubled each time … */
export const CALL_RETRY_MS = 50
/** … up to this. */
export const CALL_RETRY_MAX_MS = 1_000
/** How often a group member says that it is alive, and hears of a rebalance. */
export const HEARTBEAT_MS = 1_000
/** Joins that one attempt makes while the group changes under it. */
export const JOIN_ATTEMPTS_MAX = 10
/** Time in which a group is told that a member leaves; it finds out by itself otherwise. */
export const LEAVE_TIMEOUT_MS = 2_000

assert(PRODUCE_REQUEST_MAX_BYTES <= APPEND_MAX_BYTES, 'the largest append is a request of its own')
assert(FETCH_PARTITION_MAX_BYTES <= FETCH_MAX_BYTES, 'a fetch must hold a partition’s part')
assert(SHARED_PRODUCES_MAX <= REQUESTS_IN_FLIGHT_MAX, 'produces on their way fit a connection')
