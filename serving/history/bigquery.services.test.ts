/**
 * Everything that serving asks of the history, asked of BigQuery: the answers are those of DuckDB over the
 * same rows, and each takes a number of queries that is known.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import type { ApiServer } from '../../scripts/services/api-server.ts'
import { startBigQuery } from '../../scripts/services/bigquery.ts'
import { openFolderObjectStore } from '../../shared/objects/folder-object-store.ts'
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import { DEFAULT_CUT_IDS, parseCut } from '../../shared/qoe/cuts.ts'
import { DEFAULT_FOLD_LIMITS } from '../../shared/qoe/fold.ts'
import { ManualClock, systemClock } from '../../shared/runtime/clock.ts'
import { createTelemetryBase } from '../../shared/runtime/telemetry.ts'
import { openDuckDbWarehouse } from '../../shared/warehouse/duckdb-warehouse.ts'
import { utcDate } from '../../shared/warehouse/minute-rows.ts'
import type { TableSpec } from '../../shared/warehouse/table-spec.ts'
import { tables } from '../../shared/warehouse/tables.ts'
import { freshDatasets, openDataset } from '../../shared/warehouse/testing/bigquery-dataset.ts'
import type { Select, Warehouse } from '../../shared/warehouse/warehouse.ts'
import { DEFAULT_SERVING_LIMITS } from '../limits.ts'
import { controlValues, qoeMinute, rowLiterals, type Values } from '../testing/test-warehouse.ts'
import { History } from './history.ts'
import { readPastSession, readPastViewerSessions } from './past-session-reader.ts'
import { createHistoryTelemetry } from './telemetry.ts'

const MINUTE_MS = 60_000
const PANE_LIFE_MS = 90 * MINUTE_MS
const BASE_MS = Date.parse('2026-03-01T12:00:00Z')
const MINUTES = { fromMs: BASE_MS, toMs: BASE_MS + 3 * MINUTE_MS }
const cuts = DEFAULT_CUT_IDS.map(parseCut)
/** A timeline of more is counted by a query of its own. */
const limits = { ...DEFAULT_SERVING_LIMITS, historyTimelineEventsMax: 3 }
const TIMEOUT_MS = 300_000

let folder: string
let objects: ObjectStore
let bigQuery: ApiServer
let clock: ManualClock
let inCloud: Side
let inFolder: Side
/** Queries that BigQuery was asked, but those by which a session finds its moment. */
let asked = 0

interface Side {
  readonly warehouse: Warehouse
  history: History
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'backhaul-history-'))
  bigQuery = await startBigQuery({ objectsFolder: join(folder, 'bucket') })
  bigQuery.proxy.observe(({ url, body }) => {
    const isQuery = url.pathname.endsWith('/queries') && body.includes('"verb":"query"')
    if (isQuery) asked += 1
  })
  clock = new ManualClock(BASE_MS)
  const place = { bucket: 'none', dataset: await freshDatasets(bigQuery) }
  objects = await openFolderObjectStore({ folder: join(folder, 'objects'), clock })
  const duckDb = await openDuckDbWarehouse({
    store: objects,
    temporaryFolder: join(folder, 'temporary'),
    memoryMaxBytes: 256 * 2 ** 20,
    threads: 1,
    clock: systemClock,
  })
  inCloud = await sideOf(await openDataset(bigQuery, place))
  inFolder = await sideOf(duckDb)
}, TIMEOUT_MS)
beforeEach(() => {
  asked = 0
})
afterAll(async () => {
  for (const { history, warehouse } of [inCloud, inFolder]) {
    history.stop()
    await warehouse.close()
  }
  await objects.close()
  await bigQuery.stop()
  await rm(folder, { recursive: true, force: true })
})

/** Whole numbers that tell rows apart. */
function session(sessionId: string, part: number, values: Values = {}): Values {
  const firstMs = BASE_MS + 1_000 * part
  return {
    session_id: sessionId,
    part,
    viewer_pseudonym: 'viewer',
    content_id: `content-${part}`,
    labels: '{"plan":"gold"}',
    start_date: utcDate(firstMs),
    first_event_time_ms: firstMs,
    last_event_time_ms: firstMs + 900,
    last_logged_at_ms: firstMs + 1_000,
    state: 'playing',
    startup_ms: part === 0 ? null : 800,
    stall_count: part + 1,
    bits_played: 2n ** 60n,
    closed: true,
    ...values,
  }
}

function copy(seq: number, values: Values = {}): Values {
  const atMs = BASE_MS + 100 * seq
  return {
    session_id: 'a',
    seq,
    type: 'heartbeat',
    at_ms: atMs,
    buffer_ms: 40,
    log_offset: seq,
    received_at_ms: atMs + 10,
    received_date: utcDate(atMs),
    sent_at_ms: atMs + 5,
    logged_at_ms: atMs + 20,
    ...values,
  }
}

const minutes = cuts.flatMap((cut) =>
  [0, 1].map((minute) =>
    qoeMinute(
      BASE_MS + minute * MINUTE_MS,
      { plays: 3 + minute, events: 7, startupHistogram: [[3, 1]], viewerRegisters: [[9, 2]] },
      { cut, key: cut.dimensions.map((dimension) => `${dimension} it's`) },
    ),
  ),
)
const ROWS: readonly (readonly [TableSpec, readonly Values[]])[] = [
  // The log had lost its beginning, so where the history begins is asked, too.
  [tables.batchRuns, controlValues(1, [BASE_MS + 5 * PANE_LIFE_MS], { first_offset: 17 })],
  [tables.frames, [{ ...copy(0), logged_at_ms: BASE_MS - 2 * PANE_LIFE_MS }]],
  [tables.qoeMinute, minutes],
  [
    tables.sessions,
    [
      session('a', 0),
      session('a', 1),
      session('b', 0),
      session('c', 0),
      session('d', 0, { viewer_pseudonym: 'another' }),
    ],
  ],
  [tables.events, [copy(0), copy(1), copy(2), copy(4)]],
  [
    tables.eventCopies,
    [
      copy(1, { kind: 'duplicate', log_offset: 9 }),
      copy(3, { kind: 'rejected', type: null, at_ms: null }),
    ],
  ],
]

