import { mkdtemp, readdir, readFile, rm, truncate, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openFolderObjectStore } from '../objects/folder-object-store.ts'
import { objectErrors } from '../objects/object-errors.ts'
import type { ObjectStore } from '../objects/object-store.ts'
import { ManualClock, systemClock } from '../runtime/clock.ts'
import { ArmedFailpoints } from '../runtime/failpoints.ts'
import { openDuckDbWarehouse } from './duckdb-warehouse.ts'
import {
  FILES_PER_DATE_MAX,
  JOBS_REMEMBERED,
  ROW_GROUP_ROWS,
  RETIRED_KEEP_MS,
  SESSION_MAX_MS,
} from './duckdb-limits.ts'
import { allTables } from './tables.ts'
import type { Warehouse, WarehouseSession } from './warehouse.ts'
import {
  describeWarehouse,
  LIMITS,
  type Play,
  plays,
  playsOf,
  selectOf,
  type WarehouseHarness,
} from './warehouse.contract.ts'
import {
  changedManifest,
  decodeManifest,
  emptyManifest,
  manifestName,
  type Manifest,
} from './warehouse-manifest.ts'

const MEMORY = { memoryMaxBytes: 200_000_000, threads: 1 }

describeWarehouse('the DuckDB warehouse over files in place', () => createHarness((store) => store))
describeWarehouse('the DuckDB warehouse over objects brought', () =>
  createHarness((store) => withoutFiles(store)),
)

