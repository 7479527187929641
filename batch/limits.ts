/**
 * Bounds that are not for operators to set; those that are stand in `config.ts` with their ranges.
 * Every bound shows in the run's report or ends in an error.
 */
import { RECORD_MAX_BYTES } from '../shared/log/lmdb-limits.ts'
import { assert } from '../shared/runtime/errors.ts'

/** Largest line of a raw file: a record that cannot be read stands in it as base64, bytes. */
export const RAW_LINE_BYTES_MAX = 32 * 2 ** 20

/** Lines collected before they are compressed, bytes. */
export const RAW_CHUNK_BYTES = 2 ** 18

/** Compression of raw files: a higher level gains little on events and costs much. */
export const RAW_ZSTD_LEVEL = 3

assert(RECORD_MAX_BYTES * 1.5 < RAW_LINE_BYTES_MAX, 'a line must hold the largest record as base64')

/** Partitions of a topic whose control rows are read. */
export const PARTITIONS_MAX = 65_535

/** Time of one query of a run that returns rows, ms. */
export const QUERY_TIMEOUT_MS = 300_000

/** Days that the rows of one run may lie on: a record may be received long before it is logged. */
export const DATES_MAX = 36_600

/** Rows of values in one statement; each is some twenty parameters. */
export const ROWS_PER_STATEMENT = 50
