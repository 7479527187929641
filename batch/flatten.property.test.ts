/**
 * Flattening is exact: whatever clients may write, DuckDB's reading of the raw file has the same
 * rows and values as `decodeRecord`'s reading of the log.
 */
import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { zstdCompressSync } from 'node:zlib'
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { LogRecord } from '../shared/log/event-log.ts'
import { decodeRecord, type FrameRecord } from '../shared/log/record.ts'
import { TOPICS } from '../shared/log/topics.ts'
import { systemClock } from '../shared/runtime/clock.ts'
import {
  contextColumns,
  eventColumns,
  type EventColumn,
} from '../shared/warehouse/event-columns.ts'
import { FlattenDatabase } from './flatten-database.ts'
import { flattenPlan, literal } from './flatten-sql.ts'
import { encodeRawLine } from './raw-line.ts'
import { stagingColumns, type StagingKind } from './staging.ts'
import { logArbitrary } from './testing/record-arbitrary.ts'

const OUT_OF_ORDERNESS_MS = 2_000

let folder: string
let database: FlattenDatabase
let reader: DuckDBConnection

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'backhaul-flatten-'))
  database = await FlattenDatabase.open({
    temporaryFolder: folder,
    memoryBytes: 512 * 2 ** 20,
    threads: 1,
    clock: systemClock,
  })
  reader = await (await DuckDBInstance.create(':memory:')).connect()
})
afterAll(async () => {
  await database.close()
  await rm(folder, { recursive: true, force: true })
})

type Values = Record<string, unknown>

/** What a file made of these records holds of a kind. */
async function flattened(records: readonly LogRecord[], kind: StagingKind): Promise<Values[]> {
  const path = join(folder, 'raw.ndjson.zst')
  const parquet = join(folder, `${kind}.parquet`)
  let before: number | null = null
  const lines = records.map((record) => {
    const line = encodeRawLine(TOPICS.events, record, before)
    before = Math.max(before ?? record.loggedAtMs, record.loggedAtMs)
    return line.bytes
  })
  await writeFile(path, zstdCompressSync(Buffer.concat(lines)))
  const plan = flattenPlan({
    topic: TOPICS.events,
    partition: 3,
    outOfOrdernessMs: OUT_OF_ORDERNESS_MS,
    path,
  })
  await database.run(plan.read)
  const rows = await database.writeParquet(plan.select[kind] ?? '', parquet)
  const order = kind === 'events' ? 'log_offset, log_index' : 'log_offset'
  const result = await reader.runAndReadAll(
    `SELECT * FROM read_parquet(${literal(parquet)}) ORDER BY ${order}`,
  )
  expect(result.columnNames()).toEqual(stagingColumns[kind].map(({ name }) => name))
  const found = result.getRowObjectsJS() as Values[]
  expect(found).toHaveLength(rows)
  return found.map(comparable)
}

/** Numbers as numbers, dates as text, and JSON text as what it means. */
function comparable(row: Values): Values {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => {
      if (typeof value === 'bigint') return [name, Number(value)]
      if (value instanceof Date) return [name, value.toISOString().slice(0, 10)]
      return [name, name === 'labels' && typeof value === 'string' ? JSON.parse(value) : value]
    }),
  )
}

function valuesOf(columns: readonly EventColumn[], source: object | undefined): Values {
  return Object.fromEntries(
    columns.map(({ name, path }) => {
      let value: unknown = source
      for (const field of path) value = (value as Values | undefined)?.[field]
      return [name, value ?? null]
    }),
  )
}

interface Placed {
  readonly frame: FrameRecord
  readonly watermarkMs: number
  readonly beforeMs: number | null
}

function framesOf(records: readonly LogRecord[]): Placed[] {
  let largest: number | null = null
  return records.flatMap((record) => {
    const before = largest
    largest = Math.max(before ?? record.loggedAtMs, record.loggedAtMs)
    const frame = decodeRecord(record)
    if (frame.kind !== 'frame') return []
    const watermarkMs = largest - OUT_OF_ORDERNESS_MS
    return [{ frame, watermarkMs, beforeMs: before === null ? null : before - OUT_OF_ORDERNESS_MS }]
  })
}

function expectedEvents({ frame }: Placed): Values[] {
  const place = { session_id: frame.context.sessionId, log_partition: 3, log_offset: frame.offset }
  const accepted = frame.events.map((event, index) => ({
    ...place,
    ...valuesOf(eventColumns, event),
    kind: 'accepted',
    log_index: index,
  }))
  const rejected = frame.rejectedSeqs.map((seq, index) => ({
    ...place,
    ...valuesOf(eventColumns, { seq }),
    kind: 'rejected',
    log_index: frame.events.length + index,
  }))
  return [...accepted, ...rejected]
}

test('every event and rejected seq comes out, in its place, with its exact values', async () => {
  await fc.assert(
    fc.asyncProperty(logArbitrary, async (records) => {
      const expected = framesOf(records).flatMap(expectedEvents)
      expect(await flattened(records, 'events')).toEqual(expected)
    }),
    { numRuns: 60 },
  )
})

test('every frame comes out, with its context, times, watermarks and counts', async () => {
  await fc.assert(
    fc.asyncProperty(logArbitrary, async (records) => {
      const expected = framesOf(records).map(({ frame, watermarkMs, beforeMs }) => ({
        ...valuesOf(contextColumns, frame.context),
        log_partition: 3,
        log_offset: frame.offset,
        received_date: new Date(frame.receivedAtMs).toISOString().slice(0, 10),
        received_at_ms: frame.receivedAtMs,
        sent_at_ms: frame.sentAtMs,
        logged_at_ms: frame.loggedAtMs,
        watermark_ms: watermarkMs,
        watermark_before_ms: beforeMs,
        bytes: frame.valueBytes,
        event_count: frame.events.length,
        rejected_count: frame.rejectedSeqs.length,
        session_bucket: createHash('md5').update(frame.context.sessionId).digest()[0],
        schema: 'playback.v1',
      }))
      const found = await flattened(records, 'frames')
      expect(found).toEqual(expected)
    }),
    { numRuns: 40 },
  )
})
