/** The processor on its own, without any broker. */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, test } from 'vitest'
import { claimPort } from '../shared/http/listen.ts'
import { holderAddress } from '../shared/runtime/folder-holder.ts'
import { endMainProcesses, MainProcess } from '../shared/http/testing/main-process.ts'

const folder = mkdtempSync(join(tmpdir(), 'backhaul-processor-main-'))

afterEach(endMainProcesses)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const freePort = () =>
  claimPort({ host: '127.0.0.1', port: 0 }, (code) => new Error(`no free port: ${code}`))

async function begin(settings: Readonly<Record<string, string>>): Promise<MainProcess> {
  const adminPort = await freePort()
  const environment = {
    BACKHAUL_DATA_DIR: folder,
    BACKHAUL_SEAL_KEY: Buffer.alloc(32, 3).toString('base64'),
    PROCESSOR_ADMIN_PORT: `${adminPort}`,
    ...settings,
  }
  return new MainProcess({ script: [join(import.meta.dirname, 'main.ts')], adminPort, environment })
}

test.each([
  ['CONFIG_UNKNOWN', 'PROCESSOR_GROPU', { PROCESSOR_GROPU: 'a' }],
  ['CONFIG_INVALID', 'KAFKA_BROKERS', { KAFKA_BROKERS: 'broker' }],
  ['CONFIG_INVALID', 'PROCESSOR_SPEED_STORE', { PROCESSOR_SPEED_STORE: 'files' }],
  [
    'CONFIG_UNKNOWN',
    'CASSANDRA_KEYSPAC',
    { PROCESSOR_SPEED_STORE: 'cassandra', CASSANDRA_KEYSPAC: 'a' },
  ],
  [
    'CONFIG_INVALID',
    'CASSANDRA_CONTACT_POINTS',
    { PROCESSOR_SPEED_STORE: 'cassandra', CASSANDRA_CONTACT_POINTS: 'node' },
  ],
  ['CONFIG_CONFLICT', 'GCS_BUCKET', { OBJECT_STORE: 'gcs' }],
  ['CONFIG_UNKNOWN', 'GCS_BUKET', { OBJECT_STORE: 'gcs', GCS_BUCKET: 'a-bucket', GCS_BUKET: 'a' }],
  [
    'ALERT_RULES_UNREADABLE',
    'PROCESSOR_ALERTS_RULES_PATH',
    { PROCESSOR_ALERTS_RULES_PATH: join(folder, 'no-such-file.json') },
  ],
  ['PROCESSOR_SEAL_KEY_REQUIRED', 'BACKHAUL_SEAL_KEY', { BACKHAUL_SEAL_KEY: '' }],
  [
    'PROCESSOR_ADMIN_PORT_UNAVAILABLE',
    'PROCESSOR_ADMIN_HOST',
    { PROCESSOR_ADMIN_HOST: '192.0.2.1' },
  ],
])('%s is one line naming %s, and exit 1', async (code, setting, environment) => {
  const main = await begin({ BACKHAUL_LOG_LEVEL: 'silent', ...environment })
  expect(await main.ended).toBe(1)
  expect(main.stderr.trimEnd().split('\n')).toHaveLength(1)
  expect(main.stderr).toContain(code)
  expect(main.stderr).toContain(setting)
})

test('the data folder of a running server is refused, which is named, until it has stopped', async () => {
  const server = createServer((socket) => socket.end(`${process.pid}`))
  await new Promise<void>((resolve) => server.listen(holderAddress(folder), resolve))
  try {
    const main = await begin({ BACKHAUL_LOG_LEVEL: 'silent' })
    expect(await main.ended).toBe(1)
    expect(main.stderr.trimEnd().split('\n')).toHaveLength(1)
    expect(main.stderr).toContain('PROCESSOR_DATA_FOLDER_HELD')
    expect(main.stderr).toContain(`held by process ${process.pid}`)
  } finally {
    await new Promise((resolve) => server.close(resolve))
  }
})

test('with no broker to reach it lives, is unready, says so once, and stops with 0', async () => {
  const main = await begin({
    KAFKA_BROKERS: `127.0.0.1:${await freePort()}`,
    KAFKA_CONNECT_TIMEOUT_MS: '500',
    KAFKA_REQUEST_TIMEOUT_MS: '1000',
  })
  await expect.poll(async () => (await main.ask('/healthz'))?.status).toBe(200)
  const line = /the event log does not answer/g
  await expect.poll(() => [...main.stderr.matchAll(line)].length).toBe(1)
  const unready = await main.ask('/readyz')
  expect(unready?.status).toBe(503)
  expect(unready?.text).toContain('PROCESSOR_LOG_UNAVAILABLE')
  const metrics = (await main.ask('/metrics'))?.text
  expect(metrics).toContain('log_kafka_fetches_total')
  expect(metrics).toContain('\nbackhaul_process_start_time_seconds ')
  const debug = JSON.parse((await main.ask('/debug/partitions'))?.text ?? '') as unknown
  expect(debug).toEqual({ role: 'secondary', partitions: [] })
  expect((await main.ask('/debug/sessions/s%201'))?.text).toContain('PROCESSOR_SESSION_NOT_HELD')
  expect((await main.ask('/elsewhere'))?.text).toContain('PROCESSOR_ADMIN_PATH_UNKNOWN')
  main.signal('SIGTERM')
  expect(await main.ended).toBe(0)
  expect([...main.stderr.matchAll(line)]).toHaveLength(1)
})
