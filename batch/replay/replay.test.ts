import { afterEach, beforeEach, expect, it } from 'vitest'
import { TOPICS } from '../../shared/log/topics.ts'
import { DEFAULT_CUT_IDS, parseCut } from '../../shared/qoe/cuts.ts'
import { DEFAULT_FOLD_LIMITS } from '../../shared/qoe/fold.ts'
import { ManualClock } from '../../shared/runtime/clock.ts'
import { ArmedFailpoints } from '../../shared/runtime/failpoints.ts'
import { createTelemetryBase } from '../../shared/runtime/telemetry.ts'
import type { Row } from '../../shared/warehouse/warehouse.ts'
import { createBatchTelemetry } from '../telemetry.ts'
import { BatchMachine, configOf, PARTITIONS } from '../testing/batch-machine.ts'
import { LIVE_VIEW, LiveSide, ROW_RETENTION_MS } from '../testing/live-side.ts'
import { fillLog } from '../testing/scenario.ts'
import { replayIntoTables } from './into-tables.ts'
import { replayIntoView, type ReplayViewParts } from './into-view.ts'

/** A machine under load takes its time for a hundred durable appends. */
const BUILD_TIMEOUT_MS = 60_000
const VIEW = 'again'
const limits = DEFAULT_FOLD_LIMITS
const cuts = DEFAULT_CUT_IDS.map(parseCut)
let clock: ManualClock
let machine: BatchMachine
let live: LiveSide

beforeEach(async () => {
  clock = new ManualClock()
  machine = await BatchMachine.open({ clock })
  const { log } = machine.ports
  const partitions = PARTITIONS
  live = await LiveSide.open({ folder: machine.folder, log, clock, partitions, limits, cuts })
  for (const seed of [1, 2, 3]) {
    await fillLog({ log, clock, partitions, seed, turns: 15 })
    // The last part of the log is in no raw file yet.
    if (seed < 3) await machine.run()
  }
  await live.catchUp()
}, BUILD_TIMEOUT_MS)
afterEach(async () => {
  await live.close()
  await machine.close()
})

const viewParts = (): ReplayViewParts => ({
  ...machine.ports,
  speed: live.speed,
  config: configOf({}),
  limits,
  cuts,
  liveView: LIVE_VIEW,
  rowRetentionMs: ROW_RETENTION_MS,
  // Rows are written many times over, and the last word is the live view's.
  recordsPerWrite: 7,
})

const textOf = (row: object): string =>
  JSON.stringify(row, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value))

/** All rows of a view but its name. */
async function rowsOf(view: string) {
  const sessions = await live.speed.readSessions(view, { limit: 1_000 })
  const minutes = []
  const positions = []
  for (const { id: cut } of cuts)
    minutes.push(
      ...(await live.speed.readMinutes({
        view,
        cut,
        fromMs: 0,
        toMs: Number.MAX_SAFE_INTEGER,
        limit: 100_000,
      })),
    )
  for (const session of sessions)
    positions.push(...(await live.speed.readPositions(session, 0, 1_000)))
  return [sessions, minutes, positions].map((rows: readonly object[]) =>
    // The store has an order of its own in every view.
    rows.map((row) => ({ ...row, view: '' })).toSorted((a, b) => (textOf(a) < textOf(b) ? -1 : 1)),
  )
}

it('fills a fresh view with rows that equal the live ones to the integer', async () => {
  const replayed = await replayIntoView(viewParts(), VIEW)
  expect(replayed.every(({ archived, fromLog }) => archived > 0 && fromLog > 0)).toBe(true)
  const [sessions, minutes, positions] = await rowsOf(VIEW)
  expect([sessions, minutes, positions]).toEqual(await rowsOf(LIVE_VIEW))
  expect(sessions?.length).toBeGreaterThan(5)
  expect(minutes?.length).toBeGreaterThan(50)
  for (const view of [VIEW, LIVE_VIEW])
    await expect(replayIntoView(viewParts(), view)).rejects.toMatchObject({
      code: 'BATCH_REPLAY_VIEW_TAKEN',
    })
})

