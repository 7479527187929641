import { afterEach, beforeEach, describe, expect, it, test } from 'vitest'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TOPICS } from '../../shared/log/topics.ts'
import { ArmedFailpoints, type FailpointName } from '../../shared/runtime/failpoints.ts'
import type { Row, Warehouse } from '../../shared/warehouse/warehouse.ts'
import { DATES_PER_WRITE } from '../limits.ts'
import { partFileName } from '../object-names.ts'
import { rawLines } from '../raw-reader.ts'
import { sha256Of } from '../run-objects.ts'
import { over } from '../testing/altered-port.ts'
import { PARTITIONS } from '../testing/batch-machine.ts'
import {
  closeEraseMachine as close,
  ERASED,
  ERASE_VIEW,
  type EraseMachine as Opened,
  erasePartsOf as partsOf,
  everything,
  LOG_RETENTION_MS,
  NEW,
  OLD,
  openEraseMachine as open,
  OTHER,
  prepareErasure as prepare,
  VIEWER,
  watch,
} from '../testing/erase-machine.ts'
import { eraseViewer } from './erase.ts'

/** A machine under load takes its time for a hundred durable appends. */
const BUILD_TIMEOUT_MS = 60_000

let root: string
let folder: string
let nowMs: number

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'backhaul-erase-'))
  folder = join(root, 'machine')
  nowMs = await prepare(folder)
}, BUILD_TIMEOUT_MS)
afterEach(() => rm(root, { recursive: true, force: true }))

