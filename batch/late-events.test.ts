/** Copies that reach behind the days which a run searches: held back, and decided about later. */
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { ManualClock } from '../shared/runtime/clock.ts'
import { ArmedFailpoints, type FailpointName } from '../shared/runtime/failpoints.ts'
import { eventTables } from '../shared/warehouse/event-tables.ts'
import { factTables } from '../shared/warehouse/fact-tables.ts'
import { runTables } from '../shared/warehouse/run-tables.ts'
import type { Row, Select, WarehouseSession } from '../shared/warehouse/warehouse.ts'
import { BatchMachine, type Ports } from './testing/batch-machine.ts'
import { DELAYED, LASTING, LateLog, type LateLogState, PLAIN } from './testing/late-log.ts'

const START_MS = 1_800_000_000_000
/** Where a try is cut off, in this order. */
const CUT_OFF: readonly FailpointName[] = [
  'batch.afterSomeInserts',
  'batch.afterLateInserts',
  'batch.afterLateFacts',
  'batch.afterLateSettled',
]
const TABLES = Object.values({ ...eventTables, ...factTables, ...runTables })
  .map(({ name }) => name)
  .filter((name) => !['batch_runs', 'ledger', 'data_quality'].includes(name))
const DAY_MS = 24 * 60 * 60_000
/** The default of BATCH_LATE_AFTER_MS. */
const SIX_HOURS_MS = 6 * 60 * 60_000
const TIMEOUT_MS = 300_000

// Each run writes the files of eleven days.
vi.setConfig({ testTimeout: TIMEOUT_MS })

let root: string
/** Folders to go on from: with a run that has held nothing back, and with one more that has. */
let before: Prepared
let held: Prepared
let machine: BatchMachine
const opened: BatchMachine[] = []

interface Prepared {
  readonly folder: string
  readonly log: LateLogState
  readonly nowMs: number
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'backhaul-late-'))
  const clock = new ManualClock(START_MS)
  const first = await BatchMachine.open({ folder: join(root, 'first'), clock })
  const log = new LateLog(first.ports.log, clock)
  await log.begin()
  await first.run()
  await log.goOn()
  before = await keep(first, log, 'before')
  const second = await goOnFrom(before)
  await second.machine.run()
  await second.log.follow()
  held = await keep(second.machine, second.log, 'held')
}, TIMEOUT_MS)
afterAll(() => rm(root, { recursive: true, force: true }))
afterEach(async () => {
  for (const one of opened.splice(0)) await one.closeStores()
})

async function keep(from: BatchMachine, log: LateLog, name: string): Promise<Prepared> {
  await from.closeStores()
  const folder = join(root, name)
  await cp(from.folder, folder, { recursive: true })
  return { folder, log: log.state, nowMs: from.clock.nowMs() }
}

/** A machine over a copy of what was prepared. */
async function goOnFrom(prepared: Prepared, { withoutHistory = false }: From = {}) {
  const folder = await mkdtemp(join(root, 'copy-'))
  await cp(prepared.folder, folder, { recursive: true })
  if (withoutHistory) await rm(join(folder, 'objects'), { recursive: true })
  const clock = new ManualClock(prepared.nowMs)
  const copy = await BatchMachine.open({ folder, clock })
  return { machine: copy, log: new LateLog(copy.ports.log, clock, prepared.log) }
}

interface From {
  /** With the log alone: no run has been. */
  readonly withoutHistory?: boolean
}

async function open(prepared: Prepared, from: From = {}): Promise<LateLog> {
  const copy = await goOnFrom(prepared, from)
  opened.push(copy.machine)
  machine = copy.machine
  return copy.log
}

async function seqsOf(table: string, sessionId: string): Promise<number[]> {
  const rows = await machine.query(
    `SELECT seq FROM ${table} WHERE session_id = '${sessionId}' ORDER BY seq`,
  )
  return rows.map(({ seq }) => Number(seq))
}

/** What the tables say of the log, whichever run put it there. */
async function rowsOf(): Promise<Record<string, readonly Row[]>> {
  const all = Object.entries(await machine.tables()).filter(([name]) => TABLES.includes(name))
  const withoutRun = (rows: readonly Row[]) => rows.map(({ run: _run, ...row }) => row)
  return Object.fromEntries(all.map(([name, rows]) => [name, withoutRun(rows)]))
}

