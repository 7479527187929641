import { readdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { DEFAULT_CUT_IDS, parseCut } from '../shared/qoe/cuts.ts'
import { DEFAULT_FOLD_LIMITS } from '../shared/qoe/fold.ts'
import { ManualClock } from '../shared/runtime/clock.ts'
import { createTelemetryBase } from '../shared/runtime/telemetry.ts'
import { tables as tableSpecs } from '../shared/warehouse/tables.ts'
import type { Row } from '../shared/warehouse/warehouse.ts'
import { backfill, type BackfillParts, type BackfillReport } from './backfill.ts'
import { cutName, manifestName, REPLAYS_FOLDER } from './object-names.ts'
import { createBatchTelemetry } from './telemetry.ts'
import { alterRows } from './testing/alter-rows.ts'
import { BatchMachine, configOf, PARTITIONS } from './testing/batch-machine.ts'
import { fillLog } from './testing/scenario.ts'

/** A machine under load takes its time for a hundred durable appends. */
const BUILD_TIMEOUT_MS = 120_000
const RUNS = 3
const DAYS = ['2026-03-01', '2026-03-02']
const ALL = { fromDate: '2026-01-01', toDate: '2026-12-31' }
const { batchRuns } = tableSpecs
/** Rows whose `run` is that of the run that computed them last. */
const FACTS = ['sessions', 'session_minutes', 'qoe_minute']

let clock: ManualClock
let machine: BatchMachine

beforeAll(async () => {
  clock = new ManualClock(Date.parse('2026-03-01T18:00:00Z'))
  machine = await BatchMachine.open({ clock })
  const { log } = machine.ports
  for (let seed = 1; seed <= RUNS; seed += 1) {
    // Each part has a pause of hours in its middle: incarnations begin in one run and end in another.
    await fillLog({ log, clock, partitions: PARTITIONS, seed, turns: 10 })
    await machine.run()
    // A pause of less than a session is kept, into the next day.
    if (seed === 1) await clock.advance(Date.parse('2026-03-02T00:00:00Z') - clock.nowMs())
  }
}, BUILD_TIMEOUT_MS)
afterAll(() => machine.close())

const temporaryFolder = () => join(machine.folder, 'temporary')

function run(range = ALL, changed: Partial<BackfillParts> = {}): Promise<BackfillReport> {
  return backfill(
    {
      ...machine.ports,
      clock,
      config: configOf({ BATCH_FACT_BUCKETS: '1' }),
      limits: DEFAULT_FOLD_LIMITS,
      cuts: DEFAULT_CUT_IDS.map(parseCut),
      telemetry: createBatchTelemetry(createTelemetryBase('silent')),
      holder: 'test',
      temporaryFolder: temporaryFolder(),
      signal: new AbortController().signal,
      workers: 1,
      onProgress: () => undefined,
      ...changed,
    },
    range,
  )
}

async function tables(): Promise<Record<string, readonly Row[]>> {
  const entries = Object.entries(await machine.tables()).map(([name, rows]) => [
    name,
    FACTS.includes(name) ? rows.map(({ run: _run, ...row }) => row) : rows,
  ])
  return Object.fromEntries(entries) as Record<string, readonly Row[]>
}

it('replaces what is lost or altered, without the log, with files in several workers', async () => {
  const before = await tables()
  const { warehouse } = machine.ports
  const otherContent = `* REPLACE ('nothing' AS content_id)`
  await alterRows(warehouse, { table: 'events', where: 'run = 2', select: otherContent })
  const longer = '* REPLACE (bytes + 1 AS bytes)'
  await alterRows(warehouse, { table: 'frames', where: 'run = 1', select: longer })
  await alterRows(warehouse, { table: 'event_copies', where: 'run = 3' })
  const altered = await tables()
  for (const name of ['events', 'frames', 'event_copies'])
    expect(altered[name]).not.toEqual(before[name])
  await machine.ports.log.close()
  await rm(join(machine.folder, 'log'), { recursive: true })
  let databases = 0
  const progress: string[] = []
  const report = await run(ALL, {
    workers: 2,
    onProgress: (what, done, total) => {
      progress.push(`${what} ${done}/${total}`)
      const open = readdirSync(temporaryFolder()).filter((name) => name.startsWith('batch-'))
      databases = Math.max(databases, open.length)
    },
  })
  expect(databases).toBe(2)
  expect(report).toMatchObject({
    run: RUNS,
    runs: [{ run: 1 }, { run: 2 }, { run: 3 }],
    days: DAYS,
  })
  const files = report.runs.reduce((sum, one) => sum + one.files, 0)
  expect(progress).toEqual([
    ...Array.from({ length: files + 1 }, (_, done) => `files ${done}/${files}`),
    `days 0/${DAYS.length}`,
  ])
  expect(await tables()).toEqual(before)
  expect(await machine.names(REPLAYS_FOLDER)).toEqual([])
})

it('loads the runs of the days alone, and a repeat writes nothing', async () => {
  await machine.ports.objects.create(
    `${REPLAYS_FOLDER}of-a-killed-one/frames.parquet`,
    Buffer.of(1),
  )
  const before = await machine.tables()
  const [, toDate = ''] = DAYS
  const report = await run({ fromDate: toDate, toDate })
  expect(report).toMatchObject({ runs: [{ run: 2 }, { run: 3 }], days: [toDate] })
  const files = await machine.names('warehouse/')
  expect(await machine.tables()).toEqual(before)
  await clock.advance(1_000)
  expect(await run({ fromDate: toDate, toDate })).toEqual(report)
  expect(await machine.names('warehouse/')).toEqual(files)
  expect(await machine.names(REPLAYS_FOLDER)).toEqual([])
  expect(await run({ fromDate: '2025-01-01', toDate: '2025-01-31' })).toEqual({
    run: RUNS,
    runs: [],
    days: [],
  })
})

it('leaves no row of an incarnation that is another one since it was numbered again', async () => {
  const before = await tables()
  const keptLong = { ...DEFAULT_FOLD_LIMITS, sessionKeepMs: 10 * 3_600_000 }
  const incarnations = async (table: string) => {
    const rows = await machine.query(
      `SELECT DISTINCT session_id, incarnation FROM ${table} ORDER BY session_id, incarnation`,
    )
    return rows.map((row) => `${String(row['session_id'])}/${String(row['incarnation'])}`)
  }
  const numbered = await incarnations('events')
  await clock.advance(1_000)
  await run(ALL, { limits: keptLong })
  const fewer = await incarnations('events')
  expect(fewer.length).toBeLessThan(numbered.length)
  for (const table of ['sessions', 'session_minutes'])
    expect(await incarnations(table)).toEqual(fewer)
  const [sums] = await machine.query(`
    SELECT
      (SELECT SUM(events) FROM qoe_minute WHERE cut = 'total') AS of_minutes,
      (SELECT SUM(events) FROM session_minutes) AS of_session_minutes`)
  expect(sums?.['of_minutes']).toEqual(sums?.['of_session_minutes'])
  await clock.advance(1_000)
  await run()
  expect(await tables()).toEqual(before)
})

it('waits for a run that is half done', async () => {
  const { objects } = machine.ports
  const before = await machine.tables()
  await objects.create(cutName(RUNS + 1), Buffer.from('{}'))
  await expect(run()).rejects.toMatchObject({ code: 'BATCH_REPLAY_RUN_UNFINISHED' })
  expect(await machine.tables()).toEqual(before)
  await objects.delete(cutName(RUNS + 1))
})

it('ends with the code of a file that was altered, and leaves the rows and no leftovers', async () => {
  const { objects } = machine.ports
  const before = await machine.tables()
  const name = (await machine.names('raw/topic=playback.events/')).at(-1) ?? ''
  const stored = await objects.read(name)
  await objects.replace(name, Buffer.from('other'), stored?.info.generation ?? 0)
  await expect(run()).rejects.toMatchObject({ code: 'BATCH_RAW_FILE_DAMAGED' })
  expect(await machine.tables()).toEqual(before)
  expect(await machine.names(REPLAYS_FOLDER)).toEqual([])
})

it('keeps one row of a record that two runs have in their raw files', async () => {
  const filled = machine
  machine = await BatchMachine.open({ clock })
  try {
    const { log, objects, warehouse } = machine.ports
    await fillLog({ log, clock, partitions: PARTITIONS, seed: 1, turns: 12 })
    await machine.run()
    await alterRows(warehouse, { table: batchRuns.name, where: 'run = 1' })
    const stored = await objects.read(manifestName(1))
    const manifest = JSON.parse(Buffer.from(stored?.bytes ?? []).toString()) as object
    const spent = Buffer.from(JSON.stringify({ ...manifest, ranges: [], files: [] }))
    await objects.replace(manifestName(1), spent, stored?.info.generation ?? 0)
    await fillLog({ log, clock, partitions: PARTITIONS, seed: 2, turns: 12 })
    expect(await machine.run()).toMatchObject({ run: 2 })
    const before = await tables()
    await clock.advance(1_000)
    expect(await run()).toMatchObject({ runs: [{ run: 1 }, { run: 2 }] })
    expect(await tables()).toEqual(before)
    for (const table of ['frames', 'rejects', 'exceptions'])
      expect(
        before[table]?.some((row) => row['run'] === 1n),
        table,
      ).toBe(true)
  } finally {
    await machine.close()
    machine = filled
  }
})
