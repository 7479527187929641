import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { TOPICS } from '../../shared/log/topics.ts'
import { MIGRATIONS } from '../../shared/speed/cassandra-migrations.ts'
import { aclRules } from '../services/kafka/acls.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const page = readFileSync(join(ROOT, 'docs', 'security.md'), 'utf8')
const threats = page.slice(page.indexOf('## Device'))

test('every threat of docs/security.md has a test, and the tests are there', () => {
  const rows = threats
    .split('\n')
    .filter((line) => /^\| [^-]/.test(line) && !/^\| threat /i.test(line))
  expect(rows.length).toBeGreaterThan(30)
  const named = rows.map((row) => [...row.matchAll(/`([\w./-]+\.test\.ts)`/g)].map(([, at]) => at))
  expect(rows.filter((_row, index) => named[index]?.length === 0)).toEqual([])
  const paths = new Set(named.flat())
  expect([...paths].filter((path) => !existsSync(join(ROOT, path ?? '')))).toEqual([])
})

test('every topic is written by some role and asked about by each that starts', () => {
  const rules = aclRules()
  const mayWrite = (topic: string) =>
    rules.some(({ operations, topics }) => operations.includes('Write') && topics.includes(topic))
  expect(Object.values(TOPICS).filter((topic) => !mayWrite(topic))).toEqual([])
  for (const role of ['setup', 'gateway', 'relay', 'processor']) {
    const asks = rules.filter((rule) => rule.role === role && rule.operations.includes('Describe'))
    const [prefix = ''] = asks.flatMap(({ topics, isPrefix }) => (isPrefix ? topics : []))
    expect(Object.values(TOPICS).every((topic) => topic.startsWith(prefix))).toBe(true)
    expect(prefix).not.toBe('')
  }
})

test('every table is granted to those who write it', () => {
  const grants = readFileSync(join(ROOT, 'docs', 'security', 'cassandra-grants.cql'), 'utf8')
  const statements = MIGRATIONS.flatMap((migration) => migration.statements)
  const tables = statements.flatMap(
    (text) => /CREATE TABLE IF NOT EXISTS (\w+)/.exec(text)?.[1] ?? [],
  )
  expect(tables.length).toBeGreaterThan(5)
  for (const role of ['processor', 'batch'])
    for (const table of tables)
      expect(grants).toContain(`GRANT MODIFY ON TABLE backhaul.${table} TO backhaul_${role};`)
})

test('dependencies are of exact versions with hashes, and run code at install by list alone', () => {
  const json = (path: string): unknown => JSON.parse(readFileSync(join(ROOT, path), 'utf8'))
  const names = z.record(z.string(), z.string())
  const own = z
    .object({
      dependencies: names,
      devDependencies: names,
      allowScripts: z.record(z.string(), z.boolean()),
    })
    .parse(json('package.json'))
  const versions = { ...own.dependencies, ...own.devDependencies }
  const loose = Object.entries(versions).filter(
    ([, text]) => !/^(npm:[^@]+@)?\d+\.\d+\.\d+/.test(text),
  )
  expect(loose).toEqual([])
  const entry = z.object({
    integrity: z.string().optional(),
    hasInstallScript: z.boolean().optional(),
  })
  const { packages } = z
    .object({ packages: z.record(z.string(), entry) })
    .parse(json('package-lock.json'))
  const installed = Object.entries(packages).filter(([path]) => path !== '')
  expect(installed.length).toBeGreaterThan(50)
  expect(
    installed.filter(([, { integrity }]) => integrity?.startsWith('sha512-') !== true),
  ).toEqual([])
  const running = installed.flatMap(([path, { hasInstallScript }]) =>
    hasInstallScript === true ? [path.replace(/^.*node_modules\//, '')] : [],
  )
  expect(running.filter((name) => own.allowScripts[name] !== true)).toEqual([])
})
