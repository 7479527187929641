import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { readRules } from '../alerts/rules.ts'
import { readPages, type Page } from './commands.ts'
import { repositoryFiles } from './repository-files.ts'

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

/** Decisions are of their time; the map is not. */
const GUIDES = [...readPages(), readPage('ARCHITECTURE.md')]

function readPage(path: string): Page {
  return { path, text: readFileSync(join(ROOT, path), 'utf8') }
}

interface Named {
  readonly path: string
  readonly name: string
}

/** Every match of `pattern` in what the guides set in back quotes, or in all of their text. */
function named(pattern: RegExp, within: 'code' | 'all' = 'code'): Named[] {
  return GUIDES.flatMap(({ path, text }) => {
    const prose = text.replaceAll(/^```[\s\S]*?^```$/gm, '')
    const texts = within === 'all' ? [text] : [...prose.matchAll(/`([^`\n]+)`/g)].map(([, t]) => t)
    return texts.flatMap((one = '') =>
      [...one.matchAll(pattern)].map(([name, group]) => ({ path, name: group ?? name })),
    )
  })
}

/** What the rows of a generated page begin with. */
function catalogue(page: string): ReadonlySet<string> {
  const { text } = readPage(`docs/${page}.md`)
  return new Set([...text.matchAll(/^\| `([^`]+)`/gm)].map(([, name = '']) => name))
}

const METRICS = catalogue('metrics')
const SETTINGS = catalogue('config')
/** Called like metrics, and none: a table of the history. */
const NO_METRICS = ['batch_runs']
/** Called like settings and codes, and none of ours. */
const OF_OTHERS: Readonly<Record<string, string>> = {
  CMCD_UNKNOWN: 'the code of an error that a player reports without one',
  GOOGLE_APPLICATION_CREDENTIALS: 'read by the libraries of Google',
  JOB_COMPLETION_INDEX: 'set by Kubernetes',
  NODE_EXTRA_CA_CERTS: 'read by Node',
  SASL_SSL: 'a protocol of Kafka',
}

const firstWords = (names: ReadonlySet<string>) => [
  ...new Set([...names].map((name) => name.split('_')[0])),
]

test('every metric that a guide names is one of docs/metrics.md', () => {
  const prefixes = firstWords(METRICS).join('|')
  const found = named(new RegExp(`(?<![\\w./-])(?:${prefixes})_[a-z0-9_]+(?![\\w./])`, 'g'))
  expect(found.length).toBeGreaterThan(100)
  const isThere = (name: string) =>
    METRICS.has(name) ||
    METRICS.has(name.replace(/_(?:bucket|count|sum)$/, '')) ||
    NO_METRICS.includes(name) ||
    // A family of them: `processor_alerts_*`.
    (name.endsWith('_') && [...METRICS].some((metric) => metric.startsWith(name)))
  expect(found.filter(({ name }) => !isThere(name))).toEqual([])
})

test('every setting, error code and limit that a guide names is one of the generated pages', () => {
  const known = new Set([...SETTINGS, ...catalogue('errors'), ...catalogue('limits')])
  const isThere = (name: string) =>
    known.has(name) || SETTINGS.has(name.replace(/_FILE$/, '')) || name in OF_OTHERS
  const prefixes = firstWords(SETTINGS).join('|')
  const found = [
    ...named(/\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b/g),
    ...named(new RegExp(`\\b(?:${prefixes})(?:_[A-Z0-9]+)+\\b`, 'g'), 'all'),
  ]
  expect(found.length).toBeGreaterThan(400)
  expect(found.filter(({ name }) => !isThere(name))).toEqual([])
  const unused = Object.keys(OF_OTHERS).filter((other) => !found.some(({ name }) => name === other))
  expect(unused).toEqual([])
})

test('every value of the chart that a guide names is one of values.yaml', () => {
  const values: unknown = parse(readPage('helm/backhaul/values.yaml').text)
  const roots = Object.keys(values as object).join('|')
  const path = `(?:${roots})(?:\\.[a-zA-Z]\\w*)+`
  const found = [
    ...named(new RegExp(`^(${path})(?:[:=].*)?$`, 'g')),
    ...named(new RegExp(`--set(?:-string)? (${path})`, 'g'), 'all'),
  ]
  expect(found.length).toBeGreaterThan(8)
  expect(found.filter(({ name }) => !hasValue(values, name.split('.')))).toEqual([])
})

/** What stands as an empty map takes keys of the reader's own. */
function hasValue(values: unknown, [key, ...rest]: readonly string[]): boolean {
  if (key === undefined) return true
  if (typeof values !== 'object' || values === null) return false
  if (Object.keys(values).length === 0) return true
  return key in values && hasValue(values[key as keyof typeof values], rest)
}

test('every alert that a guide names is one of the rules', () => {
  const alerts = readRules().flatMap((file) => file.alerts.map(({ alert }) => alert))
  const found = named(/\bBackhaul(?:[A-Z][a-z]+)+\b(?!\.\*)/g, 'all')
  expect(found.length).toBeGreaterThan(100)
  expect(found.filter(({ name }) => !alerts.includes(name))).toEqual([])
})

/** Stand for files of the reader's own. */
const FILES_OF_READERS = ['feeds/acme.ts', 'alertmanager.yaml']

test('every file of the repository that a guide names is there', () => {
  const files = repositoryFiles()
  const found = named(/(?<![\w./*<>…-])[\w-][\w./-]*\.(?:ts|mjs|sql|cql|sh|py|ya?ml)\b(?![/.])/g)
  expect(found.length).toBeGreaterThan(200)
  const isThere = (name: string) =>
    files.some((file) => file === name || file.endsWith(`/${name}`)) ||
    FILES_OF_READERS.includes(name)
  expect(found.filter(({ name }) => !isThere(name))).toEqual([])
})

test('docs/README.md names every page', () => {
  const index = readFileSync(join(ROOT, 'docs', 'README.md'), 'utf8')
  const absent = readPages()
    .map(({ path }) => path)
    .filter((path) => path.startsWith('docs/') && !path.includes('/runbooks/'))
    .filter((path) => path !== 'docs/README.md' && !index.includes(path.replace('docs/', '')))
  expect(absent).toEqual([])
})