async function sideOf(warehouse: Warehouse): Promise<Side> {
  await warehouse.ensureTables(ROWS.map(([table]) => table))
  const writing = await warehouse.open()
  for (const [table, rows] of ROWS)
    await writing.insertMissing({
      table: table.name,
      select: selectOf(table, rows),
      key: table.key,
      dates: [...new Set(rows.map((row) => String(row[table.partitionColumn] ?? '2026-01-01')))],
      jobId: `fill-${table.name}`,
    })
  await writing.close()
  return { warehouse, history: historyOf(warehouse) }
}

function selectOf(table: TableSpec, rows: readonly Values[]): Select {
  const named = rows.map((row) => {
    const values = rowLiterals(table, row, (ms) => `TIMESTAMP_MILLIS(${ms})`)
    return table.columns.map(
      ({ name, type }, index) => `CAST(${values[index]} AS ${type}) AS ${name}`,
    )
  })
  return { sql: named.map((columns) => `SELECT ${columns.join(', ')}`).join('\nUNION ALL\n') }
}

function historyOf(warehouse: Warehouse): History {
  return new History({
    warehouse,
    partitions: 1,
    paneLifeMs: PANE_LIFE_MS,
    limits,
    clock,
    telemetry: createHistoryTelemetry(createTelemetryBase('silent')),
  })
}

/** The answer of BigQuery, and of DuckDB. */
async function both<Answer>(ask: (history: History) => Promise<Answer>) {
  return { here: await ask(inCloud.history), there: await ask(inFolder.history) }
}

async function snapshotOf(history: History) {
  const snapshot = await history.acquire()
  snapshot?.release()
  if (snapshot === undefined) throw new Error('no history')
  return snapshot
}

it('the boundary and what each cut covers, by three queries, and while it is young by none', async () => {
  const found = async (history: History) => {
    const snapshot = await snapshotOf(history)
    return { run: snapshot.run, covered: cuts.map((cut) => snapshot.covered(cut)) }
  }
  const { here, there } = await both(found)
  expect(here).toEqual(there)
  expect(here.run).toMatchObject({ run: 1, beginsLate: true })
  expect(here.covered[0]?.fromMs).toBe(BASE_MS)
  expect(asked).toBe(3)
  await both(found)
  expect(asked).toBe(3)
})

it('minutes of every cut by a query each, and when they are closed by no further one', async () => {
  const where = new Map()
  for (let time = 0; time < 2; time += 1)
    for (const cut of cuts) {
      const { here, there } = await both(async (history) =>
        history.minutes.read({ cut, where }, MINUTES, await snapshotOf(history), 60_000),
      )
      expect(here, cut.id).toEqual(there)
      expect(here.get(BASE_MS)?.size, cut.id).toBe(1)
    }
  expect(asked).toBe(cuts.length)
})

it('minutes of some keys by one query that names them', async () => {
  const [cut] = cuts.filter(({ id }) => id === 'cdn')
  if (cut === undefined) throw new Error('there is a cut by CDN')
  const accepted = new Set(["cdn it's", 'another'])
  const { here, there } = await both(async (history) =>
    history.minutes.read(
      { cut, where: new Map([['cdn', accepted]] as const) },
      MINUTES,
      await snapshotOf(history),
      60_000,
    ),
  )
  expect(here).toEqual(there)
  expect(here.get(BASE_MS)?.size).toBe(1)
  expect(asked).toBe(1)
})

it('a session and its timeline by two queries, and by a third where the timeline is cut', async () => {
  const { here, there } = await both((history) =>
    readPastSession({ sessionId: 'a', incarnation: undefined }, (_, read) => read(), {
      history,
      limits,
      foldLimits: DEFAULT_FOLD_LIMITS,
      clock,
    }),
  )
  expect(here).toEqual(there)
  expect(here?.session.parts).toHaveLength(2)
  expect(here?.timeline).toMatchObject({
    entries: [{ seq: 0 }, { seq: 1 }, { seq: 1, status: 'duplicate' }],
    frames: { total: 6, beyondLimit: 3 },
  })
  expect(asked).toBe(3)
})

it('a page of the sessions of a viewer by one query', async () => {
  const range = { viewerPseudonym: 'viewer', fromMs: BASE_MS - 1, toMs: BASE_MS + 10_000 }
  const page = (limit: number) =>
    both((history) =>
      readPastViewerSessions(
        { ...range, limit },
        { history, limits, foldLimits: DEFAULT_FOLD_LIMITS, clock },
      ),
    )
  const { here, there } = await page(2)
  expect(here).toEqual(there)
  expect(here.hasMore).toBe(true)
  expect(here.sessions).toMatchObject([
    { sessionId: 'a', latest: { part: 1 }, totals: { stallCount: 3, startupMs: 800 } },
    { sessionId: 'b' },
  ])
  expect(asked).toBe(1)
  const all = await page(9)
  expect(all.here).toEqual(all.there)
  expect(all.here.sessions.map(({ sessionId }) => sessionId)).toEqual(['a', 'b', 'c'])
})
