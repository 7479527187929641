/** The contract of `Warehouse` as tests; every adapter runs them. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { nullable, required, type TableSpec } from './table-spec.ts'
import type { InsertMissingRequest, Row, Select, Warehouse, WarehouseSession } from './warehouse.ts'

/** One storage of an adapter. */
export interface WarehouseHarness {
  /** Opens the warehouse on this storage; handles opened before may still be open. */
  open(): Promise<Warehouse>
  /** Writes the rows of a SELECT, in DuckDB's SQL, as a Parquet object. */
  stage(object: string, sql: string): Promise<void>
  /** Puts an object of any bytes. */
  put(object: string, bytes: Uint8Array): Promise<void>
  dispose(): Promise<void>
}

export const plays: TableSpec = {
  name: 'plays',
  description: 'Plays of a test.',
  columns: [
    required('day', 'DATE', 'UTC day.'),
    required('id', 'STRING', 'Identity.'),
    nullable('cdn', 'STRING', 'CDN.'),
    nullable('n', 'INT64', 'A count.'),
    nullable('ratio', 'FLOAT64', 'A ratio.'),
    nullable('ok', 'BOOL', 'A flag.'),
    nullable('seen_at', 'TIMESTAMP', 'An instant.'),
  ],
  partitionColumn: 'day',
  key: ['id', 'cdn'],
  clusterColumns: ['id'],
}

export interface Play {
  readonly day: string
  readonly id: string
  readonly cdn?: string
  readonly n?: number
}

const DAY_1 = '2026-03-01'
const DAY_2 = '2026-03-02'
const DAYS = [DAY_1, DAY_2]
export const LIMITS = { maxRows: 1_000, timeoutMs: 60_000 }

/** A select of these rows. */
export function selectOf(rows: readonly Play[]): Select {
  if (rows.length === 0) return { sql: `${selectOf([{ day: DAY_1, id: 'none' }]).sql} LIMIT 0` }
  const text = (value: string | undefined) => (value === undefined ? 'NULL' : `'${value}'`)
  const selects = rows.map(
    ({ day, id, cdn, n }) =>
      `SELECT DATE '${day}' AS day, ${text(id)} AS id, CAST(${text(cdn)} AS STRING) AS cdn, CAST(${n ?? 'NULL'} AS INT64) AS n`,
  )
  return { sql: selects.join(' UNION ALL ') }
}

let jobs = 0
const jobId = () => `job-${++jobs}`

function insertOf(rows: readonly Play[]): InsertMissingRequest {
  const select = selectOf(rows)
  return { table: 'plays', select, key: plays.key, dates: DAYS, jobId: jobId() }
}

export async function playsOf(session: WarehouseSession): Promise<readonly string[]> {
  const sql = 'SELECT day, id, cdn, n FROM plays ORDER BY day, id, cdn'
  const rows = await session.query({ sql }, LIMITS)
  return rows.map((row) => [row['day'], row['id'], row['cdn'] ?? '-', row['n'] ?? '-'].join(' '))
}

