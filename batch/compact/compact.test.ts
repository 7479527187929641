import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, test } from 'vitest'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DEFAULT_CUT_IDS, parseCut } from '../../shared/qoe/cuts.ts'
import { DEFAULT_FOLD_LIMITS } from '../../shared/qoe/fold.ts'
import { ManualClock } from '../../shared/runtime/clock.ts'
import {
  ArmedFailpoints,
  type FailpointName,
  noFailpoints,
} from '../../shared/runtime/failpoints.ts'
import { createTelemetryBase } from '../../shared/runtime/telemetry.ts'
import type { Row } from '../../shared/warehouse/warehouse.ts'
import { backfill } from '../backfill.ts'
import { eraseViewer } from '../erase/erase.ts'
import { COMPACTION_NAME } from '../object-names.ts'
import { archivedRecords, type LedgerEntry, readLedger } from '../raw-archive.ts'
import { rawLines } from '../raw-reader.ts'
import { readRunFile, readRunFiles } from '../run-files.ts'
import { createBatchTelemetry } from '../telemetry.ts'
import { configOf, PARTITIONS } from '../testing/batch-machine.ts'
import { CommandsOn } from '../testing/commands-on.ts'
import {
  closeEraseMachine as close,
  ERASED,
  ERASE_KEYRING,
  type EraseMachine as Opened,
  erasePartsOf,
  everything,
  NEW,
  OLD,
  openEraseMachine as open,
  VIEWER,
  watch,
} from '../testing/erase-machine.ts'
import { fillLog } from '../testing/scenario.ts'
import { compact, type CompactOptions, type CompactParts } from './compact.ts'

const DAY_MS = 86_400_000
const RUNS = 3
/** Holds some files of a test's runs, and not all of a day. */
const FILE_BYTES = 12_000
/** A machine under load takes its time for some hundred durable appends. */
const TIMEOUT_MS = 120_000

let root: string
let prepared: string
let nowMs: number

/** Two runs on the first day, and one on the next. */
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'backhaul-compact-'))
  prepared = join(root, 'prepared')
  const opened = await open(prepared, Date.parse('2026-03-01T02:00:00Z'))
  const { machine, clock } = opened
  for (let run = 1; run <= RUNS; run += 1) {
    await watch(opened, run)
    await fillLog({ log: machine.ports.log, clock, partitions: PARTITIONS, seed: run, turns: 10 })
    await machine.run()
    if (run > 1) await clock.advance(DAY_MS - (clock.nowMs() % DAY_MS) + 1)
  }
  // Both days are over in the log once something of a third is taken.
  await fillLog({ log: machine.ports.log, clock, partitions: PARTITIONS, seed: RUNS, turns: 2 })
  await machine.run()
  await opened.live.catchUp()
  nowMs = clock.nowMs()
  await close(opened)
  await writeFile(join(prepared, 'format.json'), '{"format":1}\n')
}, TIMEOUT_MS)
afterAll(() => rm(root, { recursive: true, force: true }))

function partsOf({ machine, clock }: Opened, changed: Partial<CompactParts> = {}): CompactParts {
  return {
    ...machine.ports,
    clock,
    config: configOf({ BATCH_COMPACT_FILE_BYTES: `${FILE_BYTES}` }),
    failpoints: noFailpoints,
    holder: 'test',
    ...changed,
  }
}

const compactOn = (opened: Opened, options: CompactOptions = {}) =>
  compact(partsOf(opened), options)

async function copied(name: string): Promise<string> {
  const folder = join(root, name)
  await cp(prepared, folder, { recursive: true })
  return folder
}

async function withSession<Result>(
  { machine }: Opened,
  work: (
    session: Awaited<ReturnType<Opened['machine']['ports']['warehouse']['open']>>,
  ) => Promise<Result>,
): Promise<Result> {
  const session = await machine.ports.warehouse.open()
  try {
    return await work(session)
  } finally {
    await session.close()
  }
}

const presentFiles = (opened: Opened): Promise<LedgerEntry[]> =>
  withSession(opened, (session) => readLedger(session))

/** Every line of every run's files, by what the run called them. */
async function linesOfRuns(opened: Opened): Promise<Map<string, string>> {
  const files = await withSession(opened, readRunFiles)
  const found = new Map<string, string>()
  for (const file of files) {
    const lines: string[] = []
    const bytes = await readRunFile(opened.machine.ports.objects, file)
    for await (const line of rawLines(file.present.file, bytes)) lines.push(line.toString())
    found.set(`${file.written.run} ${file.written.file}`, lines.join('\n'))
  }
  return found
}

/** Rows but those of the ledger and of who computed them last. */
async function rowsOf({ machine }: Opened): Promise<Record<string, readonly Row[]>> {
  const entries = Object.entries(await machine.tables())
    .filter(([name]) => name !== 'ledger')
    .map(([name, rows]) => [name, rows.map(({ run: _run, ...row }) => row)])
  return Object.fromEntries(entries) as Record<string, readonly Row[]>
}