it('fills a view from a range alone, in files and the log, and refuses what is not all there', async () => {
  const [whole] = await replayIntoView(viewParts(), VIEW)
  const { archived = 0, fromLog = 0, nextOffset: end = 0 } = whole ?? {}
  const fill = (view: string, fromOffset: number, toOffset: number) =>
    replayIntoView(viewParts(), view, { partition: 0, fromOffset, toOffset })

  expect(await fill('one-partition', 0, end)).toEqual([whole])
  const rows = await rowsOf('one-partition')
  for (const [index, all] of (await rowsOf(LIVE_VIEW)).entries()) {
    expect(all).toEqual(expect.arrayContaining(rows[index] ?? []))
    expect(rows[index]?.length).toBeLessThan(all.length)
    expect(rows[index]?.length).toBeGreaterThan(0)
  }

  const across = { partition: 0, archived: archived - 1, fromLog: fromLog - 1, nextOffset: end - 1 }
  expect(await fill('across', 1, end - 1)).toMatchObject([across])
  const inFiles = { archived: archived - 3, fromLog: 0, nextOffset: archived - 1 }
  expect(await fill('in-files', 2, archived - 1)).toMatchObject([inFiles])
  const inLog = { archived: 0, fromLog: fromLog - 2, nextOffset: end - 1 }
  expect(await fill('in-the-log', archived + 1, end - 1)).toMatchObject([inLog])
  expect((await live.speed.readPartitions('in-the-log')).length).toBe(1)

  await expect(fill('beyond', 0, end + 1)).rejects.toMatchObject({ code: 'BATCH_REPLAY_GAP' })
  const nowhere = { partition: PARTITIONS, fromOffset: 0, toOffset: 1 }
  await expect(replayIntoView(viewParts(), 'nowhere', nowhere)).rejects.toMatchObject({
    code: 'BATCH_REPLAY_GAP',
  })
})

it('refuses a file that was altered, and leaves the view unfinished', async () => {
  const { objects } = machine.ports
  const [name = ''] = await machine.names('raw/topic=playback.events/')
  const stored = await objects.read(name)
  await objects.replace(name, Buffer.from('other'), stored?.info.generation ?? 0)
  await expect(replayIntoView(viewParts(), VIEW)).rejects.toMatchObject({
    code: 'BATCH_RAW_FILE_DAMAGED',
  })
  expect(await live.speed.readPartitions(VIEW)).toEqual([])
  const range = { partition: 1, fromOffset: 0, toOffset: 1 }
  await expect(replayIntoView(viewParts(), VIEW, range)).rejects.toMatchObject({
    code: 'BATCH_REPLAY_VIEW_TAKEN',
  })
})

const withoutRun = (tables: Record<string, readonly Row[]>) =>
  Object.fromEntries(
    Object.entries(tables).map(([name, rows]) => [
      name,
      name === 'batch_runs' || name === 'ledger' ? rows : rows.map(({ run: _run, ...row }) => row),
    ]),
  )

it('brings lost rows of the tables back, and changes none that are there', async () => {
  const before = await machine.tables()
  const session = await machine.ports.warehouse.open()
  const [day] = await machine.query('SELECT DISTINCT received_date AS day FROM events')
  const lost = 'SELECT DISTINCT session_id FROM events WHERE run = 1'
  for (const table of ['events', 'event_copies', 'frames'])
    await session.replaceRows({
      table,
      select: { sql: `SELECT * FROM ${table} WHERE run <> 1 AND session_id IN (${lost})` },
      scope: ['session_id'],
      scopeSelect: { sql: lost },
      dates: [String(day?.['day'])],
      jobId: `lose-${table}`,
    })
  await session.close()
  expect((await machine.tables())['events']?.length).toBeLessThan(before['events']?.length ?? 0)
  const parts = {
    ...machine.ports,
    clock,
    config: configOf({ BATCH_FACT_BUCKETS: '1' }),
    limits,
    cuts,
    telemetry: createBatchTelemetry(createTelemetryBase('silent')),
    holder: 'test',
    temporaryFolder: `${machine.folder}/temporary`,
  }
  const range = { topic: TOPICS.events, partition: 0, fromOffset: 0, toOffset: 5 }
  for (let time = 0; time < 2; time += 1) {
    const replayed = await replayIntoTables(parts, range)
    expect(replayed).toMatchObject([{ run: 1 }])
    expect(withoutRun(await machine.tables())).toEqual(withoutRun(before))
    expect(await machine.names('batch/replays/')).toEqual([])
    await clock.advance(1_000)
  }
  const failpoints = new ArmedFailpoints()
  failpoints.arm('batch.afterSomeFacts', () => {
    throw new Error('killed')
  })
  await expect(machine.run({ failpoints })).rejects.toThrow('killed')
  await expect(replayIntoTables(parts, range)).rejects.toMatchObject({
    code: 'BATCH_REPLAY_RUN_UNFINISHED',
  })
  await machine.run()
  const beyond = { ...range, fromOffset: 1_000_000, toOffset: 2_000_000 }
  await expect(replayIntoTables(parts, beyond)).rejects.toMatchObject({
    code: 'BATCH_REPLAY_NOTHING',
  })
})