describe('an erasure', () => {
  let opened: Opened
  beforeEach(async () => (opened = await open(folder, nowMs)))
  afterEach(() => close(opened))

  it('leaves nothing of the viewer, and everything of others', async () => {
    const { machine } = opened
    const before = await machine.tables()
    const leftover = 'batch/replays/of-a-killed-one/frames-00000.parquet'
    await machine.ports.objects.create(leftover, Buffer.from(NEW))
    const ofLateShard = partFileName(2, 'frames', 0, 9)
    await machine.ports.objects.create(ofLateShard, Buffer.from(NEW))
    expect(await everything(opened)).toContain(NEW)
    expect([await liveSessionsOf(NEW), await liveSessionsOf(OLD)]).toEqual([
      ['seen-new'],
      ['seen-old'],
    ])
    const { proof, proofName } = await eraseViewer(partsOf(opened), VIEWER)
    expect(await endedKeys()).toEqual(ERASED)
    const after = await machine.tables()
    const text = await everything(opened)
    for (const gone of [NEW, OLD, ...ERASED]) expect(text.includes(gone), gone).toBe(false)
    expect([await liveSessionsOf(NEW), await liveSessionsOf(OLD)]).toEqual([[], []])
    expect(text).toContain('kept')
    for (const [table, rows] of Object.entries(before)) {
      if (table === 'ledger') continue
      const others = rows.filter((row) => !ERASED.includes(String(row['session_id'])))
      expect(after[table], table).toEqual(others)
      expect(proof.rows[table] ?? 0, table).toBe(rows.length - others.length)
    }
    expect(proof).toMatchObject({ sessions: 2, pseudonyms: 2, views: [ERASE_VIEW] })
    expect(proof.rows).toMatchObject({ events: 4, frames: 4, sessions: 4, rejects: 4 })
    expect(proof.forgottenByMs.log).toBe(nowMs + LOG_RETENTION_MS)
    expect(await machine.names('erasures/')).toContain(proofName)
    for (const name of await machine.names('erasures/')) {
      const stored = await machine.ports.objects.read(name)
      expect(Buffer.from(stored?.bytes ?? []).toString()).not.toContain(VIEWER)
    }
  })

  it('has the ledger name old and new content, and keeps offsets dense', async () => {
    const { machine } = opened
    const { proof } = await eraseViewer(partsOf(opened), VIEWER)
    expect(proof.files.length).toBeGreaterThan(2)
    const ledger = await machine.query('SELECT * FROM ledger')
    for (const { name, sha256, replacedBy, replacedBySha256, erasedRecords } of proof.files) {
      const rowOf = (file: string) => ledger.find((row) => row['file'] === file)
      expect(rowOf(name)).toMatchObject({ sha256, superseded_by: replacedBySha256 })
      const row = rowOf(replacedBy)
      expect(row).toMatchObject({ sha256: replacedBySha256, supersedes: sha256 })
      expect(erasedRecords).toBeGreaterThan(0)
      const bytes = (await machine.ports.objects.read(replacedBy))?.bytes ?? Buffer.of()
      expect(sha256Of(bytes)).toBe(replacedBySha256)
      let next = Number(row?.['first_offset'])
      for await (const line of rawLines(replacedBy, bytes))
        expect((JSON.parse(line.toString()) as Row)['offset']).toBe(next++)
      expect(next).toBe(Number(row?.['last_offset']) + 1)
      expect(await machine.names(name)).toEqual([])
    }
    const current = ledger.filter((row) => row['superseded_by'] === null)
    expect(current.map((row) => String(row['file'])).toSorted()).toEqual(
      (await machine.names('raw/')).toSorted(),
    )
  })

  it('is heeded by the next run, which keeps time and offsets', async () => {
    await eraseViewer(partsOf(opened), VIEWER)
    await watch(opened, 3)
    const report = await opened.machine.run()
    expect(report.topics[0]?.counts).toMatchObject({ erased: 4, rows: 2 })
    const text = await everything(opened)
    for (const gone of [NEW, OLD, ...ERASED]) expect(text.includes(gone), gone).toBe(false)
    const { machine } = opened
    const rows = await machine.query(`SELECT seq FROM events WHERE session_id = 'kept'`)
    expect(rows).toHaveLength(4)
  })

  it('asked for again, removes what came since', async () => {
    await eraseViewer(partsOf(opened), VIEWER)
    await watch(opened, 3)
    // The fold still had the session: it writes its row again.
    const { view, sessionId } = { view: ERASE_VIEW, sessionId: 'seen-new' }
    await opened.live.catchUp()
    expect(await opened.live.speed.readSession(view, sessionId)).not.toEqual([])
    const again = await eraseViewer(partsOf(opened), VIEWER)
    expect(again.proofName).toContain('/0002-proof.json')
    expect(again.proof).toMatchObject({ sessions: 2, files: [], rows: { events: 0 } })
    expect(await opened.live.speed.readSession(view, sessionId)).toEqual([])
  })

  it('waits for a run that is half done, and then removes what it loaded', async () => {
    const failpoints = new ArmedFailpoints()
    failpoints.arm('batch.afterRawFiles', fail)
    await expect(opened.machine.run({ failpoints })).rejects.toThrow('killed')
    await expect(eraseViewer(partsOf(opened), VIEWER)).rejects.toMatchObject({
      code: 'BATCH_ERASE_RUN_UNFINISHED',
    })
    await opened.machine.run()
    const { proof } = await eraseViewer(partsOf(opened), VIEWER)
    expect(proof.rows).toMatchObject({ events: 6 })
    expect(await everything(opened)).not.toContain(NEW)
  })

  // Before the old raw files are gone, and when the keys are ended already.
  it.each(['erase.afterLedger', 'erase.afterSomeStagingFiles'] as const)(
    'cut off at %s is finished by that of another viewer',
    async (name) => {
      const failpoints = new ArmedFailpoints()
      failpoints.arm(name, fail)
      await expect(eraseViewer(partsOf(opened, failpoints), VIEWER)).rejects.toThrow('killed')
      await eraseViewer(partsOf(opened), OTHER)
      const names = await opened.machine.names('erasures/')
      expect(names.filter((one) => one.endsWith('-proof.json'))).toHaveLength(2)
      const { proofName, proof } = await eraseViewer(partsOf(opened), VIEWER)
      expect(proofName).toContain('/0002-proof.json')
      expect(proof.files).toEqual([])
      const text = await everything(opened)
      for (const gone of [NEW, OLD, ...ERASED, 'kept'])
        expect(text.includes(gone), gone).toBe(false)
      const present = await opened.machine.query(
        'SELECT file FROM ledger WHERE superseded_by IS NULL',
      )
      expect(present.map(({ file }) => String(file)).toSorted()).toEqual(
        (await opened.machine.names('raw/')).toSorted(),
      )
    },
  )

  it('goes over more dates than one write may name, and on when it is cut off between writes', async () => {
    const { warehouse } = opened.machine.ports
    const session = await warehouse.open()
    await session.insertMissing({
      table: 'events',
      select: {
        sql: `SELECT * REPLACE (CAST('2060-01-01' AS DATE) AS received_date, seq + 100 AS seq)
FROM events
WHERE session_id = 'seen-new'`,
      },
      key: ['session_id', 'incarnation', 'seq'],
      dates: ['2060-01-01'],
      jobId: 'years-later',
    })
    await session.close()
    let writes = 0
    const altered: Warehouse = over(warehouse, {
      open: async () => {
        const inner = await warehouse.open()
        return over(inner, {
          query: async (select, limits) => {
            const rows = await inner.query(select, limits)
            return isDays(select.sql) ? [...rows, ...DAYS_BETWEEN] : rows
          },
          replaceRows: async (request) => {
            if (request.table === 'events' && (writes += 1) > 1) fail()
            return inner.replaceRows(request)
          },
        })
      },
    })
    const parts = partsOf(opened)
    await expect(eraseViewer({ ...parts, warehouse: altered }, VIEWER)).rejects.toThrow('killed')
    expect(await eventsOf('seen-new')).toBe(2)
    await eraseViewer(parts, VIEWER)
    expect(await eventsOf('seen-new')).toBe(0)
  })

  /** Keys of the records without a value in the topic of closed sessions. */
  async function endedKeys(): Promise<string[]> {
    const { log } = opened.machine.ports
    const request = { fromOffset: 0, maxRecords: 99, maxBytes: 2 ** 20, waitMs: 0 }
    const reads = [...Array(PARTITIONS).keys()].map((n) => log.read(TOPICS.sessions, n, request))
    const records = (await Promise.all(reads)).flatMap((read) => read.records)
    return records.flatMap(({ key, value }) => (value.length === 0 ? [`${key}`] : [])).toSorted()
  }

  async function liveSessionsOf(viewerPseudonym: string): Promise<string[]> {
    const range = { fromMs: 0, toMs: nowMs + 1, limit: 9 }
    const { speed } = opened.live
    const rows = await speed.readViewerSessions({ view: ERASE_VIEW, viewerPseudonym, ...range })
    return [...new Set(rows.map(({ sessionId }) => sessionId))]
  }

  async function eventsOf(sessionId: string): Promise<number> {
    const rows = await opened.machine.query(
      `SELECT seq FROM events WHERE session_id = '${sessionId}'`,
    )
    return rows.length
  }

  it('of a viewer that nobody has seen removes nothing', async () => {
    const before = await everything(opened)
    const { proof } = await eraseViewer(partsOf(opened), 'nobody')
    expect(proof).toMatchObject({ sessions: 0, files: [], stagingFiles: [] })
    expect(await everything(opened)).toBe(before)
  })
})

