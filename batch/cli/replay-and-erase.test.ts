import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { acquireLease } from '../../shared/objects/lease.ts'
import { ManualClock } from '../../shared/runtime/clock.ts'
import { allTables } from '../../shared/warehouse/tables.ts'
import type { Row } from '../../shared/warehouse/warehouse.ts'
import { LEASE_NAME } from '../object-names.ts'
import type { RowsDifference } from '../table-rows.ts'
import { CommandsOn, expectRefusal } from '../testing/commands-on.ts'
import {
  closeEraseMachine,
  ERASED,
  type EraseMachine,
  ERASE_KEYRING,
  ERASE_VIEW,
  everything,
  NEW,
  OLD,
  openEraseMachine,
  prepareErasure,
  VIEWER,
} from '../testing/erase-machine.ts'

/** A machine under load takes its time for a hundred durable appends. */
const BUILD_TIMEOUT_MS = 120_000
/** Many commands one after another. */
const TIMEOUT_MS = 120_000
const VIEW = 'after-the-fix'
const RANGE = 'playback.events/0@0-3'

let folder: string
let clock: ManualClock
let on: CommandsOn

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'backhaul-cli-'))
  clock = new ManualClock(await prepareErasure(folder))
  await writeFile(join(folder, 'format.json'), '{"format":1}\n')
  on = new CommandsOn(folder, clock, { BACKHAUL_PSEUDONYM_KEYS: ERASE_KEYRING })
}, BUILD_TIMEOUT_MS)
afterAll(() => rm(folder, { recursive: true, force: true }))

async function opened<Result>(action: (machine: EraseMachine) => Promise<Result>): Promise<Result> {
  const machine = await openEraseMachine(folder, clock.nowMs())
  try {
    return await action(machine)
  } finally {
    await closeEraseMachine(machine)
  }
}

/** Without the number of the run that computed a row last. */
async function tables(): Promise<Record<string, readonly Row[]>> {
  const found = await opened(({ machine }) => machine.tables())
  const entries = Object.entries(found).map(([name, rows]) => [
    name,
    rows.map(({ run: _run, ...row }) => row),
  ])
  return Object.fromEntries(entries) as Record<string, readonly Row[]>
}

/** Puts other rows in the place of those that a table has of the first run. */
function alterRun({ machine }: EraseMachine, table: string, select: string): Promise<void> {
  return machine.ports.warehouse.open().then(async (session) => {
    const days = await machine.query(`SELECT DISTINCT received_date AS day FROM ${table}`)
    await session.replaceRows({
      table,
      select: { sql: select },
      scope: ['run'],
      scopeSelect: { sql: 'SELECT CAST(1 AS INT64) AS run' },
      dates: days.map((row) => String(row['day'])),
      jobId: `alter-${table}-${clock.nowMs()}`,
    })
    await session.close()
  })
}

function loseRun(machine: EraseMachine, table: string): Promise<void> {
  return alterRun(machine, table, `SELECT * FROM ${table} WHERE FALSE`)
}

const viewIds = (view: string): Promise<string[]> =>
  opened(async ({ live }) =>
    (await live.speed.readSessions(view, { limit: 99 })).map(({ sessionId }) => sessionId),
  )

test('replay --range puts rows of an archived range back, and again changes nothing', async () => {
  const before = await tables()
  await opened(async (machine) => {
    for (const table of ['events', 'frames']) await loseRun(machine, table)
  })
  expect(await tables()).not.toEqual(before)
  for (let time = 0; time < 2; time += 1) {
    await clock.advance(1_000)
    const { code, found } = await on.json(`replay --range ${RANGE}`)
    expect(code).toBe(0)
    expect(found).toEqual({
      runs: [
        {
          run: 1,
          files: expect.any(Number) as number,
          events: expect.any(Number) as number,
          copies: expect.any(Number) as number,
        },
      ],
    })
    expect(await tables()).toEqual(before)
  }
  expect((await on.run(`replay --range ${RANGE}`)).output).toMatch(
    /^Run 1: \d+ files, \d+ events and \d+ other copies in the tables\.$/,
  )
})

test(
  'verify names the rows that a table has lost or has twice, and what brings them back',
  async () => {
    const verified = async () => {
      const { code, found } = await on.json('verify')
      return { code, ...(found['tables'] as { differences: (RowsDifference & object)[] }) }
    }
    const before = await tables()
    expect(await verified()).toEqual({ code: 0, compared: true, differences: [] })
    const lost = 'SELECT * FROM events WHERE run = 1 AND NOT (log_partition = 0 AND log_offset = 0)'
    const columns = allTables.find(({ name }) => name === 'events')?.columns ?? []
    const again = columns.map(({ name }) => (name === 'seq' ? 'seq + 1000 AS seq' : name))
    const ofRun = 'FROM events WHERE run = 1'
    const twice = `SELECT * ${ofRun} UNION ALL SELECT ${again.join(', ')} ${ofRun} AND log_partition = 1`
    for (const select of [lost, twice]) {
      await clock.advance(1_000)
      await opened((machine) => alterRun(machine, 'events', select))
      const { code, differences } = await verified()
      expect(code).toBe(1)
      const [difference] = differences
      expect(difference).toMatchObject({ code: 'BATCH_TABLE_ROWS_DIFFER', run: 1 })
      expect(difference?.tables).toEqual(['events', 'event_copies', 'late_events'])
      const { output } = await on.run('verify')
      expect(output).toContain(`BATCH_TABLE_ROWS_DIFFER: `)
      expect(output).toContain(`${difference?.command}`)
      const command = difference?.command.replace('npx backhaul ', '') ?? ''
      expect((await on.run(command)).code).toBe(0)
      expect(await verified()).toEqual({ code: 0, compared: true, differences: [] })
      expect(await tables()).toEqual(before)
    }
  },
  TIMEOUT_MS,
)