describe('the DuckDB warehouse', () => {
  const DAY = '2026-03-01'
  let folder: string
  let clock: ManualClock
  let store: ObjectStore
  let failpoints: ArmedFailpoints
  let warehouse: Warehouse
  let session: WarehouseSession
  let jobs: number

  beforeEach(async () => {
    // A folder that would be taken for a column of the table.
    folder = join(await mkdtemp(join(tmpdir(), 'warehouse-test-')), 'n=7')
    clock = new ManualClock(systemClock.nowMs())
    store = await openFolderObjectStore({ folder: join(folder, 'objects'), clock })
    failpoints = new ArmedFailpoints()
    warehouse = await openDuckDbWarehouse({
      store,
      temporaryFolder: join(folder, 'temporary'),
      ...MEMORY,
      clock,
      failpoints,
    })
    await warehouse.ensureTables([plays])
    session = await warehouse.open()
    jobs = 0
  })
  afterEach(async () => {
    await warehouse.close()
    await store.close()
    await rm(join(folder, '..'), { recursive: true })
  })

  const insert = (rows: readonly Play[], jobId = `job-${++jobs}`) =>
    session.insertMissing({
      table: 'plays',
      select: selectOf(rows),
      key: plays.key,
      dates: [DAY],
      jobId,
    })
  const replaceAll = (n: number) =>
    session.replaceRows({
      table: 'plays',
      select: { sql: 'SELECT day, id, cdn, @n AS n FROM plays', parameters: { n } },
      scope: ['id'],
      scopeSelect: { sql: 'SELECT id FROM plays' },
      dates: [DAY],
      jobId: `job-${++jobs}`,
    })
  const manifest = async (): Promise<Manifest> => {
    const object = await store.read(manifestName('plays'))
    return decodeManifest('plays', object?.bytes ?? Buffer.of())
  }
  const objects = async (): Promise<string[]> =>
    (await store.list('warehouse/files/', { limit: 1_000 })).map(({ name }) => name)
  const pathOf = async (index: number): Promise<string> => {
    const file = (await manifest()).files[index]
    return store.local?.path(file ?? { name: '', generation: 0 }) ?? ''
  }

  it('names in its manifest every file with its date, rows, bytes and hash', async () => {
    await insert([
      { day: DAY, id: 'a' },
      { day: DAY, id: 'b' },
    ])
    const { files } = await manifest()
    expect(files).toMatchObject([{ date: DAY, rows: 2, columns: 0 }])
    expect(await objects()).toEqual(files.map(({ name }) => name))
    expect(files[0]?.name).toMatch(/^warehouse\/files\/plays\/day=2026-03-01\/[0-9a-f-]+\.parquet$/)
  })

  it('writes zstd in the table’s order, so that a reader passes over all but few rows', async () => {
    const rows = 3 * ROW_GROUP_ROWS
    await session.insertMissing({
      table: 'plays',
      select: {
        sql: `SELECT DATE '${DAY}' AS day, MD5(CAST(range AS STRING)) AS id FROM range(${rows})`,
      },
      key: plays.key,
      dates: [DAY],
      jobId: 'many',
    })
    const groups = await columnChunks(await pathOf(0), 'id')
    expect(new Set(groups.map(({ compression }) => compression))).toEqual(new Set(['ZSTD']))
    expect(groups).toHaveLength(3)
    for (const [index, { least }] of groups.slice(1).entries())
      expect(least > (groups[index]?.largest ?? '')).toBe(true)
  })

  it('leaves the table as it was when the writer dies before the manifest, and clears up later', async () => {
    await insert([{ day: DAY, id: 'a' }])
    failpoints.arm('warehouse.afterFiles', () => {
      throw new Error('killed')
    })
    await expect(insert([{ day: DAY, id: 'b' }])).rejects.toThrow('killed')
    failpoints.arm('warehouse.afterFiles', undefined)
    expect(await objects()).toHaveLength(2)
    session = await warehouse.open()
    expect(await playsOf(session)).toEqual([`${DAY} a - -`])
    expect(await insert([{ day: DAY, id: 'b' }])).toBe(1)
    expect(await objects()).toEqual((await manifest()).files.map(({ name }) => name).sort())
  })

  it('has written when the writer dies after the manifest, and answers the repeat', async () => {
    failpoints.arm('warehouse.afterManifest', () => {
      throw new Error('killed')
    })
    await expect(insert([{ day: DAY, id: 'a' }], 'once')).rejects.toThrow('killed')
    failpoints.arm('warehouse.afterManifest', undefined)
    session = await warehouse.open()
    expect(await insert([{ day: DAY, id: 'a' }], 'once')).toBe(1)
    expect(await playsOf(session)).toEqual([`${DAY} a - -`])
  })

  it('keeps replaced files while a session may read them, and removes them then', async () => {
    await insert([{ day: DAY, id: 'a', n: 1 }])
    const reader = await warehouse.open()
    await clock.advance(SESSION_MAX_MS)
    session = await warehouse.open()
    await replaceAll(2)
    expect(await objects()).toHaveLength(2)
    expect(await playsOf(reader)).toEqual([`${DAY} a - 1`])

    await clock.advance(1)
    await expect(playsOf(reader)).rejects.toMatchObject({ code: 'WAREHOUSE_SNAPSHOT_EXPIRED' })
    await clock.advance(RETIRED_KEEP_MS)
    session = await warehouse.open()
    await replaceAll(3)
    expect(await objects()).toHaveLength(2)
    expect(await playsOf(session)).toEqual([`${DAY} a - 3`])
  })

  it('takes nothing from a writer whose files another has removed: it fails', async () => {
    const slow = await warehouse.open()
    let reached: () => void = () => undefined
    const atFiles = new Promise<void>((resolve) => (reached = resolve))
    let release: () => void = () => undefined
    failpoints.arm('warehouse.afterFiles', () => {
      failpoints.arm('warehouse.afterFiles', undefined)
      reached()
      return new Promise((resolve) => (release = resolve))
    })
    const select = selectOf([{ day: DAY, id: 'slow' }])
    const request = { table: 'plays', select, key: plays.key, dates: [DAY], jobId: 'slow' }
    const writing = slow.insertMissing(request)
    await atFiles
    await insert([{ day: DAY, id: 'fast' }])
    expect(await objects()).toHaveLength(1)
    release()
    await expect(writing).rejects.toMatchObject({ code: 'WAREHOUSE_CONFLICT' })
    session = await warehouse.open()
    expect(await playsOf(session)).toEqual([`${DAY} fast - -`])
  })

  it('merges small files of a date', async () => {
    for (let n = 0; n < FILES_PER_DATE_MAX; n += 1) await insert([{ day: DAY, id: `${n}` }])
    expect((await manifest()).files).toHaveLength(FILES_PER_DATE_MAX)
    await insert([{ day: DAY, id: 'last' }])
    const { files, retired } = await manifest()
    expect(files).toMatchObject([{ rows: FILES_PER_DATE_MAX + 1 }])
    expect(retired).toHaveLength(FILES_PER_DATE_MAX)
    expect(await playsOf(session)).toHaveLength(FILES_PER_DATE_MAX + 1)
  })

  it('writes again only files that hold rows of the scope', async () => {
    await insert([{ day: DAY, id: 'a' }])
    await insert([{ day: DAY, id: 'b' }])
    const before = await manifest()
    await session.replaceRows({
      table: 'plays',
      select: selectOf([{ day: DAY, id: 'b', n: 1 }]),
      scope: ['id'],
      scopeSelect: { sql: `SELECT 'b' AS id` },
      dates: [DAY],
      jobId: 'only-b',
    })
    const after = await manifest()
    expect(after.files[0]).toEqual(before.files[0])
    expect(after.retired.map(({ name }) => name)).toEqual([before.files[1]?.name])
  })

  it('remembers its last jobs only', () => {
    let table = emptyManifest(plays)
    for (let n = 0; n < JOBS_REMEMBERED + 3; n += 1)
      table = changedManifest(table, {
        added: [],
        removed: [],
        columnSets: [],
        job: { jobId: `${n}`, removed: 0, inserted: n },
        nowMs: 0,
      })
    expect(table.jobs).toHaveLength(JOBS_REMEMBERED)
    expect(table.jobs[0]?.jobId).toBe('3')
  })

  it.each([
    ['OBJECT_FULL', 'WAREHOUSE_FULL'],
    ['OBJECT_UNAVAILABLE', 'WAREHOUSE_UNAVAILABLE'],
  ] as const)('says of %s at the swap %s, and the repeat completes', async (code, expected) => {
    let failing = true
    const faulty = withoutFiles(store, {
      async replace(name, bytes, ifGeneration) {
        const info = await store.replace(name, bytes, ifGeneration)
        if (failing) throw objectErrors.create(code)
        return info
      },
    })
    const temporaryFolder = join(folder, 'temporary')
    const other = await openDuckDbWarehouse({ store: faulty, temporaryFolder, ...MEMORY, clock })
    session = await other.open()
    await expect(insert([{ day: DAY, id: 'a' }], 'once')).rejects.toMatchObject({ code: expected })
    failing = false
    session = await other.open()
    expect(await insert([{ day: DAY, id: 'a' }], 'once')).toBe(1)
    expect(await playsOf(session)).toEqual([`${DAY} a - -`])
    await other.close()
  })

  it.each([
    ['is missing', 'WAREHOUSE_FILE_DAMAGED', (path: string) => unlink(path)],
    ['is cut short', 'WAREHOUSE_FILE_DAMAGED', (path: string) => truncate(path, 100)],
    [
      'has other bytes',
      'WAREHOUSE_FILE_DAMAGED',
      (path: string) => writeFile(path, Buffer.alloc(1_000, 'x')),
    ],
  ])('names a file that %s', async (_, code, damage) => {
    await insert([{ day: DAY, id: 'a' }])
    const name = (await manifest()).files[0]?.name ?? ''
    await damage(await pathOf(0))
    session = await warehouse.open()
    await expect(playsOf(session)).rejects.toMatchObject({
      code,
      detail: expect.stringContaining(name) as string,
    })
  })

  it('names an object that its manifest names and the store does not have', async () => {
    await insert([{ day: DAY, id: 'a' }])
    const name = (await manifest()).files[0]?.name ?? ''
    await store.delete(name)
    session = await warehouse.open()
    await expect(playsOf(session)).rejects.toMatchObject({
      code: 'WAREHOUSE_FILE_MISSING',
      detail: `expected ${name}`,
    })
  })

  it('does not carry damage on into a new file', async () => {
    await insert([{ day: DAY, id: 'a', n: 1 }])
    const path = await pathOf(0)
    const other = await parquet(
      `SELECT DATE '${DAY}' AS day, 'a' AS id, NULL::VARCHAR AS cdn, 5::BIGINT AS n, NULL::DOUBLE AS ratio, NULL::BOOLEAN AS ok, NULL::TIMESTAMP AS seen_at`,
    )
    await writeFile(path, other)
    session = await warehouse.open()
    await expect(replaceAll(2)).rejects.toMatchObject({ code: 'WAREHOUSE_FILE_DAMAGED' })
  })

  it('refuses a manifest that it cannot read, naming it', async () => {
    const info = await store.stat(manifestName('plays'))
    await store.replace(manifestName('plays'), Buffer.from('{"version":2}'), info?.generation ?? 0)
    await expect(warehouse.open()).rejects.toMatchObject({
      code: 'WAREHOUSE_MANIFEST_INVALID',
      detail: 'received warehouse/tables/plays.json',
    })
  })

  it.each(allTables.map((table) => [table.name, table] as const))(
    'has the table %s, whose columns need no quotes',
    async (name, table) => {
      await warehouse.ensureTables([table])
      session = await warehouse.open()
      const columns = table.columns.map((column) => column.name).join(', ')
      expect(await session.query({ sql: `SELECT ${columns} FROM ${name}` }, LIMITS)).toEqual([])
    },
  )

  it.each([
    `SELECT * FROM read_text('/etc/hostname')`,
    `SELECT * FROM '/etc/hostname'`,
    `SELECT * FROM glob('/etc/*')`,
    `COPY (SELECT 1) TO '/tmp/never'`,
    `ATTACH '/tmp/never.db'`,
    `SET enable_external_access = true`,
    `INSTALL httpfs`,
    `LOAD httpfs`,
    `SELECT * FROM read_csv('https://example.invalid/x.csv')`,
    `CREATE TABLE more AS SELECT 1`,
  ])('reaches nothing outside its tables: %s', async (sql) => {
    await expect(session.query({ sql }, LIMITS)).rejects.toMatchObject({
      code: 'WAREHOUSE_QUERY_INVALID',
    })
  })

  it('keeps its memory and spills into a folder that it removes', async () => {
    const sql = `SELECT COUNT(DISTINCT h) AS n FROM (
      SELECT CAST(HASH(range) AS STRING) || REPEAT('x', 100) AS h FROM range(2500000))`
    expect(await session.query({ sql }, LIMITS)).toEqual([{ n: 2_500_000n }])
    await session.close()
    expect(await readdir(join(folder, 'temporary'))).toEqual([])
  }, 60_000)

  it('removes the folders of sessions whose process is gone', async () => {
    await warehouse.close()
    const temporaryFolder = join(folder, 'temporary')
    // No process has an id beyond 2^22.
    await mkdtemp(join(temporaryFolder, 'warehouse-4194305-'))
    await mkdtemp(join(temporaryFolder, 'other-'))
    warehouse = await openDuckDbWarehouse({ store, temporaryFolder, ...MEMORY, clock })
    expect(await readdir(temporaryFolder)).toEqual([expect.stringMatching(/^other-/)])
  })

  it('gives up what is under way when it closes', async () => {
    const endless = session.query(
      { sql: 'SELECT COUNT(*) AS n FROM range(10000000) AS a, range(10000000) AS b' },
      LIMITS,
    )
    const ended = endless.then(
      () => 'answered',
      (error: unknown) => error,
    )
    await session.query({ sql: 'SELECT 1 AS n' }, LIMITS)
    await warehouse.close()
    expect(await ended).toMatchObject({ code: 'WAREHOUSE_CLOSED' })
    await expect(warehouse.open()).rejects.toMatchObject({ code: 'WAREHOUSE_CLOSED' })
  })

  it('says that it was closed, however far the statement had come', async () => {
    // Interrupts are repeated in real time.
    warehouse = await openDuckDbWarehouse({
      store,
      temporaryFolder: join(folder, 'real-time'),
      ...MEMORY,
      clock: systemClock,
    })
    for (let turns = 0; turns < 40; turns += 1) {
      const closed = await warehouse.open()
      const ended = closed
        .query(
          { sql: 'SELECT COUNT(*) AS n FROM range(10000000) AS a, range(10000000) AS b' },
          LIMITS,
        )
        .catch((error: unknown) => error)
      for (let turn = 0; turn < turns; turn += 1)
        await new Promise<void>((resolve) => systemClock.nextTurn(resolve))
      await closed.close()
      expect(await ended).toMatchObject({ code: 'WAREHOUSE_CLOSED' })
    }
  })
})