/** As many days as a write may name, between the first of the events and the last. */
const DAYS_BETWEEN: readonly Row[] = Array.from({ length: DATES_PER_WRITE }, (_, index) => ({
  day: new Date(Date.UTC(2058, 0, 1 + index)).toISOString().slice(0, 10),
}))

function isDays(sql: string): boolean {
  return sql.startsWith('SELECT DISTINCT received_date AS day\nFROM events\n')
}

function fail(): never {
  throw new Error('killed')
}

/** Objects by name and hash (of proofs and the warehouse only the names of tables), and all rows. */
async function endOf(opened: Opened) {
  const { machine, live } = opened
  const objects: Record<string, string> = {}
  for (const name of await machine.names('')) {
    if (name.startsWith('warehouse/')) continue
    const bytes = (await machine.ports.objects.read(name))?.bytes ?? Buffer.of()
    objects[name] = sha256Of(bytes)
  }
  const sessions = await live.speed.readSessions(ERASE_VIEW, { limit: 99 })
  return { objects, sessions, tables: await machine.tables() }
}

const STEPS: readonly (readonly [FailpointName, number])[] = [
  ['erase.afterRecord', 1],
  ['erase.afterPlan', 1],
  ['erase.afterSomeRawFiles', 2],
  ['erase.afterLedger', 1],
  ['erase.afterSomeOldFiles', 1],
  ['erase.afterSomeTables', 1],
  ['erase.afterSomeTables', 5],
  ['erase.afterSomeLiveRows', 1],
  ['erase.afterSomeStagingFiles', 1],
]

test('cut off anywhere, twice, it is gone on with and ends in the same state', async () => {
  const undisturbed = join(root, 'undisturbed')
  await cp(folder, undisturbed, { recursive: true })
  const gold = await open(undisturbed, nowMs)
  await eraseViewer(partsOf(gold), VIEWER)
  const expected = await endOf(gold)
  await close(gold)
  for (const [name, passing] of STEPS) {
    const copy = join(root, `${name}-${passing}`)
    await cp(folder, copy, { recursive: true })
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const opened = await open(copy, nowMs)
      const failpoints = new ArmedFailpoints()
      let left = passing
      failpoints.arm(name, () => {
        left -= 1
        if (left === 0) fail()
      })
      await expect(eraseViewer(partsOf(opened, failpoints), VIEWER), name).rejects.toThrow('killed')
      await close(opened)
    }
    const opened = await open(copy, nowMs)
    await eraseViewer(partsOf(opened), VIEWER)
    expect(await endOf(opened), name).toEqual(expected)
    await close(opened)
    await rm(copy, { recursive: true, force: true })
  }
}, 120_000)
