import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openFolderObjectStore } from '../../shared/objects/folder-object-store.ts'
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import { systemClock } from '../../shared/runtime/clock.ts'
import { openDuckDbWarehouse } from '../../shared/warehouse/duckdb-warehouse.ts'
import { tables } from '../../shared/warehouse/tables.ts'
import type { Warehouse } from '../../shared/warehouse/warehouse.ts'

describe('npm run sql', () => {
  let folder: string
  let store: ObjectStore
  let warehouse: Warehouse

  // The server's handles stay open while the command runs.
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sql-test-'))
    store = await openFolderObjectStore({ folder: join(folder, 'objects'), clock: systemClock })
    warehouse = await openDuckDbWarehouse({
      store,
      temporaryFolder: join(folder, 'temporary'),
      memoryMaxBytes: 200_000_000,
      threads: 1,
      clock: systemClock,
    })
    await warehouse.ensureTables([tables.dataQuality])
    const session = await warehouse.open()
    await session.insertMissing({
      table: 'data_quality',
      select: {
        sql: `SELECT 7 AS run, DATE '2026-03-01' AS run_date, 'late' AS check_name, 1 AS found,
          2 AS checked, FALSE AS flagged`,
      },
      key: ['run'],
      dates: ['2026-03-01'],
      jobId: 'check',
    })
  })
  afterEach(async () => {
    await warehouse.close()
    await store.close()
    await rm(folder, { recursive: true })
  })

  const run = async (arguments_: readonly string[], input = '', dataDir = folder) => {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts'), ...arguments_], {
      env: { ...process.env, BACKHAUL_DATA_DIR: dataDir, TMPDIR: folder },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    child.stdin.end(input)
    const [output, errors, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'exit'),
    ])
    return { output, errors, code: code as number | null }
  }

  it('answers a statement beside a running server, and leaves no folder behind', async () => {
    const sql = 'SELECT run, found FROM data_quality'
    expect(await run([sql])).toEqual({
      output: 'run | found\n----+------\n  7 |     1\n(1 row)\n',
      errors: '',
      code: 0,
    })
    expect((await run(['--csv', sql])).output).toBe('run,found\n7,1\n')
    expect((await run(['--json', sql])).output).toBe('{"run":7,"found":1}\n')
    expect((await readdir(folder)).filter((name) => name.startsWith('warehouse-'))).toEqual([])
  })

  it('answers statements one after another, and fails when one has failed', async () => {
    const good = await run(['--csv'], 'SELECT run\n  FROM data_quality;\nSELECT 2 AS n')
    expect(good).toEqual({ output: 'run\n7\nn\n2\n', errors: '', code: 0 })
    const bad = await run([], 'DROP VIEW data_quality;\nSELECT 3 AS n;\n\\q\nSELECT 4 AS n;\n')
    expect(bad).toMatchObject({ output: 'n\n-\n3\n(1 row)\n', code: 1 })
    expect(bad.errors).toContain('WAREHOUSE_QUERY_INVALID')
  })

  it('keeps to its limits of rows and refuses arguments that it does not know', async () => {
    const many = await run(['--max-rows', '1', 'SELECT 1 AS n UNION ALL SELECT 2 AS n'])
    expect(many).toMatchObject({ output: '', code: 1 })
    expect(many.errors).toContain('WAREHOUSE_QUERY_TOO_LARGE')
    for (const wrong of [['--nope'], ['--max-rows', '0'], ['--json', '--csv'], ['a', 'b']]) {
      const answer = await run(wrong)
      expect(answer).toMatchObject({ output: '', code: 2 })
      expect(answer.errors).toContain('npm run sql')
    }
  })

  it('names the setting when there is no data folder, and makes none', async () => {
    const answer = await run(['SELECT 1 AS n'], '', join(folder, 'nowhere'))
    expect(answer.code).toBe(1)
    expect(answer.errors).toContain('BACKHAUL_DATA_DIR')
    expect(await readdir(folder)).not.toContain('nowhere')
  })
})
