import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { addressOf, readFeeds, shownAddress } from './feeds.ts'
import { loadMapping } from './mappings/load.ts'

const folder = mkdtempSync(join(tmpdir(), 'backhaul-feeds-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const good = { id: 'acme', mapping: 'cmcd', urls: ['wss://feed.example/a?n={connection}'] }
const read = (value: unknown, files: Readonly<Record<string, string>> = {}) =>
  readFeeds('/etc/feeds.json', (path) => {
    if (path === '/etc/feeds.json') return typeof value === 'string' ? value : JSON.stringify(value)
    const text = files[path]
    if (text === undefined) throw new Error('ENOENT')
    return text
  })

test('a header may be a file beside the feeds, and paths start there', () => {
  const [feed] = read(
    {
      feeds: [
        { ...good, mapping: './acme.ts', headers: { Authorization: { path: 'key' }, x: 'y' } },
      ],
    },
    { '/etc/key': 'Bearer t\n' },
  )
  expect(feed).toMatchObject({
    mapping: '/etc/acme.ts',
    connections: 1,
    headers: { authorization: 'Bearer t', x: 'y' },
  })
  expect(addressOf('wss://f/{connection}?c={cursor}', 3, 'a b&c')).toBe('wss://f/3?c=a%20b%26c')
})

test.each([
  ['no JSON', '{', 'a file of JSON'],
  ['no feeds', { feeds: [] }, 'feeds'],
  ['another scheme', { feeds: [{ ...good, urls: ['https://x'] }] }, 'a ws: or wss: URL'],
  ['an unknown field', { feeds: [{ ...good, urlz: [] }] }, 'urlz'],
  ['an id for a path', { feeds: [{ ...good, id: '../x' }] }, 'lower-case letters'],
  ['an id twice', { feeds: [good, good] }, 'two feeds called acme'],
  ['no connections', { feeds: [{ ...good, connections: 0 }] }, 'connections'],
])('%s in the file is refused by name', (_, file, expected) => {
  expect(() => read(file)).toThrow(/^RELAY_FEEDS_INVALID/)
  expect(() => read(file)).toThrow(expected)
})

test('a file that breaks off shows none of its text', () => {
  const text = JSON.stringify({ feeds: [{ ...good, headers: { authorization: 'Bearer key' } }] })
  for (let end = 1; end < text.length; end += 1)
    expect(() => read(`${text.slice(0, end)}~`)).toThrow(/^((?!Bear|key).)*$/)
})

test.each([
  ['wss://f.example/a/b?token=key', 'wss://f.example/a/b'],
  ['wss://user:key@f.example:1/a', 'wss://f.example:1/a'],
  ['/elsewhere?token=key', '/elsewhere'],
])('of the address %s only %s is told', (address, shown) => {
  expect(shownAddress(address)).toBe(shown)
})

test('a secret that is not there is named, and never printed', () => {
  const file = { feeds: [{ ...good, caPath: '/ca.pem' }] }
  expect(() => read(file)).toThrow(/RELAY_SECRET_UNREADABLE.*\/ca\.pem/)
})

test('a mapping is a built-in one or a module that exports one', async () => {
  const path = join(folder, 'own.mjs')
  writeFileSync(path, 'export default { map: () => ({}) }')
  expect((await loadMapping(path)).map(new Uint8Array(0))).toEqual({})
  for (const [name, text] of [
    ['empty.mjs', 'export const map = 1'],
    ['broken.mjs', 'export default {'],
  ] as const) {
    writeFileSync(join(folder, name), text)
    await expect(loadMapping(join(folder, name))).rejects.toThrow(/RELAY_MAPPING_INVALID/)
  }
  await expect(loadMapping('acme')).rejects.toThrow(/one of playback\.v1, json-array, cmcd/)
})
