/** The SQL files keep to what BigQuery and DuckDB read alike, and each of them is used. */
import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { expect, test } from 'vitest'
import { DUCKDB_MACROS } from '../shared/warehouse/duckdb-macros.ts'

const FILES = globSync('**/*.sql', { cwd: import.meta.dirname }).toSorted()

/** Functions that both sides have under one name and with one meaning; see `duckdb-macros.ts`. */
const COMMON_FUNCTIONS = `
  COUNT SUM MIN MAX AVG STRING_AGG MIN_BY MAX_BY
  ROW_NUMBER RANK DENSE_RANK LAG LEAD FIRST_VALUE LAST_VALUE NTH_VALUE
  IF IFNULL NULLIF COALESCE CAST GREATEST LEAST
  ABS SIGN LN MOD ROUND FLOOR CEIL BIT_COUNT
  SUBSTR STRPOS LENGTH LOWER UPPER TRIM LTRIM RTRIM REPLACE LPAD STARTS_WITH
  DATE EXTRACT`
const MACROS = DUCKDB_MACROS.flatMap((macro) => /^CREATE MACRO (\w+)/.exec(macro)?.slice(1) ?? [])
const FUNCTIONS = new Set([...COMMON_FUNCTIONS.trim().split(/\s+/), ...MACROS])

/** Words that a bracket may follow and that are no functions. */
const KEYWORDS = new Set(
  'AS ALL AND BY CASE DISTINCT ELSE EXCEPT EXISTS FROM IN INTERSECT JOIN NOT ON OR OVER ROLLUP SELECT SETS THEN UNION USING WHEN WHERE WITH QUALIFY HAVING'.split(
    ' ',
  ),
)

/** What one side lacks, or understands in another way. */
const REFUSED = [
  /::/,
  /`/,
  /"/,
  /\bFILTER\s*\(/i,
  /\bVALUES\b/i,
  /\bUNNEST\b/i,
  /\bEXCLUDE\b/i,
  /\*\s*EXCEPT\b/i,
  /\bEXCEPT\s+ALL\b/i,
  /\bEXCEPT(?!\s+DISTINCT)\b/i,
  /\bINTERSECT(?!\s+DISTINCT)\b/i,
  /\bUNION(?!\s+(?:ALL|DISTINCT))\b/i,
  /\bI?LIKE\s+ANY\b|\bILIKE\b/i,
  /\b(?:UN)?PIVOT\b/i,
  /\b(?:SAFE|TRY)_CAST\b/i,
  /\b(?:POSITIONAL|ASOF|SEMI|ANTI)\s+JOIN\b/i,
  /\bGROUP\s+BY\s+ALL\b|\bORDER\s+BY\s+ALL\b/i,
  /\b(?:DOUBLE|VARCHAR|HUGEINT|TIMESTAMPTZ)\b/i,
  /\bCURRENT_\w+/i,
  /->|\bLAMBDA\b/i,
  /\[|\{/,
]

/** Text in quotes and comments say nothing about the language. */
function bare(sql: string): string {
  return sql.replaceAll(/--[^\n]*/g, ' ').replaceAll(/'(?:[^']|'')*'/g, "''")
}

/** What of the text is not in the common subset. */
function strangersIn(sql: string): string[] {
  const text = bare(sql)
  const refused = REFUSED.flatMap((pattern) => pattern.exec(text)?.[0] ?? [])
  const named = new Set([...text.matchAll(/\b(\w+)\s+AS\s*\(/gi)].map(([, name]) => name))
  const called = [...text.matchAll(/\b([a-z_]\w*)\s*\(/gi)].map(([, name = '']) => name)
  const unknown = called.filter(
    (name) =>
      !named.has(name) && !KEYWORDS.has(name.toUpperCase()) && !FUNCTIONS.has(name.toUpperCase()),
  )
  return [...refused, ...unknown]
}

test.each(FILES)('%s keeps to the common subset', (file) => {
  expect(strangersIn(readFileSync(join(import.meta.dirname, file), 'utf8'))).toEqual([])
})

test.each([
  ['SELECT x::BIGINT FROM t', '::'],
  ['SELECT * EXCLUDE (x) FROM t', 'EXCLUDE'],
  ['SELECT * EXCEPT (x) FROM t', 'EXCEPT'],
  ['SELECT x FROM t EXCEPT SELECT y FROM u', 'EXCEPT'],
  ['SELECT list_sum(x) FROM t', 'list_sum'],
  ["SELECT strptime(x, '%Y') FROM t", 'strptime'],
  ['SELECT EPOCH_MS(x) FROM t', 'EPOCH_MS'],
  ["SELECT x FROM read_parquet('f')", 'read_parquet'],
  ['SELECT COUNT(*) FILTER (WHERE x) FROM t', 'FILTER'],
  ['SELECT ANY_VALUE(x) FROM t', 'ANY_VALUE'],
  ['SELECT CAST(x AS DOUBLE) FROM t', 'DOUBLE'],
  ['SELECT x[1] FROM t', '['],
])('%s is refused', (sql, stranger) => {
  expect(strangersIn(sql).join(' ')).toContain(stranger)
})

test.each([
  "SELECT '::' AS x -- list_sum(x)",
  'WITH a AS (SELECT SUM(x) AS x FROM t) SELECT * FROM a',
])('%s is not', (sql) => {
  expect(strangersIn(sql)).toEqual([])
})

test('every file is named by a module', () => {
  const modules = globSync('**/*.ts', { cwd: import.meta.dirname })
    .filter((file) => !file.endsWith('.test.ts'))
    .map((file) => readFileSync(join(import.meta.dirname, file), 'utf8'))
    .join('\n')
  const unused = FILES.filter((file) => {
    const name = basename(file, '.sql')
    return !new RegExp(`['/]${name}'`).test(modules)
  })
  expect(unused).toEqual([])
})
