import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, test } from 'vitest'
import { claimPort } from '../../shared/http/listen.ts'
import { endMainProcesses, MainProcess } from '../../shared/http/testing/main-process.ts'

const MAIN = join(import.meta.dirname, 'main.ts')
const KEY = Buffer.alloc(32, 3).toString('base64')
const folder = mkdtempSync(join(tmpdir(), 'backhaul-relay-main-'))
const feedsPath = join(folder, 'feeds.json')
writeFileSync(
  feedsPath,
  JSON.stringify({ feeds: [{ id: 'acme', mapping: 'cmcd', urls: ['ws://127.0.0.1:1/'] }] }),
)

afterEach(endMainProcesses)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const freePort = () =>
  claimPort({ host: '127.0.0.1', port: 0 }, (code) => new Error(`no free port: ${code}`))

async function begin(environment: Readonly<Record<string, string>>): Promise<MainProcess> {
  const adminPort = await freePort()
  return new MainProcess({
    script: [MAIN],
    adminPort,
    environment: {
      BACKHAUL_DATA_DIR: folder,
      BACKHAUL_SEAL_KEY: KEY,
      BACKHAUL_PSEUDONYM_KEYS: `k:${KEY}`,
      RELAY_ADMIN_PORT: `${adminPort}`,
      RELAY_FEEDS_PATH: feedsPath,
      KAFKA_BROKERS: `127.0.0.1:${await freePort()}`,
      KAFKA_CONNECT_TIMEOUT_MS: '500',
      KAFKA_REQUEST_TIMEOUT_MS: '1000',
      ...environment,
    },
  })
}

test('with no broker to reach it lives, is unready, says so once, and stops with 0', async () => {
  const relay = await begin({})
  const line = /the event log does not answer/g
  await expect.poll(() => [...relay.stderr.matchAll(line)].length).toBe(1)
  expect((await relay.ask('/healthz'))?.status).toBe(200)
  const unready = await relay.ask('/readyz')
  expect([unready?.status, unready?.text]).toEqual([
    503,
    expect.stringContaining('RELAY_LOG_UNAVAILABLE'),
  ])
  expect((await relay.ask('/elsewhere'))?.text).toContain('RELAY_PATH_UNKNOWN')
  relay.signal('SIGTERM')
  expect(await relay.ended).toBe(0)
  expect([...relay.stderr.matchAll(line)]).toHaveLength(1)
})

test.each([
  ['no file of feeds', { RELAY_FEEDS_PATH: '' }, 'RELAY_FEEDS_REQUIRED'],
  ['a file that is not there', { RELAY_FEEDS_PATH: '/nowhere.json' }, 'RELAY_FEEDS_INVALID'],
  ['no keys', { BACKHAUL_SEAL_KEY: '' }, 'GATEWAY_KEYS_REQUIRED'],
  ['an unknown setting', { RELAY_FEED_PATH: 'x' }, 'CONFIG_UNKNOWN'],
  ['less room than a message', { RELAY_IN_FLIGHT_MAX_BYTES: '65536' }, 'CONFIG_CONFLICT'],
])('%s ends it with one line', async (_, environment, code) => {
  const relay = await begin(environment)
  expect(await relay.ended).toBe(1)
  expect(relay.stderr.trim().split('\n')).toEqual([expect.stringContaining(code)])
})
