import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openFolderObjectStore } from '../../shared/objects/folder-object-store.ts'
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import { systemClock } from '../../shared/runtime/clock.ts'
import { openDuckDbWarehouse } from '../../shared/warehouse/duckdb-warehouse.ts'
import { allTables } from '../../shared/warehouse/tables.ts'
import type { Warehouse } from '../../shared/warehouse/warehouse.ts'
import { SqlShell } from './shell.ts'

const LIMITS = { maxRows: 100, timeoutMs: 60_000 }

describe('the SQL shell', () => {
  let folder: string
  let store: ObjectStore
  let warehouse: Warehouse
  let shell: SqlShell

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sql-shell-test-'))
    store = await openFolderObjectStore({ folder: join(folder, 'objects'), clock: systemClock })
    warehouse = await openDuckDbWarehouse({
      store,
      temporaryFolder: join(folder, 'temporary'),
      memoryMaxBytes: 200_000_000,
      threads: 1,
      clock: systemClock,
    })
    await warehouse.ensureTables(allTables)
    shell = new SqlShell({ warehouse, format: 'aligned', limits: LIMITS })
  })
  afterAll(async () => {
    await warehouse.close()
    await store.close()
    await rm(folder, { recursive: true })
  })

  const insertCheck = async (run: number): Promise<void> => {
    const session = await warehouse.open()
    await session.insertMissing({
      table: 'data_quality',
      select: {
        sql: `SELECT @run AS run, DATE '2026-03-01' AS run_date, 'late' AS check_name, 1 AS found,
          2 AS checked, FALSE AS flagged`,
        parameters: { run },
      },
      key: ['run'],
      dates: ['2026-03-01'],
      jobId: `check-${run}`,
    })
    await session.close()
  }

  it('collects a statement up to its semicolon and answers from the tables of the moment', async () => {
    await insertCheck(1)
    expect(await shell.line('SELECT run,')).toEqual({ text: '', failed: false, ended: false })
    expect(shell.continues).toBe(true)
    const first = await shell.line('  found FROM data_quality -- all\n;')
    expect(first.text.split('\n')).toEqual(['run | found', '----+------', '  1 |     1', '(1 row)'])
    expect(shell.continues).toBe(false)
    await insertCheck(2)
    expect((await shell.line('select count(*) as n from data_quality;')).text).toContain(
      '2\n(1 row)',
    )
  })

  it('lists tables, and the columns of one with what they mean', async () => {
    const tables = await shell.line('\\d')
    for (const { name, description } of allTables)
      expect(tables.text).toMatch(new RegExp(`${name} +\\| ${description}`))
    expect((await shell.run('SHOW TABLES')).text).toBe(tables.text)
    const columns = await shell.line('\\d sessions;')
    expect(columns.text).toMatch(/stall_ms +\| INT64 +\| Time in stalls, ms\./)
    expect(columns.text).toMatch(/startup_ms +\| INT64\? +\|/)
    expect(await shell.line('\\d nothing')).toMatchObject({
      failed: true,
      text: expect.stringContaining('There is no table nothing; there are batch_runs,') as string,
    })
    expect((await shell.run('DESCRIBE sessions')).text).toContain('stall_ms')
  })

  it('completes names of tables and columns', async () => {
    expect(shell.complete('SELECT * FROM qoe')).toEqual([[], 'qoe'])
    await shell.learn()
    expect(shell.complete('SELECT * FROM qoe')).toEqual([['qoe_minute'], 'qoe'])
    expect(shell.complete('\\d sess')[0]).toContain('sessions')
    expect(shell.complete('SELECT watch')).toEqual([['watched_ms'], 'watch'])
  })

  it.each([
    'DROP VIEW sessions',
    'DELETE FROM sessions WHERE TRUE',
    `COPY (SELECT 1) TO '/tmp/never.csv'`,
    'CREATE TABLE t AS SELECT 1 AS n',
    'EXPLAIN SELECT 1',
    `ATTACH '/tmp/never.db'`,
    'SET threads = 4',
    `SELECT * FROM read_text('/etc/hostname')`,
    'SELECT nothing FROM sessions',
  ])('refuses %s and goes on', async (sql) => {
    expect(await shell.line(`${sql};`)).toMatchObject({
      failed: true,
      text: expect.stringMatching(/^WAREHOUSE_QUERY_INVALID/) as string,
    })
    expect((await shell.line('SELECT 1 AS n;')).failed).toBe(false)
  })

  it('helps, forgets what has begun, runs what is left at the end, and ends', async () => {
    expect((await shell.line('\\?')).text).toContain('\\d TABLE')
    await shell.line('SELECT oops')
    shell.clear()
    await shell.line('SELECT 7 AS n')
    expect((await shell.end()).text).toContain('7')
    expect(await shell.end()).toEqual({ text: '', failed: false, ended: false })
    expect(await shell.line(';')).toEqual({ text: '', failed: false, ended: false })
    expect((await shell.line('\\q')).ended).toBe(true)
  })

  it('ends the statement that runs when it is told to', async () => {
    const endless = shell.run(
      'SELECT COUNT(*) AS n FROM range(10000000) AS a, range(10000000) AS b',
    )
    await expect.poll(() => shell.cancel()).toBe(true)
    expect(await endless).toEqual({ text: 'Cancelled.', failed: true, ended: false })
    expect(await shell.cancel()).toBe(false)
  })

  it('refuses a statement without an end', async () => {
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => shell.line('x'.repeat(100_000))),
    )
    expect(answers.at(-1)).toMatchObject({ failed: true })
    shell.clear()
  })
})
