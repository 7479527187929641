/**
 * Finds minute rows. Keys sort by (view, cut), minute, cut key: a time range of a cut is one ordered
 * scan; a few keys of it are found by a search per minute and key. Long queries read in slices and
 * give the event loop its turn between them, each slice being a snapshot of its own.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { MINUTE_MS } from '../qoe/aggregates.ts'
import { after, withPrefix } from '../lmdb/key-ranges.ts'
import type { Table } from '../lmdb/root.ts'
import { MINUTE_SEEKS_MAX, ROWS_PER_TURN } from './lmdb-limits.ts'
import { decodeHeader, decodeMinute } from './lmdb-row-codec.ts'
import { keyDigest, minuteKeyDigest, minutePrefix } from './lmdb-row-keys.ts'
import type { MinuteRow } from './rows.ts'
import { speedErrors } from './speed-errors.ts'
import type { MinuteQuery } from './speed-store.ts'

interface Entry {
  readonly key: Buffer
  readonly value: Buffer
}

interface KeyRange {
  readonly start: Buffer
  readonly end?: Buffer
}

/** `assertOpen` is called before the table is touched again after a turn of the event loop. */
export async function findMinutes(
  table: Table,
  query: MinuteQuery,
  nowMs: number,
  assertOpen: () => void,
): Promise<MinuteRow[]> {
  const plan = planOf(query)
  const found: MinuteRow[] = []
  let untilTurn = ROWS_PER_TURN
  for (const range of plan.ranges) {
    let start: Buffer | undefined = range.start
    while (start !== undefined) {
      const entries: readonly Entry[] = [
        ...table.getRange({ ...range, start, limit: ROWS_PER_TURN }),
      ]
      for (const { key, value } of entries) {
        if (plan.keys !== undefined && !plan.keys.has(minuteKeyDigest(key).toString('latin1')))
          continue
        if (decodeHeader(value).expiresAtMs < nowMs) continue
        if (found.length === query.limit) throw tooLarge(query)
        found.push(decodeMinute(query, key, value))
      }
      const last = entries.at(-1)?.key
      start = entries.length < ROWS_PER_TURN || last === undefined ? undefined : after(last)
      untilTurn -= entries.length + 1
      if (untilTurn > 0) continue
      untilTurn = ROWS_PER_TURN
      await nextTurn()
      assertOpen()
    }
  }
  return found
}

interface Plan {
  readonly ranges: Iterable<KeyRange>
  /** Digests of the keys to keep, where the ranges hold others too. */
  readonly keys: ReadonlySet<string> | undefined
}

function planOf(query: MinuteQuery): Plan {
  const { view, cut, keys } = query
  const firstMs = Math.max(0, Math.ceil(query.fromMs / MINUTE_MS) * MINUTE_MS)
  const endMs = Math.min(query.toMs, 2 ** 48 - 1)
  if (endMs <= firstMs) return { ranges: [], keys: undefined }
  const digests = keys?.map(keyDigest).toSorted(Buffer.compare)
  const seeks = Math.ceil((endMs - firstMs) / MINUTE_MS) * (digests?.length ?? 0)
  if (digests !== undefined && seeks <= MINUTE_SEEKS_MAX)
    return { ranges: eachKey(query, digests, { firstMs, endMs }), keys: undefined }
  return {
    ranges: [{ start: minutePrefix(view, cut, firstMs), end: minutePrefix(view, cut, endMs) }],
    keys: digests && new Set(digests.map((digest) => digest.toString('latin1'))),
  }
}

function* eachKey(
  { view, cut }: MinuteQuery,
  digests: readonly Buffer[],
  { firstMs, endMs }: { readonly firstMs: number; readonly endMs: number },
): Generator<KeyRange, void, undefined> {
  for (let minuteMs = firstMs; minuteMs < endMs; minuteMs += MINUTE_MS) {
    const prefix = minutePrefix(view, cut, minuteMs)
    for (const digest of digests) yield withPrefix(Buffer.concat([prefix, digest]))
  }
}

function tooLarge(query: MinuteQuery): Error {
  return speedErrors.create('SPEED_QUERY_TOO_LARGE', {
    expected: `at most ${query.limit} rows`,
    received: `more, of cut ${query.cut}`,
  })
}