export function describeWarehouse(
  name: string,
  createHarness: () => Promise<WarehouseHarness>,
): void {
  describe(`${name} keeps the warehouse contract`, () => {
    let harness: WarehouseHarness
    let warehouse: Warehouse
    let session: WarehouseSession

    beforeEach(async () => {
      harness = await createHarness()
      warehouse = await harness.open()
      await warehouse.ensureTables([plays])
      session = await warehouse.open()
    })
    afterEach(async () => {
      await warehouse.close()
      await harness.dispose()
    })

    const insert = (rows: readonly Play[], more: { jobId?: string; dates?: string[] } = {}) =>
      session.insertMissing({ ...insertOf(rows), ...more })
    const replace = (
      rows: readonly Play[],
      scopeIds: readonly string[],
      more: { jobId?: string; dates?: string[] } = {},
    ) =>
      session.replaceRows({
        table: 'plays',
        select: selectOf(rows),
        scope: ['id'],
        scopeSelect: {
          sql: `SELECT id FROM (${selectOf(scopeIds.map((id) => ({ day: DAY_1, id }))).sql}) AS s`,
        },
        dates: DAYS,
        jobId: jobId(),
        ...more,
      })
    const query = (sql: string, parameters?: Select['parameters']): Promise<readonly Row[]> =>
      session.query({ sql, ...(parameters && { parameters }) }, LIMITS)
    const reopened = async (): Promise<readonly string[]> => {
      const later = await warehouse.open()
      return playsOf(later)
    }

    describe('tables', () => {
      it('are made once, empty, and shown with their descriptions', async () => {
        await warehouse.ensureTables([plays])
        expect(session.tables).toMatchObject([
          { name: 'plays', description: 'Plays of a test.', columns: plays.columns },
        ])
        expect(await playsOf(session)).toEqual([])
      })

      it('gain a nullable column, which older rows have as null', async () => {
        await insert([{ day: DAY_1, id: 'a' }])
        const wider = { ...plays, columns: [...plays.columns, nullable('isp', 'STRING', 'ISP.')] }
        await warehouse.ensureTables([wider])
        session = await warehouse.open()
        await session.insertMissing({
          table: 'plays',
          select: { sql: `SELECT DATE '${DAY_1}' AS day, 'b' AS id, 'x' AS isp` },
          key: plays.key,
          dates: DAYS,
          jobId: jobId(),
        })
        expect(await query('SELECT id, isp FROM plays ORDER BY id')).toEqual([
          { id: 'a', isp: null },
          { id: 'b', isp: 'x' },
        ])
        expect(await query(`SELECT id FROM plays WHERE isp = 'x'`)).toEqual([{ id: 'b' }])
      })

      it('keep a column that an older program does not know', async () => {
        const wider = { ...plays, columns: [...plays.columns, nullable('isp', 'STRING', 'ISP.')] }
        await warehouse.ensureTables([wider])
        await warehouse.ensureTables([plays])
        session = await warehouse.open()
        expect(session.tables[0]?.columns.map(({ name }) => name)).toContain('isp')
      })

      it('refuse another type, and a required column for rows that do not have it', async () => {
        await insert([{ day: DAY_1, id: 'a' }])
        const retyped = plays.columns.map((column) =>
          column.name === 'n' ? nullable('n', 'FLOAT64', 'A count.') : column,
        )
        await expect(
          warehouse.ensureTables([{ ...plays, columns: retyped }]),
        ).rejects.toMatchObject({
          code: 'WAREHOUSE_TABLE_MISMATCH',
          detail: 'expected plays.n of FLOAT64, received INT64',
        })
        const wider = [...plays.columns, required('isp', 'STRING', 'ISP.')]
        await expect(warehouse.ensureTables([{ ...plays, columns: wider }])).rejects.toMatchObject({
          code: 'WAREHOUSE_TABLE_MISMATCH',
        })
        expect(await reopened()).toEqual([`${DAY_1} a - -`])
      })
    })

    describe('insertMissing', () => {
      it('inserts rows whose key is new, null being a value of a key', async () => {
        expect(await insert([{ day: DAY_1, id: 'a', n: 1 }])).toBe(1)
        const more = [
          { day: DAY_1, id: 'a', n: 2 },
          { day: DAY_1, id: 'a', cdn: 'x', n: 3 },
          { day: DAY_2, id: 'b', n: 4 },
        ]
        expect(await insert(more)).toBe(2)
        const wanted = [`${DAY_1} a - 1`, `${DAY_1} a x 3`, `${DAY_2} b - 4`]
        expect(await playsOf(session)).toEqual(wanted)
        expect(await reopened()).toEqual(wanted)
      })

      it('looks for keys in the dates named and nowhere else', async () => {
        await insert([{ day: DAY_1, id: 'a' }])
        expect(await insert([{ day: DAY_2, id: 'a' }], { dates: [DAY_2] })).toBe(1)
        expect(await insert([{ day: DAY_2, id: 'a' }])).toBe(0)
      })

      it('leaves the same rows when it is repeated, under the same job and under another', async () => {
        const rows = [{ day: DAY_1, id: 'a' }]
        expect(await insert(rows, { jobId: 'first' })).toBe(1)
        expect(await insert(rows, { jobId: 'first' })).toBe(1)
        expect(await insert(rows, { jobId: 'second' })).toBe(0)
        session = await warehouse.open()
        expect(await insert(rows, { jobId: 'first' })).toBe(1)
        expect(await playsOf(session)).toEqual([`${DAY_1} a - -`])
      })
    })

    describe('replaceRows', () => {
      beforeEach(() =>
        insert([
          { day: DAY_1, id: 'a', n: 1 },
          { day: DAY_1, id: 'b', n: 2 },
          { day: DAY_2, id: 'a', cdn: 'x', n: 3 },
        ]),
      )

      it('replaces the rows of the scope and leaves others', async () => {
        const rows = [{ day: DAY_2, id: 'a', n: 9 }]
        expect(await replace(rows, ['a', 'c'])).toEqual({ removed: 2, inserted: 1 })
        expect(await reopened()).toEqual([`${DAY_1} b - 2`, `${DAY_2} a - 9`])
      })

      it('removes what the select does not bring, and brings what was not there', async () => {
        expect(await replace([], ['b'])).toEqual({ removed: 1, inserted: 0 })
        expect(await replace([{ day: DAY_2, id: 'c' }], ['c'])).toEqual({ removed: 0, inserted: 1 })
        expect(await reopened()).toEqual([`${DAY_1} a - 1`, `${DAY_2} a x 3`, `${DAY_2} c - -`])
      })

      it('touches no date that is not named', async () => {
        await replace([{ day: DAY_1, id: 'a', n: 7 }], ['a'], { dates: [DAY_1] })
        expect(await playsOf(session)).toEqual([
          `${DAY_1} a - 7`,
          `${DAY_1} b - 2`,
          `${DAY_2} a x 3`,
        ])
      })

      it('changes nothing when the rows are already so', async () => {
        const rows = [
          { day: DAY_1, id: 'a', n: 1 },
          { day: DAY_2, id: 'a', cdn: 'x', n: 3 },
        ]
        expect(await replace(rows, ['a'])).toEqual({ removed: 0, inserted: 0 })
      })

      it('answers a repeated job with its first result', async () => {
        const rows = [{ day: DAY_1, id: 'a', n: 5 }]
        const first = await replace(rows, ['a'], { jobId: 'once' })
        expect(first).toEqual({ removed: 2, inserted: 1 })
        await insert([{ day: DAY_2, id: 'a', cdn: 'later' }])
        expect(await replace(rows, ['a'], { jobId: 'once' })).toEqual(first)
        expect(await playsOf(session)).toContain(`${DAY_2} a later -`)
      })

      it('may read the table that it changes', async () => {
        const result = await session.replaceRows({
          table: 'plays',
          select: {
            sql: 'SELECT day, id, cdn, n + @more AS n FROM plays',
            parameters: { more: 10 },
          },
          scope: ['id', 'cdn'],
          scopeSelect: { sql: 'SELECT id, cdn FROM plays' },
          dates: DAYS,
          jobId: jobId(),
        })
        expect(result).toEqual({ removed: 3, inserted: 3 })
        expect(await playsOf(session)).toEqual([
          `${DAY_1} a - 11`,
          `${DAY_1} b - 12`,
          `${DAY_2} a x 13`,
        ])
      })

      it('refuses rows outside its scope', async () => {
        await expect(replace([{ day: DAY_1, id: 'b' }], ['a'])).rejects.toMatchObject({
          code: 'WAREHOUSE_ROWS_INVALID',
          detail: expect.stringContaining('rows of the scope only') as string,
        })
      })
    })

    describe('sessions', () => {
      it('show what was there at their opening, and their own writes', async () => {
        await insert([{ day: DAY_1, id: 'a' }])
        const earlier = await warehouse.open()
        await insert([{ day: DAY_1, id: 'b' }])
        await replace([{ day: DAY_1, id: 'a', n: 1 }], ['a'])
        expect(await playsOf(earlier)).toEqual([`${DAY_1} a - -`])
        expect(await playsOf(session)).toEqual([`${DAY_1} a - 1`, `${DAY_1} b - -`])
      })

      it('have one winner of two that write the same table', async () => {
        const other = await (await harness.open()).open()
        await insert([{ day: DAY_1, id: 'a' }])
        const select = selectOf([{ day: DAY_1, id: 'b' }])
        const late = { table: 'plays', select, key: plays.key, dates: DAYS, jobId: jobId() }
        await expect(other.insertMissing(late)).rejects.toMatchObject({
          code: 'WAREHOUSE_CONFLICT',
        })
        expect(await reopened()).toEqual([`${DAY_1} a - -`])
        const again = await warehouse.open()
        expect(await again.insertMissing(late)).toBe(1)
        expect(await reopened()).toEqual([`${DAY_1} a - -`, `${DAY_1} b - -`])
      })

      it('have scratch tables of their own, which may be replaced and added to', async () => {
        await session.scratch('work', { sql: 'SELECT 1 AS n' })
        await session.append('work', { sql: 'SELECT n + 1 AS n FROM work' })
        await session.scratch('work', { sql: 'SELECT n * 10 AS n FROM work' })
        expect(await query('SELECT n FROM work ORDER BY n')).toEqual([{ n: 10n }, { n: 20n }])
        const other = await warehouse.open()
        await expect(other.query({ sql: 'SELECT n FROM work' }, LIMITS)).rejects.toMatchObject({
          code: 'WAREHOUSE_QUERY_INVALID',
        })
      })

      it('answer nothing once they are closed', async () => {
        await session.close()
        await session.close()
        await expect(query('SELECT 1 AS n')).rejects.toMatchObject({ code: 'WAREHOUSE_CLOSED' })
      })
    })

    describe('load', () => {
      const columns = [nullable('id', 'STRING', 'Id.'), nullable('n', 'INT64', 'Count.')]
      const load = (objects: readonly string[]) =>
        session.load({ scratch: 'staged', objects, columns, jobId: 'load' })

      it('reads files by name, in any order of columns, with null for what they lack', async () => {
        await harness.stage(
          'batch/runs/1/a.parquet',
          `SELECT 1::BIGINT AS n, 'a' AS id, true AS more`,
        )
        await harness.stage('batch/runs/1/b.parquet', `SELECT 'b' AS id FROM range(2)`)
        const objects = ['batch/runs/1/a.parquet', 'batch/runs/1/b.parquet']
        expect(await load(objects)).toEqual({ jobId: 'load', rows: 3 })
        expect(await load(objects)).toEqual({ jobId: 'load', rows: 3 })
        expect(await query('SELECT * FROM staged ORDER BY id')).toEqual([
          { id: 'a', n: 1n },
          { id: 'b', n: null },
          { id: 'b', n: null },
        ])
        expect(await load([])).toEqual({ jobId: 'load', rows: 0 })
        expect(await query('SELECT * FROM staged')).toEqual([])
      })

      it('names a file that is missing, that is not Parquet, or that has another type', async () => {
        await harness.put('batch/runs/1/bad.parquet', Buffer.from('no Parquet at all, but bytes'))
        await harness.stage('batch/runs/1/other.parquet', `SELECT 'x' AS n`)
        await expect(load(['batch/runs/1/none.parquet'])).rejects.toMatchObject({
          code: 'WAREHOUSE_FILE_MISSING',
          detail: expect.stringContaining('batch/runs/1/none.parquet') as string,
        })
        await expect(load(['batch/runs/1/bad.parquet'])).rejects.toMatchObject({
          code: 'WAREHOUSE_FILE_DAMAGED',
          detail: expect.stringContaining('batch/runs/1/bad.parquet') as string,
        })
        await expect(load(['batch/runs/1/other.parquet'])).rejects.toMatchObject({
          code: 'WAREHOUSE_TABLE_MISMATCH',
          detail: expect.stringContaining('staged.n of INT64') as string,
        })
      })
    })

    describe('values', () => {
      it('keeps values of every type in a table', async () => {
        await session.insertMissing({
          table: 'plays',
          select: {
            sql: `SELECT CAST(@day AS DATE) AS day, @id AS id, @n AS n, @ratio AS ratio, @ok AS ok,
              TIMESTAMP_MILLIS(@at) AS seen_at`,
            parameters: {
              day: DAY_1,
              id: `it's "@id" -- here`,
              n: -9007199254740993n,
              ratio: 0.25,
              ok: false,
              at: -1,
            },
          },
          key: plays.key,
          dates: DAYS,
          jobId: jobId(),
        })
        expect(await query('SELECT id, n, ratio, ok, seen_at, cdn FROM plays')).toEqual([
          {
            id: `it's "@id" -- here`,
            n: -9007199254740993n,
            ratio: 0.25,
            ok: false,
            seen_at: -1,
            cdn: null,
          },
        ])
      })

      it('has aggregates, windows and the order of nulls as BigQuery has them', async () => {
        await insert([
          { day: DAY_1, id: 'a', n: 3 },
          { day: DAY_1, id: 'b' },
          { day: DAY_2, id: 'c', n: 1 },
        ])
        expect(
          await query(`SELECT COUNTIF(n > 1) AS many, LOGICAL_OR(n = 1) AS any,
            LOGICAL_AND(n > 0) AS every, STRING_AGG(id, ',' ORDER BY id DESC) AS ids,
            APPROX_QUANTILES(n, 100)[OFFSET(95)] AS p95 FROM plays`),
        ).toEqual([{ many: 1n, any: true, every: true, ids: 'c,b,a', p95: 3n }])
        expect(
          await query(`SELECT id, LAST_VALUE(n IGNORE NULLS) OVER w AS last FROM plays
            WINDOW w AS (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
            QUALIFY ROW_NUMBER() OVER (ORDER BY n, id) <= 2 ORDER BY n DESC, id`),
        ).toEqual([
          { id: 'c', last: 1n },
          { id: 'b', last: 3n },
        ])
      })
    })
  })

  describe(`${name} answers as the warehouse contract says`, () => {
    let harness: WarehouseHarness
    let warehouse: Warehouse
    let session: WarehouseSession

    // Nothing here writes: one session does for all.
    beforeAll(async () => {
      harness = await createHarness()
      warehouse = await harness.open()
      await warehouse.ensureTables([plays])
      session = await warehouse.open()
    })
    afterAll(async () => {
      await warehouse.close()
      await harness.dispose()
    })

    const query = (sql: string, parameters?: Select['parameters']): Promise<readonly Row[]> =>
      session.query({ sql, ...(parameters && { parameters }) }, LIMITS)

    describe('insertMissing', () => {
      it.each([
        ['a date that is not named', [{ day: '2026-03-03', id: 'a' }], 'day among the dates named'],
        [
          'a key twice',
          [
            { day: DAY_1, id: 'a' },
            { day: DAY_2, id: 'a' },
          ],
          'each key once',
        ],
      ])('refuses %s and writes nothing', async (_, rows, expected) => {
        await expect(session.insertMissing(insertOf(rows))).rejects.toMatchObject({
          code: 'WAREHOUSE_ROWS_INVALID',
          detail: expect.stringContaining(expected) as string,
        })
        expect(await playsOf(await warehouse.open())).toEqual([])
      })

      it.each([
        [`SELECT DATE '${DAY_1}' AS day, 'a' AS id, 1 AS other`, 'a column of the table'],
        [`SELECT DATE '${DAY_1}' AS day, 'a' AS id, 'x' AS n`, 'n of INT64'],
        [`SELECT DATE '${DAY_1}' AS day, CAST(NULL AS STRING) AS id`, 'a value of id'],
        [`SELECT 'a' AS id`, 'a value of day'],
      ])('refuses %s', async (sql, expected) => {
        const request = { ...insertOf([]), select: { sql } }
        await expect(session.insertMissing(request)).rejects.toMatchObject({
          code: 'WAREHOUSE_ROWS_INVALID',
          detail: expect.stringContaining(expected) as string,
        })
      })

      it('refuses a table that does not exist', async () => {
        const request = { ...insertOf([]), table: 'nope' }
        await expect(session.insertMissing(request)).rejects.toMatchObject({
          code: 'WAREHOUSE_TABLE_MISMATCH',
        })
      })
    })

    describe('query', () => {
      it('gives every type as the port says', async () => {
        const [row] = await query(
          `SELECT 7 AS small, CAST(9007199254740993 AS INT64) AS large, SUM(n) AS nothing,
             1.5 AS fraction, CAST(0.1 AS FLOAT64) AS exact, 'é"' AS text, TRUE AS flag,
             DATE '2026-02-28' AS day, TIMESTAMP_MILLIS(1795684484123) AS seen_at,
             CAST(NULL AS TIMESTAMP) AS never FROM plays`,
        )
        expect(row).toEqual({
          small: 7n,
          large: 9007199254740993n,
          nothing: null,
          fraction: 1.5,
          exact: 0.1,
          text: 'é"',
          flag: true,
          day: '2026-02-28',
          seen_at: 1795684484123,
          never: null,
        })
      })

      it('says the columns of a select before it is run', async () => {
        const sql = `SELECT id, n / 2 AS half, COUNT(*) AS n, MAX(seen_at) AS seen_at, @d AS d,
          MIN(day) AS day, LOGICAL_OR(ok) AS ok FROM plays GROUP BY 1, 2`
        expect(await session.columns({ sql, parameters: { d: 0.5 } })).toEqual([
          { name: 'id', type: 'STRING' },
          { name: 'half', type: 'FLOAT64' },
          { name: 'n', type: 'INT64' },
          { name: 'seen_at', type: 'TIMESTAMP' },
          { name: 'd', type: 'FLOAT64' },
          { name: 'day', type: 'DATE' },
          { name: 'ok', type: 'BOOL' },
        ])
        const limited = { sql: 'SELECT id FROM plays LIMIT @most', parameters: { most: 3 } }
        expect(await session.columns(limited)).toEqual([{ name: 'id', type: 'STRING' }])
        await expect(session.columns({ sql: 'SELECT nothing FROM plays' })).rejects.toMatchObject({
          code: 'WAREHOUSE_QUERY_INVALID',
        })
      })

      it('answers several at once', async () => {
        const all = Array.from({ length: 8 }, (_, n) => query('SELECT @n AS n', { n }))
        expect((await Promise.all(all)).flat()).toEqual(
          Array.from({ length: 8 }, (_, n) => ({ n: BigInt(n) })),
        )
      })

      it('gives large results whole, and none beyond the limit of rows', async () => {
        const select = {
          sql: `WITH RECURSIVE d AS (SELECT 0 AS n UNION ALL SELECT n + 1 FROM d WHERE n < 299)
            SELECT a.n * 300 + b.n AS n FROM d AS a CROSS JOIN d AS b ORDER BY 1`,
        }
        const rows = await session.query(select, { maxRows: 90_000, timeoutMs: 60_000 })
        expect(rows).toHaveLength(90_000)
        expect(rows.at(-1)).toEqual({ n: 89_999n })
        await expect(
          session.query(select, { maxRows: 89_999, timeoutMs: 60_000 }),
        ).rejects.toMatchObject({ code: 'WAREHOUSE_QUERY_TOO_LARGE' })
      })

      it('ends at its time, and the session goes on', async () => {
        // Longer by far, and not endless: a server may not let go of a statement.
        const long = {
          sql: `WITH RECURSIVE d AS (SELECT 0 AS n UNION ALL SELECT n + 1 FROM d WHERE n < 80)
            SELECT COUNT(*) AS n FROM d AS a CROSS JOIN d AS b CROSS JOIN d AS c CROSS JOIN d AS e
            WHERE MOD(a.n * b.n + c.n * e.n, 7) = 3`,
        }
        await expect(session.query(long, { maxRows: 1, timeoutMs: 50 })).rejects.toMatchObject({
          code: 'WAREHOUSE_QUERY_TIMEOUT',
        })
        expect(await query('SELECT 1 AS n')).toEqual([{ n: 1n }])
      })

      it('does not give the rows that came in time for all of them', async () => {
        const many = {
          sql: `WITH RECURSIVE d AS (SELECT 0 AS n UNION ALL SELECT n + 1 FROM d WHERE n < 200)
            SELECT a.n FROM d AS a CROSS JOIN d AS b CROSS JOIN d AS c`,
        }
        const limits = { maxRows: Number.MAX_SAFE_INTEGER - 1, timeoutMs: 200 }
        await expect(session.query(many, limits)).rejects.toMatchObject({
          code: 'WAREHOUSE_QUERY_TIMEOUT',
        })
      })

      it.each([
        ['SELECT FROM', 'yntax'],
        ['SELECT n FROM nowhere', 'nowhere'],
        ['SELECT nothing FROM plays', 'nothing'],
        ['SELECT @missing AS n', '@missing'],
        ['SELECT 1 AS n, 2 AS n', 'n'],
        ['SELECT 1 AS n; SELECT 2 AS n', 'one statement'],
        ['DROP VIEW plays', 'SELECT'],
        ['DELETE FROM plays WHERE TRUE', ''],
        [`SELECT CAST('x' AS INT64) AS n`, 'x'],
      ])('refuses %s', async (sql, named) => {
        await expect(query(sql)).rejects.toMatchObject({
          code: 'WAREHOUSE_QUERY_INVALID',
          detail: expect.stringContaining(named) as string,
        })
      })
    })

    describe('the common subset', () => {
      it.each([
        ['SAFE_DIVIDE(1, 0)', null],
        ['SAFE_DIVIDE(1, 4)', 0.25],
        ['(SELECT COUNTIF(n > 0) FROM (SELECT CAST(NULL AS INT64) AS n) AS nothing)', 0n],
        ['ROUND(LN(10), 6)', 2.302585],
        ['DIV(-7, 2)', -3n],
        ['MOD(-7, 2)', -1n],
        [`CAST('0xff' AS INT64)`, 255n],
        ['CAST(ROUND(2.5) AS INT64)', 3n],
        ['CAST(1 AS FLOAT64) / 4', 0.25],
        ['TIMESTAMP_MILLIS(1500)', 1500],
        ['TIMESTAMP_SECONDS(2)', 2000],
        [`UNIX_MILLIS(TIMESTAMP '1970-01-01 00:00:01.5+00')`, 1500n],
        [`UNIX_SECONDS(TIMESTAMP '1970-01-01 00:01:00+00')`, 60n],
        [`TIMESTAMP_TRUNC(TIMESTAMP_MILLIS(3660001), HOUR)`, 3_600_000],
        [`DATE_TRUNC(DATE '2026-03-17', MONTH)`, '2026-03-01'],
        [`DATE(TIMESTAMP_MILLIS(86400000))`, '1970-01-02'],
        [`EXTRACT(HOUR FROM TIMESTAMP_MILLIS(7200000))`, 2n],
        [`TIMESTAMP_DIFF(TIMESTAMP_MILLIS(119999), TIMESTAMP_MILLIS(0), MINUTE)`, 1n],
        [`DATE_DIFF(DATE '2026-03-01', DATE '2026-02-27', DAY)`, 2n],
        [`TIMESTAMP_ADD(TIMESTAMP_MILLIS(0), INTERVAL 1 MINUTE)`, 60_000],
        [`TIMESTAMP_SUB(TIMESTAMP_MILLIS(60000), INTERVAL 1 MINUTE)`, 0],
        [`DATE_ADD(DATE '2026-02-28', INTERVAL 1 DAY)`, '2026-03-01'],
        [`DATE_SUB(DATE '2026-03-01', INTERVAL 1 DAY)`, '2026-02-28'],
        [`FORMAT_TIMESTAMP('%Y-%m', TIMESTAMP_MILLIS(0))`, '1970-01'],
        [`FORMAT_DATE('%d', DATE '2026-03-17')`, '17'],
        [`JSON_VALUE('{"a":"b"}', '$.a')`, 'b'],
        [`REGEXP_CONTAINS('abc', 'b.')`, true],
        [`IF(1 IS NOT DISTINCT FROM NULL, 'same', 'other') /* ' @x */`, 'other'],
      ])('%s is %s', async (expression, value) => {
        expect(await query(`SELECT ${expression} AS value -- @nothing`)).toEqual([{ value }])
      })
    })
  })
}
