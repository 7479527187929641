/** A month of small days, rebuilt: as many statements as for one of them, and what the oracle says of the log. */
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { readRecord } from '../loadtest/oracle/read-record.ts'
import type { DecodedRecord } from '../shared/log/record.ts'
import { TOPICS } from '../shared/log/topics.ts'
import { DEFAULT_CUT_IDS, parseCut } from '../shared/qoe/cuts.ts'
import { DEFAULT_FOLD_LIMITS } from '../shared/qoe/fold.ts'
import { ManualClock } from '../shared/runtime/clock.ts'
import { createTelemetryBase } from '../shared/runtime/telemetry.ts'
import { backfill, type BackfillRange } from './backfill.ts'
import { createBatchTelemetry } from './telemetry.ts'
import { alterRows } from './testing/alter-rows.ts'
import { BatchMachine, configOf, PARTITIONS } from './testing/batch-machine.ts'
import { historyDifferences } from './testing/history-differences.ts'
import { MonthLog } from './testing/month-log.ts'

const DAYS = 30
const RUNS = 2
const CUTS = DEFAULT_CUT_IDS.map(parseCut)
/** The last session of the month goes on after it. */
const RANGE = { fromDate: '2026-03-01', toDate: '2026-03-31' }

let machine: BatchMachine
let clock: ManualClock

beforeAll(async () => {
  clock = new ManualClock(Date.parse('2026-03-01T00:00:00Z'))
  machine = await BatchMachine.open({ clock })
  const month = new MonthLog(machine.ports.log, clock)
  for (let day = 0; day < DAYS; day += 1) {
    await month.appendDay(day)
    if (day === DAYS / RUNS) await machine.run()
  }
  await month.end()
  await machine.run()
})
afterAll(() => machine.close())

it('is computed at once, of the events that the tables have, as the oracle says of the log', async () => {
  expect(await differences()).toEqual([])
  const { warehouse } = machine.ports
  await alterRows(warehouse, { table: 'qoe_minute', select: '* REPLACE (events + 1 AS events)' })
  const watched = '* REPLACE (watched_ms + 1 AS watched_ms)'
  await alterRows(warehouse, { table: 'sessions', select: watched })
  expect((await differences()).length).toBeGreaterThan(DAYS)
  const { report, progress } = await rebuild({ metricsOnly: true })
  expect(report).toMatchObject({ run: RUNS, runs: [] })
  expect(report.days).toHaveLength(DAYS + 1)
  expect(progress).toEqual(['files 0/0', `days 0/${DAYS + 1}`])
  expect(await differences()).toEqual([])
})

it('is loaded again where events are lost, in several workers', async () => {
  await alterRows(machine.ports.warehouse, { table: 'events', where: 'run = 2 AND seq > 0' })
  await rebuild({ metricsOnly: true })
  expect((await differences()).length).toBeGreaterThan(DAYS / RUNS)
  const { report, progress } = await rebuild()
  expect(report).toMatchObject({ run: RUNS, runs: [{ run: 1 }, { run: 2 }] })
  expect(progress.filter((line) => line.startsWith('days'))).toEqual([`days 0/${DAYS + 1}`])
  expect(await differences()).toEqual([])
})

async function rebuild(range: Pick<BackfillRange, 'metricsOnly'> = {}) {
  // Jobs that the tables do not know yet.
  await clock.advance(1_000)
  const progress: string[] = []
  const report = await backfill(
    {
      ...machine.ports,
      clock,
      config: configOf({}),
      limits: DEFAULT_FOLD_LIMITS,
      cuts: CUTS,
      telemetry: createBatchTelemetry(createTelemetryBase('silent')),
      holder: 'test',
      temporaryFolder: join(machine.folder, 'temporary'),
      signal: new AbortController().signal,
      workers: 2,
      onProgress: (what, done, total) => progress.push(`${what} ${done}/${total}`),
    },
    { ...RANGE, ...range },
  )
  return { report, progress }
}

/** What the tables say otherwise than the oracle does of the log, read back. */
async function differences(): Promise<string[]> {
  const places = [...Array(PARTITIONS).keys()]
  const records = await Promise.all(places.map(recordsOf))
  const partitions = new Map(places.map((place, index) => [place, records[index] ?? []]))
  const limits = DEFAULT_FOLD_LIMITS
  return historyDifferences(machine.ports.warehouse, { partitions, limits, cuts: CUTS })
}

async function recordsOf(partition: number): Promise<DecodedRecord[]> {
  const { records } = await machine.ports.log.read(TOPICS.events, partition, {
    fromOffset: 0,
    maxRecords: 10_000,
    maxBytes: 2 ** 26,
    waitMs: 0,
  })
  return records.map(readRecord)
}