describe('a compaction', () => {
  let folder: string
  let opened: Opened
  beforeEach(async () => {
    folder = await copied('one')
    opened = await open(folder, nowMs)
  })
  afterEach(async () => {
    await close(opened)
    await rm(folder, { recursive: true, force: true })
  })

  it('leaves fewer files with the same lines, and a ledger that says where they went', async () => {
    const [before, lines, rows] = [
      await presentFiles(opened),
      await linesOfRuns(opened),
      await rowsOf(opened),
    ]
    const days = await compactOn(opened)
    expect(days.map(({ day }) => day)).toEqual(['2026-03-01', '2026-03-02'])
    const after = await presentFiles(opened)
    const [files, joined] = [sum(days.map((day) => day.files)), sum(days.map((day) => day.joined))]
    expect(joined).toBeGreaterThan(PARTITIONS * 2)
    expect(after).toHaveLength(before.length - files + joined)
    const sizes = after.filter(({ joinedFiles }) => joinedFiles !== null).map(({ bytes }) => bytes)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(FILE_BYTES)
    const { machine } = opened
    expect(after.map(({ file }) => file).toSorted()).toEqual(
      (await machine.names('raw/')).toSorted(),
    )
    expect(await machine.names(COMPACTION_NAME)).toEqual([])
    expect(await linesOfRuns(opened)).toEqual(lines)
    expect(await rowsOf(opened)).toEqual(rows)
    const runsOfOne = await machine.query(`SELECT COUNT(DISTINCT o.run) AS n
      FROM ledger AS o JOIN ledger AS j ON j.sha256 = o.superseded_by GROUP BY j.file`)
    expect(runsOfOne.some(({ n }) => Number(n) > 1)).toBe(true)
  })

  it('does nothing when it is repeated, and when it is dry', async () => {
    const tables = await opened.machine.tables()
    const names = await opened.machine.names('')
    const foreseen = await compactOn(opened, { isDryRun: true })
    expect(await opened.machine.tables()).toEqual(tables)
    expect(await opened.machine.names('')).toEqual(names)
    const done = await compactOn(opened)
    expect(foreseen).toEqual(done.map((day) => ({ ...day, joinedBytes: null })))
    const joined = await opened.machine.tables()
    while ((await compactOn(opened)).length > 0);
    const atRest = await opened.machine.tables()
    expect(await compactOn(opened)).toEqual([])
    expect(await opened.machine.tables()).toEqual(atRest)
    expect(joined).not.toEqual(tables)
  })

  it('leaves days alone that are older than asked for, or not over', async () => {
    const days = await compactOn(opened, { fromDay: '2026-03-02' })
    expect(days.map(({ day }) => day)).toEqual(['2026-03-02'])
    const later = (await presentFiles(opened)).filter(({ file }) => !file.includes('dt=2026-03-02'))
    expect(later.every(({ joinedFiles }) => joinedFiles === null)).toBe(true)
  })

  it('is read through by a backfill, which loads each run as it was', async () => {
    const before = await rowsOf(opened)
    await compactOn(opened)
    const { machine, clock } = opened
    await withSession(opened, async (session) => {
      const dates = await machine.query('SELECT DISTINCT received_date AS day FROM events')
      await session.replaceRows({
        table: 'events',
        select: { sql: 'SELECT * FROM events WHERE run <> 2' },
        scope: ['run'],
        scopeSelect: { sql: 'SELECT DISTINCT run FROM events' },
        dates: dates.map(({ day }) => String(day)),
        jobId: 'lose',
      })
    })
    expect(await rowsOf(opened)).not.toEqual(before)
    await backfill(
      {
        ...machine.ports,
        clock,
        config: configOf({ BATCH_FACT_BUCKETS: '1' }),
        limits: DEFAULT_FOLD_LIMITS,
        cuts: DEFAULT_CUT_IDS.map(parseCut),
        telemetry: createBatchTelemetry(createTelemetryBase('silent')),
        holder: 'test',
        temporaryFolder: join(folder, 'temporary'),
        signal: new AbortController().signal,
        workers: 2,
        onProgress: () => undefined,
      },
      { fromDate: '2026-03-01', toDate: '2026-03-31' },
    )
    expect(await rowsOf(opened)).toEqual(before)
  })

  it('hides nothing from an erasure, before or after it', async () => {
    await compactOn(opened)
    const { proof } = await eraseViewer(erasePartsOf(opened), VIEWER)
    expect(proof.stagingFiles.length).toBeGreaterThan(0)
    const lines = await linesOfRuns(opened)
    await compactOn(opened)
    expect(await linesOfRuns(opened)).toEqual(lines)
    const text = await everything(opened)
    for (const gone of [NEW, OLD, ...ERASED]) expect(text.includes(gone), gone).toBe(false)
    expect(text).toContain('kept')
  })

  it('waits for an erasure that is half done, whose files it would take away', async () => {
    const failpoints = new ArmedFailpoints()
    failpoints.arm('erase.afterSomeRawFiles', fail)
    await expect(eraseViewer(erasePartsOf(opened, failpoints), VIEWER)).rejects.toThrow('killed')
    await expect(compactOn(opened)).rejects.toMatchObject({
      code: 'BATCH_COMPACT_ERASURE_UNFINISHED',
    })
    await eraseViewer(erasePartsOf(opened), VIEWER)
    expect(await compactOn(opened)).not.toEqual([])
  })

  it('takes no file from a reader without the lease', async () => {
    const stale = await presentFiles(opened)
    const recordsOf = async (entry: LedgerEntry) => {
      const offsets: number[] = []
      for await (const { offset } of archivedRecords(opened.machine.ports, entry))
        offsets.push(offset)
      return offsets
    }
    const before = await Promise.all(stale.map(recordsOf))
    await compactOn(opened)
    expect(await Promise.all(stale.map(recordsOf))).toEqual(before)
  })

  it('says by the command line what it does, and what became of a file', async () => {
    const file = (await presentFiles(opened)).at(0)?.file ?? ''
    await close(opened)
    const on = new CommandsOn(folder, new ManualClock(nowMs), {
      BACKHAUL_PSEUDONYM_KEYS: ERASE_KEYRING,
      BATCH_COMPACT_FILE_BYTES: `${FILE_BYTES}`,
    })
    const dry = await on.json('batch compact --dry-run')
    expect(dry).toMatchObject({
      code: 0,
      found: { isDryRun: true, days: [{ joinedBytes: null }, {}] },
    })
    const late = await on.json('batch compact --days 1')
    expect(late).toMatchObject({ found: { days: [{ day: '2026-03-02' }] } })
    const { code, output } = await on.run('batch compact')
    expect({ code, lines: output.split('\n').length }).toEqual({ code: 0, lines: 1 })
    expect(await on.json('verify')).toMatchObject({ code: 0, found: { faults: [] } })
    const shown = await on.run(`ledger show ${file}`)
    expect(shown.output).toContain(`joined of ${file}`)
    expect(shown.output).toMatch(/raw file {2}raw\/.*\njoined of/s)
    expect(shown.output).toContain('run       1, manifest batch/runs/0000000001/manifest.json')
    opened = await open(folder, nowMs)
  })
})

