import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { readPages } from './commands.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const LINK = /\]\((?!https?:)([^)#\s]*)(#[^)\s]+)?\)/g

/** As a heading is linked to. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => {
    const plain = heading.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    return `#${plain.replaceAll(' ', '-')}`
  })
}

test('every link between pages leads to a page, and to a heading of it', () => {
  const broken = readPages().flatMap(({ path, text }) =>
    [...text.matchAll(LINK)].flatMap(([, target = '', anchor]) => {
      const linked = target === '' ? path : join(dirname(path), target)
      if (!existsSync(join(ROOT, linked))) return [`${path}: ${target}`]
      if (anchor === undefined || !linked.endsWith('.md')) return []
      const has = anchorsOf(readFileSync(join(ROOT, linked), 'utf8')).includes(anchor)
      return has ? [] : [`${path}: ${target}${anchor}`]
    }),
  )
  expect(broken).toEqual([])
})

/** Tables of the history are called like metrics. */
const TABLES = ['batch_runs']

test('every metric that a guide names is one of docs/metrics.md', () => {
  const metrics = readFileSync(join(ROOT, 'docs', 'metrics.md'), 'utf8')
  const named = readPages().flatMap(({ path, text }) =>
    [...text.matchAll(/`((?:gateway|processor|batch|serving|relay)_[a-z_]+)[`{]/g)].map(
      ([, name = '']) => ({ path, name }),
    ),
  )
  expect(named.length).toBeGreaterThan(50)
  const unknown = named.filter(
    ({ name }) => !metrics.includes(`\`${name}\``) && !TABLES.includes(name),
  )
  expect(unknown).toEqual([])
})

test('docs/README.md names every page', () => {
  const index = readFileSync(join(ROOT, 'docs', 'README.md'), 'utf8')
  const absent = readPages()
    .map(({ path }) => path)
    .filter((path) => path.startsWith('docs/') && !path.includes('/runbooks/'))
    .filter((path) => path !== 'docs/README.md' && !index.includes(path.replace('docs/', '')))
  expect(absent).toEqual([])
})
