import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { repositoryFiles } from './repository-files.ts'
import { serviceMetrics } from './service-metrics.ts'

const ROOT = join(import.meta.dirname, '..', '..')
/** Those of the embedded stores are named by what they are of, and are not seen here. */
const DEFINITION = /kind: '(?:counter|gauge|histogram)',\s+name: '(\w+)'/g

test('every metric that some source defines is in the catalogue', () => {
  const listed = serviceMetrics.flatMap(({ metrics }) =>
    metrics.flatMap((table) => Object.values(table).map(({ name }) => name)),
  )
  const sources = repositoryFiles().filter(
    (path) => path.endsWith('.ts') && !/\.test\.ts$|\/testing\//.test(path),
  )
  const defined = sources.flatMap((path) =>
    [...readFileSync(join(ROOT, path), 'utf8').matchAll(DEFINITION)].map(([, name = '']) => name),
  )
  expect(defined.length).toBeGreaterThan(150)
  expect(defined.filter((name) => !listed.includes(name))).toEqual([])
})
