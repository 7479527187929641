import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { MATRIX_ROWS } from '../alerts/rules.ts'
import { repositoryFiles } from './repository-files.ts'
import { testTitles } from './test-titles.ts'

const ROOT = join(import.meta.dirname, '..', '..')
/** The first cell of a row, and the last two: the title of a test and its file. */
const ROW = /^\| +([^|]+?) +\|.*\| `([^`]+)` +\| `([^`]+\.(?:test|contract)\.ts)` +\|$/gm

interface Shown {
  /** Rows of the matrix, where the table is of such. */
  readonly rows: readonly number[]
  readonly title: string
  readonly path: string
}

const page = readFileSync(join(ROOT, 'docs', 'faults.md'), 'utf8')
const shown = [...page.matchAll(ROW)].map(([, first = '', title = '', path = '']): Shown => {
  const rows = /^\d+(?:, \d+)*$/.test(first) ? first.split(', ').map(Number) : []
  return { rows, title, path }
})
const titlesOf = (path: string) => testTitles(readFileSync(join(ROOT, path), 'utf8'))

test('every test that docs/faults.md names is in the file that it names', () => {
  expect(shown.length).toBeGreaterThan(90)
  const absent = shown.filter(
    ({ title, path }) => !existsSync(join(ROOT, path)) || !titlesOf(path).has(title),
  )
  expect(absent).toEqual([])
})

test('every row of the fault matrix has a test that shows it', () => {
  const withTest = new Set(shown.flatMap(({ rows }) => rows))
  const matrix = Array.from({ length: MATRIX_ROWS }, (_, index) => index + 1)
  expect(matrix.filter((row) => !withTest.has(row))).toEqual([])
  expect([...withTest].filter((row) => !matrix.includes(row))).toEqual([])
})

test('every test that bears the number of a row stands at that row', () => {
  const numbered = repositoryFiles()
    .filter((path) => path.endsWith('.test.ts'))
    .flatMap((path) => [...titlesOf(path)].map((title) => ({ path, title })))
    .flatMap(({ path, title }) => {
      const row = /^row (\d+): /.exec(title)?.[1]
      return row === undefined ? [] : [{ path, title, row: Number(row) }]
    })
  expect(numbered.length).toBeGreaterThan(15)
  const absent = numbered.filter(
    (one) =>
      !shown.some(
        ({ rows, title, path }) =>
          title === one.title && path === one.path && rows.includes(one.row),
      ),
  )
  expect(absent).toEqual([])
})