test('replay --range says that a range which the log alone holds is for a run', async () => {
  const refused = await on.run('replay --range playback.events/0@100000-200000')
  expectRefusal(refused, 1, 'BATCH_REPLAY_NOTHING')
  expect(refused.errors).toContain('npx backhaul batch run')
})

test('replay --view fills a fresh view once, from files and the log', async () => {
  const { code, found } = await on.json(`replay --view ${VIEW}`)
  const partitions = found['partitions'] as Record<string, number>[]
  expect({ code, view: found['view'] }).toEqual({ code: 0, view: VIEW })
  expect(partitions).toHaveLength(2)
  for (const { archived, fromLog, minuteRows, sessionRows } of partitions)
    for (const count of [archived, fromLog, minuteRows, sessionRows])
      expect(count).toBeGreaterThan(0)
  expect(await viewIds(VIEW)).toEqual(expect.arrayContaining([...ERASED, 'kept']))
  for (const taken of [VIEW, ERASE_VIEW])
    expectRefusal(await on.run(`replay --view ${taken}`), 1, 'BATCH_REPLAY_VIEW_TAKEN')
})

test('replay --view --range fills a view from these offsets alone', async () => {
  const { code, found } = await on.json('replay --view those-alone --range playback.events/1@1-3')
  expect({ code, found }).toMatchObject({
    code: 0,
    found: { partitions: [{ partition: 1, archived: 3, fromLog: 0, nextOffset: 4 }] },
  })
  expect(on.shown.at(-1)).toBe('records 3/3')
  expect((await viewIds('those-alone')).length).toBeLessThan((await viewIds(VIEW)).length)
  const beyond = await on.run('replay --view beyond --range playback.events/0@0-100000')
  expectRefusal(beyond, 1, 'BATCH_REPLAY_GAP')
  const rejects = await on.run('replay --view rejects --range playback.rejects/0@0-1')
  expectRefusal(rejects, 2, 'CLI_USAGE_INVALID')
})

test('replay, backfill and erase are refused while a run holds the lease, and verify counts no rows', async () => {
  await opened(async ({ machine }) => {
    const name = LEASE_NAME
    const request = { name, holder: 'another', durationMs: 60_000, clock }
    const lease = await acquireLease(machine.ports.objects, request)
    try {
      for (const line of [
        `replay --range ${RANGE}`,
        'backfill --from 2027-01-15 --to 2027-01-15',
        'erase --viewer nobody-yet',
      ])
        expectRefusal(await on.run(line), 3, 'LEASE_HELD')
      const verified = await on.json('verify')
      expect(verified).toMatchObject({ code: 0, found: { tables: { compared: false } } })
    } finally {
      await lease.release()
    }
  })
})

test('erase of a viewer nobody has seen says so, with a proof', async () => {
  const before = await tables()
  const { code, found } = await on.json('erase --viewer nobody-knows-me')
  expect({ code, found }).toMatchObject({
    code: 0,
    found: { proof: { sessions: 0, files: [], stagingFiles: [] } },
  })
  expect((await on.run('erase --viewer nobody-else')).output).toContain('0 sessions forgotten')
  expect(await tables()).toEqual(before)
})

test(
  'erase forgets the viewer everywhere, and no other command brings anything back',
  async () => {
    const [earlier, later] = ['before-the-erasure', 'after-the-erasure']
    expect((await on.run(`replay --view ${earlier}`)).code).toBe(0)
    expect(await viewIds(earlier)).toEqual(expect.arrayContaining([...ERASED, 'kept']))
    const { code, found } = await on.json(`erase --viewer ${VIEWER}`)
    expect(code).toBe(0)
    expect(found).toMatchObject({
      proofName: expect.stringMatching(/^erasures\/[0-9a-f]{64}\/0001-proof\.json$/) as string,
      proof: { pseudonyms: 2, sessions: ERASED.length, rows: { events: 4, frames: 4 } },
    })
    expect(JSON.stringify(found)).not.toContain(VIEWER)
    expect(on.shown.at(-1)).toMatch(/^files (\d+)\/\1$/)
    expect(await viewIds(earlier)).toContain('kept')
    for (const line of [
      `replay --range ${RANGE}`,
      'backfill --from 2027-01-01 --to 2027-01-31 --parallel 2',
      'batch run',
      `replay --view ${later}`,
      'verify',
    ]) {
      await clock.advance(1_000)
      expect(await on.run(line), line).toMatchObject({ code: 0, errors: '' })
      const text = await opened(everything)
      for (const gone of [NEW, OLD, ...ERASED])
        expect(text.includes(gone), `${line} ${gone}`).toBe(false)
      for (const view of [ERASE_VIEW, earlier, later])
        expect(await viewIds(view)).not.toEqual(
          expect.arrayContaining([expect.stringMatching('seen')]),
        )
    }
    const again = await on.run(`erase --viewer ${VIEWER}`)
    expect(again).toMatchObject({ code: 0, errors: '' })
    expect(again.output).toContain('0002-proof.json')
  },
  TIMEOUT_MS,
)

test('batch run and reconcile say how far they are', async () => {
  on.shown.length = 0
  await on.run('batch run')
  expect(on.shown.slice(0, 2)).toEqual(['control 0/8', 'cut 1/8'])
  await on.run('reconcile')
  expect(on.shown).toContainEqual(expect.stringMatching(/^minutes ([1-9]\d*)\/\1$/))
})