async function createHarness(
  shown: (store: ObjectStore) => ObjectStore,
): Promise<WarehouseHarness> {
  const folder = await mkdtemp(join(tmpdir(), 'warehouse-test-'))
  const own = await openFolderObjectStore({ folder: join(folder, 'objects'), clock: systemClock })
  const store = shown(own)
  const opened: Warehouse[] = []
  return {
    async open() {
      const warehouse = await openDuckDbWarehouse({
        store,
        temporaryFolder: join(folder, 'temporary'),
        ...MEMORY,
        clock: systemClock,
      })
      opened.push(warehouse)
      return warehouse
    },
    async stage(object, sql) {
      await own.create(object, await parquet(sql))
    },
    async put(object, bytes) {
      await own.create(object, bytes)
    },
    async dispose() {
      for (const warehouse of opened) await warehouse.close()
      await own.close()
      await rm(folder, { recursive: true })
    },
  }
}

/** The same store as one whose objects are no files of this machine. */
function withoutFiles(store: ObjectStore, other: Partial<ObjectStore> = {}): ObjectStore {
  return {
    create: (name, bytes) => store.create(name, bytes),
    replace: (name, bytes, ifGeneration) => store.replace(name, bytes, ifGeneration),
    read: (name, range) => store.read(name, range),
    stat: (name) => store.stat(name),
    list: (prefix, options) => store.list(prefix, options),
    delete: (name, ifGeneration) => store.delete(name, ifGeneration),
    close: () => store.close(),
    ...other,
  }
}

interface ColumnChunk {
  readonly compression: string
  readonly least: string
  readonly largest: string
}

/** What a Parquet file says of a column, row group by row group. */
async function columnChunks(path: string, column: string): Promise<ColumnChunk[]> {
  const sql = `SELECT compression, stats_min_value, stats_max_value FROM parquet_metadata('${path}')
    WHERE path_in_schema = '${column}' ORDER BY row_group_id`
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' })
  try {
    const connection = await instance.connect()
    const rows = (await connection.runAndReadAll(sql)).getRows()
    connection.closeSync()
    return rows.map(([compression, least, largest]) => ({
      compression: String(compression),
      least: String(least),
      largest: String(largest),
    }))
  } finally {
    instance.closeSync()
  }
}

async function parquet(sql: string): Promise<Uint8Array> {
  const folder = await mkdtemp(join(tmpdir(), 'parquet-'))
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' })
  try {
    const connection = await instance.connect()
    const path = join(folder, 'rows.parquet')
    await connection.run(`COPY (${sql}) TO '${path}' (FORMAT parquet)`)
    connection.closeSync()
    return await readFile(path)
  } finally {
    instance.closeSync()
    await rm(folder, { recursive: true })
  }
}