describe('a run', () => {
  it('holds back what it cannot decide about, and what follows of the same sessions', async () => {
    const log = await open(before)
    await machine.run()
    const rows = await machine.query(
      'SELECT session_id, seq, reason, kind FROM late_events ORDER BY log_partition, log_offset, log_index',
    )
    const of = (id: string) => rows.filter((row) => row['session_id'] === id)
    expect(of(LASTING).map(({ reason }) => reason)).toEqual(Array(4).fill('old_session'))
    expect(of(DELAYED).map(({ seq, reason, kind }) => [Number(seq), reason, kind])).toEqual([
      [0, 'old_arrival', 'accepted'],
      [1, 'old_arrival', 'accepted'],
      [2, 'old_arrival', 'rejected'],
      [1, 'old_arrival', 'accepted'],
      [3, 'old_arrival', 'accepted'],
      [4, 'waits', 'accepted'],
    ])
    expect(of(PLAIN)).toEqual([])
    expect(await seqsOf('events', PLAIN)).toEqual([0, 1, 2])
    expect(await seqsOf('events', DELAYED)).toEqual([])
    await log.follow()
    await machine.run()
    expect(await seqsOf('late_events', DELAYED)).toEqual([0, 1, 1, 2, 3, 3, 4, 5, 6])
    expect(await seqsOf('events', PLAIN)).toEqual([0, 1, 2, 3])
    const quality = await machine.query(
      `SELECT run, found FROM data_quality WHERE check_name = 'held_back' ORDER BY run`,
    )
    expect(quality.map(({ found }) => Number(found))).toEqual([0, 10, 15])
  })

  it('searches no day before the bound, and writes none', async () => {
    await open(before)
    const asked: Asked[] = []
    await machine.batch({ wrap: (ports) => watched(ports, asked) }).run()
    const bound = new Date(machine.clock.nowMs() - 8 * DAY_MS).toISOString().slice(0, 10)
    const searches = asked.filter(({ sql }) => /FROM (?:events|event_copies) AS/.test(sql))
    const days = searches.flatMap(({ parameters }) => parameters?.['from_date'] ?? [])
    expect(days.length).toBeGreaterThan(2)
    for (const day of days) expect(String(day) >= bound, String(day)).toBe(true)
    const written = asked.filter(({ table }) => table === 'events' || table === 'event_copies')
    expect(written).toHaveLength(2)
    for (const { dates = [] } of written) for (const date of dates) expect(date >= bound).toBe(true)
  })
})

describe('settled', () => {
  it('every event is there once, and history is that of the log loaded by one run', async () => {
    await open(held)
    await machine.run({}, { settleLate: true })
    expect(await machine.query('SELECT seq FROM late_events')).toEqual([])
    expect(await seqsOf('events', DELAYED)).toEqual([0, 1, 3, 4, 5, 6])
    expect(await seqsOf('event_copies', DELAYED)).toEqual([1, 2, 3])
    expect(await seqsOf('event_copies', LASTING)).toEqual([1, 2])
    const lasting = await seqsOf('events', LASTING)
    expect(lasting).toEqual(lasting.map((_, seq) => seq))
    const settled = await rowsOf()
    await open(held, { withoutHistory: true })
    await machine.run({}, { settleLate: true })
    expect(await rowsOf()).toEqual(settled)
  })

  it('by a run, when the first of them has waited for long enough', async () => {
    const log = await open(held)
    await log.pass(SIX_HOURS_MS)
    await machine.run()
    expect(await machine.query('SELECT seq FROM late_events')).toEqual([])
    expect(await seqsOf('events', DELAYED)).toEqual([0, 1, 3, 4, 5, 6])
  })

  it('as if never disturbed, when every try is cut off once', async () => {
    await open(held)
    await machine.run({}, { settleLate: true })
    const undisturbed = await rowsOf()
    await open(held)
    const failpoints = new ArmedFailpoints()
    for (const name of CUT_OFF)
      failpoints.arm(name, () => {
        failpoints.arm(name, undefined)
        throw new Error(name)
      })
    for (const name of CUT_OFF)
      await expect(machine.batch({ failpoints }).run({ settleLate: true })).rejects.toThrow(name)
    await machine.batch({ failpoints }).run({ settleLate: true })
    expect(await rowsOf()).toEqual(undisturbed)
  })
})

interface Asked extends Select {
  readonly table?: string
  readonly dates?: readonly string[]
}

/** Keeps what the warehouse is asked. */
function watched(ports: Ports, asked: Asked[]): Ports {
  const { warehouse } = ports
  return {
    ...ports,
    warehouse: {
      ensureTables: (tables) => warehouse.ensureTables(tables),
      open: async () => watchedSession(await warehouse.open(), asked),
      close: () => warehouse.close(),
    },
  }
}

function watchedSession(session: WarehouseSession, asked: Asked[]): WarehouseSession {
  return {
    tables: session.tables,
    computesHere: session.computesHere,
    load: (request) => session.load(request),
    scratch: (name, select) => {
      asked.push(select)
      return session.scratch(name, select)
    },
    append: (name, select) => session.append(name, select),
    insertMissing: (request) => {
      asked.push({ ...request.select, ...request })
      return session.insertMissing(request)
    },
    replaceRows: (request) => session.replaceRows(request),
    query: (select, limits) => session.query(select, limits),
    columns: (select) => session.columns(select),
    close: () => session.close(),
  }
}
