import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '..', '..')
/** The last two cells of a row: the name of a test and its file. */
const ROW = /\| `([^`]+)`\s*\| `([^`]+\.test\.ts)`\s*\|$/gm

test('every test that docs/faults.md names exists where it says', () => {
  const page = readFileSync(join(ROOT, 'docs', 'faults.md'), 'utf8')
  const rows = [...page.matchAll(ROW)].map(([, name = '', path = '']) => ({ name, path }))
  expect(rows.length).toBeGreaterThan(20)
  const absent = rows.filter(
    ({ name, path }) => !readFileSync(join(ROOT, path), 'utf8').includes(`'${name}'`),
  )
  expect(absent).toEqual([])
})