const STEPS: readonly (readonly [FailpointName, number])[] = [
  ['compact.afterPlan', 1],
  ['compact.afterSomeFiles', 1],
  ['compact.afterSomeFiles', 3],
  ['compact.afterLedger', 1],
  ['compact.afterSomeDeletions', 2],
  ['compact.afterPlan', 2],
  ['compact.afterLedger', 2],
]

/** Objects by name (of the warehouse and the lease nobody asks) and all rows. */
async function endOf({ machine }: Opened) {
  const names = (await machine.names('')).filter(
    (name) => !name.startsWith('warehouse/') && !name.startsWith('leases/'),
  )
  return { names, raw: await machine.rawFiles(), tables: await machine.tables() }
}

test(
  'cut off anywhere, twice, it is gone on with and ends in the same state',
  async () => {
    const undisturbed = await open(await copied('undisturbed'), nowMs)
    await compactOn(undisturbed)
    const expected = await endOf(undisturbed)
    await close(undisturbed)
    for (const [name, passing] of STEPS) {
      const folder = await copied(`${name}-${passing}`)
      for (let attempt = 0; attempt < 2; attempt += 1) {
        const opened = await open(folder, nowMs)
        // The second time nothing may be left that passes the step.
        const failpoints = failingAt(name, attempt === 0 ? passing : 1)
        const end = compact(partsOf(opened, { failpoints })).then(() => 'done', String)
        expect(await end, name).toMatch(attempt === 0 ? /killed/ : /done|killed/)
        await close(opened)
      }
      const opened = await open(folder, nowMs)
      await compactOn(opened)
      expect(await endOf(opened), `${name} ${passing}`).toEqual(expected)
      await close(opened)
      await rm(folder, { recursive: true, force: true })
    }
  },
  TIMEOUT_MS,
)

test(
  'cut off anywhere, it hides nothing from an erasure',
  async () => {
    for (const [name, passing] of STEPS.slice(1, 4)) {
      const folder = await copied(`erased-${name}-${passing}`)
      const opened = await open(folder, nowMs)
      const failpoints = failingAt(name, passing)
      await expect(compact(partsOf(opened, { failpoints })), name).rejects.toThrow('killed')
      await eraseViewer(erasePartsOf(opened), VIEWER)
      const text = await everything(opened)
      for (const gone of [NEW, OLD, ...ERASED]) expect(text.includes(gone), name).toBe(false)
      const files = (await presentFiles(opened)).map(({ file }) => file)
      expect(files.toSorted(), name).toEqual((await opened.machine.names('raw/')).toSorted())
      await close(opened)
      await rm(folder, { recursive: true, force: true })
    }
  },
  TIMEOUT_MS,
)

function failingAt(name: FailpointName, passing: number): ArmedFailpoints {
  const failpoints = new ArmedFailpoints()
  let left = passing
  failpoints.arm(name, () => {
    left -= 1
    if (left === 0) fail()
  })
  return failpoints
}

function fail(): never {
  throw new Error('killed')
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
