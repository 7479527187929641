/** The port for operators of every role that has one, over TLS: what it answers, and to whom. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { claimPort } from '../shared/http/listen.ts'
import { endMainProcesses, MainProcess } from '../shared/http/testing/main-process.ts'
import { selfSigned, writeSelfSigned } from '../shared/http/testing/self-signed.ts'
import { readConfig } from '../shared/runtime/config.ts'
import { assert } from '../shared/runtime/errors.ts'
import { standaloneConfigs } from './start.ts'

const KEY = Buffer.alloc(32, 3).toString('base64')
const ROOT = join(import.meta.dirname, '..')
const ROLES: readonly (readonly [role: string, script: string])[] = [
  ['gateway', 'gateway/main.ts'],
  ['relay', 'gateway/relay/main.ts'],
  ['processor', 'processor/main.ts'],
]

const own = selfSigned()
let folder: string
let files: readonly [certificate: string, key: string]
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'backhaul-admin-tls-'))
  const { tlsCertificateFile, tlsKeyFile } = writeSelfSigned(folder, own)
  files = [tlsCertificateFile, tlsKeyFile]
  const feed = { id: 'acme', mapping: 'cmcd', urls: ['ws://127.0.0.1:1/'] }
  writeFileSync(join(folder, 'feeds.json'), JSON.stringify({ feeds: [feed] }))
})
afterEach(endMainProcesses)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const freePort = () =>
  claimPort({ host: '127.0.0.1', port: 0 }, (code) => new Error(`no free port: ${code}`))

/** A role with no broker to reach, whose port for operators shows these files. */
async function begin(role: string, script: string, [certificate, key]: typeof files) {
  const adminPort = await freePort()
  const prefix = role.toUpperCase()
  const environment = {
    BACKHAUL_DATA_DIR: join(folder, role),
    BACKHAUL_SEAL_KEY: KEY,
    ...(role !== 'processor' && { BACKHAUL_PSEUDONYM_KEYS: `k:${KEY}` }),
    ...(role === 'relay' && { RELAY_FEEDS_PATH: join(folder, 'feeds.json') }),
    ...(role === 'gateway' && { GATEWAY_PORT: '0' }),
    KAFKA_BROKERS: `127.0.0.1:${await freePort()}`,
    [`${prefix}_ADMIN_PORT`]: `${adminPort}`,
    [`${prefix}_ADMIN_TLS_CERTIFICATE_FILE`]: certificate,
    [`${prefix}_ADMIN_TLS_KEY_FILE`]: key,
  }
  const options = { script: [join(ROOT, script)], adminPort, environment }
  return { adminPort, main: new MainProcess({ ...options, authority: own.certificate }) }
}

test.each(ROLES)('%s answers its operators over TLS, and nobody in clear', async (role, script) => {
  const { main, adminPort } = await begin(role, script, files)
  await expect.poll(async () => (await main.ask('/healthz'))?.status).toBe(200)
  expect(await main.ask('/metrics')).toMatchObject({
    status: 200,
    text: expect.stringContaining('backhaul_process_start_time_seconds ') as string,
  })
  const plain = connect(adminPort, '127.0.0.1')
  plain.write('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n')
  expect(await text(plain)).not.toContain('HTTP')
  main.signal('SIGTERM')
  expect(await main.ended).toBe(0)
})

test.each(ROLES)('%s does not begin with a certificate that is not there', async (role, script) => {
  const { main } = await begin(role, script, [join(folder, 'absent.crt'), files[1]])
  expect(await main.ended).toBe(1)
  expect(main.stderr).toContain('CONFIG_INVALID')
  expect(main.stderr).toContain(`${role.toUpperCase()}_ADMIN_TLS_CERTIFICATE_FILE`)
  expect(main.stderr).toContain('absent.crt')
})

test.each(ROLES)('%s wants a certificate and its key together', (role) => {
  const prefix = role.toUpperCase()
  const name = `${prefix}_ADMIN_TLS_KEY_FILE`
  const [spec] = standaloneConfigs.filter((one) => one.prefix === prefix)
  assert(spec !== undefined, 'every role has settings')
  const read = () => readConfig(spec, { [name]: 'a.key' }, () => '')
  expect(read).toThrow(expect.objectContaining({ code: 'CONFIG_CONFLICT' }) as Error)
  expect(read).toThrow(`${prefix}_ADMIN_TLS_CERTIFICATE_FILE and ${name} together`)
})
