/**
 * Finds minute rows. The rows of a cut lie in one Cassandra partition for each hour and bucket of
 * keys, in order of minute: a time range of a cut is a slice of each; a few keys of it are looked
 * for by minute and key, in their buckets alone.
 */
import { MINUTE_MS } from '../qoe/aggregates.ts'
import {
  MINUTE_SEEKS_MAX,
  QUERY_PARTITIONS_AT_ONCE,
  QUERY_PARTITIONS_MAX,
} from './cassandra-limits.ts'
import {
  HOUR_MS,
  hourOf,
  isAlive,
  keyBucket,
  keyBuckets,
  MINUTE_COLUMNS,
  readMinute,
} from './cassandra-rows.ts'
import type { CassandraStatements } from './cassandra-statements.ts'
import type { MinuteRow } from './rows.ts'
import { speedErrors } from './speed-errors.ts'
import type { MinuteQuery } from './speed-store.ts'

const PARTITION = `SELECT ${MINUTE_COLUMNS} FROM minutes
  WHERE view_id = ? AND cut = ? AND key_bucket = ? AND hour_ms = ?`
const BY_TIME = `${PARTITION} AND minute_ms >= ? AND minute_ms < ?`
const BY_KEY = `${PARTITION} AND minute_ms IN ? AND key IN ?`

/** One statement: the rows of one Cassandra partition. */
interface Part {
  readonly query: string
  readonly params: readonly unknown[]
  /** Keys to keep, where the statement finds others too. */
  readonly keys: ReadonlySet<string> | undefined
}

export async function findMinutes(
  statements: CassandraStatements,
  query: MinuteQuery,
  nowMs: number,
): Promise<MinuteRow[]> {
  const found: MinuteRow[] = []
  const collect = async ({ query: text, params, keys }: Part): Promise<void> => {
    for await (const page of statements.pages(text, params))
      for (const row of page) {
        if (!isAlive(row, nowMs) || keys?.has(row['key'] as string) === false) continue
        if (found.length === query.limit) throw tooLarge(query)
        found.push(readMinute(query, row))
      }
  }
  const buckets = bucketsOf(query)
  const partitions = Math.ceil((query.toMs - query.fromMs) / HOUR_MS + 1) * buckets.length
  if (partitions > QUERY_PARTITIONS_MAX) throw tooLong(query, partitions)
  const parts = partsOf(query, buckets)
  // As many readers as may read side by side draw from the same parts.
  const readers = Array.from({ length: QUERY_PARTITIONS_AT_ONCE }, async () => {
    for (const part of parts) await collect(part)
  })
  const ended = await Promise.allSettled(readers)
  const failed = ended.find((end) => end.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  return found
}

function* partsOf(
  { view, cut, fromMs, toMs }: MinuteQuery,
  buckets: readonly Bucket[],
): Generator<Part, void, undefined> {
  for (const { bucket, keys } of buckets)
    for (let hourMs = hourOf(fromMs); hourMs < toMs; hourMs += HOUR_MS) {
      const startMs = Math.max(hourMs, Math.ceil(fromMs / MINUTE_MS) * MINUTE_MS)
      const endMs = Math.min(hourMs + HOUR_MS, toMs)
      const place = [view, cut, bucket, hourMs]
      const minutes = minutesIn(startMs, endMs)
      if (keys !== undefined && minutes.length * keys.length <= MINUTE_SEEKS_MAX)
        yield { query: BY_KEY, params: [...place, minutes, keys], keys: undefined }
      else
        yield {
          query: BY_TIME,
          params: [...place, startMs, endMs],
          keys: keys && new Set(keys),
        }
    }
}

interface Bucket {
  readonly bucket: number
  /** Keys asked for that lie in it; all when absent. */
  readonly keys: readonly string[] | undefined
}

function bucketsOf({ cut, keys }: MinuteQuery): readonly Bucket[] {
  const count = keyBuckets(cut)
  if (keys === undefined)
    return Array.from({ length: count }, (_, bucket) => ({ bucket, keys: undefined }))
  const byBucket = Map.groupBy(new Set(keys), (key) => keyBucket(key, count))
  return [...byBucket].map(([bucket, found]) => ({ bucket, keys: found }))
}

function minutesIn(startMs: number, endMs: number): number[] {
  const minutes: number[] = []
  for (let minuteMs = startMs; minuteMs < endMs; minuteMs += MINUTE_MS) minutes.push(minuteMs)
  return minutes
}

function tooLarge(query: MinuteQuery): Error {
  return speedErrors.create('SPEED_QUERY_TOO_LARGE', {
    expected: `at most ${query.limit} rows`,
    received: `more, of cut ${query.cut}`,
  })
}

function tooLong({ cut }: MinuteQuery, partitions: number): Error {
  return speedErrors.create('SPEED_QUERY_TOO_LARGE', {
    expected: `at most ${QUERY_PARTITIONS_MAX} hours and buckets of keys`,
    received: `${partitions}, of cut ${cut}`,
  })
}
