import { describe, expect, it } from 'vitest'
import { queryParameters, statementOf, withTables } from './bigquery-statement.ts'

const sources = new Map([['plays', 'SELECT * FROM `p.d.plays`']])
const textOf = (sql: string) => withTables(statementOf({ sql }), sources)

describe('a statement for BigQuery', () => {
  it.each([
    ['SELECT id FROM plays', 'WITH `plays` AS (SELECT * FROM `p.d.plays`)\nSELECT id FROM plays'],
    [
      'WITH a AS (SELECT 1 AS n) SELECT * FROM plays, a;',
      'WITH `plays` AS (SELECT * FROM `p.d.plays`),\na AS (SELECT 1 AS n) SELECT * FROM plays, a',
    ],
    [
      'with recursive a AS (SELECT 1 AS n) SELECT * FROM a',
      'with recursive `plays` AS (SELECT * FROM `p.d.plays`),\na AS (SELECT 1 AS n) SELECT * FROM a',
    ],
    // Its own takes the name.
    ['WITH plays AS (SELECT 1 AS n) SELECT n FROM plays', undefined],
  ])('has a WITH for each table: %s', (sql, wanted = sql) => {
    expect(textOf(sql)).toBe(wanted)
  })

  it('names what stands in the text, and neither in quotes nor in comments', () => {
    const { text, words } = statementOf({
      sql: `SELECT 'it''s; a\\b' AS t -- plays ; @x\nFROM b /* plays */`,
    })
    expect([...words]).toEqual(['select', 'as', 't', 'from', 'b'])
    expect(text.replaceAll(/\s+/g, ' ')).toBe(`SELECT 'it\\'s; a\\\\b' AS t FROM b`)
  })

  it('brings the parameters that it uses, by the types of their values', () => {
    const parameters = { n: 7, big: 2n ** 60n, half: 0.5, text: '@n', ok: true, other: 1 }
    const statement = statementOf({
      sql: `SELECT @n, @big, @half, @text, @ok, '@other'`,
      parameters,
    })
    expect(
      queryParameters(statement, parameters).map(({ name, parameterType, parameterValue }) => [
        name,
        parameterType.type,
        parameterValue.value,
      ]),
    ).toEqual([
      ['n', 'INT64', '7'],
      ['big', 'INT64', '1152921504606846976'],
      ['half', 'FLOAT64', '0.5'],
      ['text', 'STRING', '@n'],
      ['ok', 'BOOL', 'true'],
    ])
  })

  it.each([
    ['SELECT 1; SELECT 2', 'one statement'],
    ['DROP TABLE plays', 'a SELECT'],
    ['SELECT @n', 'a value of the parameter @n'],
    ['', 'a SELECT'],
    [`SELECT 1 # "\n; DELETE FROM plays`, 'comments by --'],
    ["SELECT 1 # it's one\nFROM plays WHERE id = 'a'", 'comments by --'],
    ['SELECT "a; b"', 'text in single quotes'],
    ['SELECT * FROM `p.d.plays`', 'names without quotes'],
    [`SELECT 'a`, 'text in single quotes'],
    [`SELECT 1 /* a`, 'comments by --'],
  ])('is refused: %s', (sql, expected) => {
    expect(() => statementOf({ sql })).toThrow(expected)
  })
})
