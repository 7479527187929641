import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { documented } from '../scripts/docs/elsewhere.ts'
import { holdDataFolder } from './data-folder.ts'

const MAIN = join(import.meta.dirname, 'main.ts')
/** A machine under load takes its time to start a process. */
const DEADLINE_MS = 120_000

let folder: string
let blocker: Server | undefined

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'backhaul-main-'))
})
afterEach(() => {
  blocker?.close()
  blocker = undefined
  rmSync(folder, { recursive: true, force: true })
})

interface Ended {
  readonly code: number | null
  readonly stderr: string
  readonly stdout: string
}

/** Runs the server until it ends, or until `until` shows up, when it is asked to stop. */
function run(
  environment: Record<string, string>,
  until?: string,
  flags: readonly string[] = [],
): Promise<Ended> {
  const child = spawn(process.execPath, [MAIN, ...flags], {
    env: {
      PATH: process.env['PATH'],
      BACKHAUL_LOG_LEVEL: 'silent',
      BACKHAUL_DATA_DIR: folder,
      GATEWAY_PORT: '0',
      SERVING_PORT: '0',
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString()
    if (until === undefined || !stdout.includes(until)) return
    until = undefined
    // Twice, as npm and the terminal send it.
    child.kill('SIGINT')
    child.kill('SIGINT')
  })
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  return new Promise((resolve) => {
    child.once('close', (code) => resolve({ code, stderr, stdout }))
  })
}

async function blockedPort(): Promise<string> {
  const server = createServer()
  blocker = server
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `${(server.address() as AddressInfo).port}`
}

/** One line that holds the code and the setting, and exit code 1. */
function expectRefusal(ended: Ended, code: string, setting: string): void {
  expect(ended.stderr.trimEnd().split('\n')).toHaveLength(1)
  expect(ended.stderr).toContain(code)
  expect(ended.stderr).toContain(setting)
  expect(ended.code).toBe(1)
}

test.each([
  ['CONFIG_UNKNOWN', 'GATEWAY_PROT', { GATEWAY_PROT: '8080' }],
  ['CONFIG_INVALID', 'GATEWAY_PORT', { GATEWAY_PORT: 'eighty' }],
  ['CONFIG_INVALID', 'BACKHAUL_CUTS', { BACKHAUL_CUTS: 'total,colour' }],
  ['CONFIG_CONFLICT', 'BACKHAUL_AUTH_SECRET', { BACKHAUL_AUTH_MODE: 'hs256' }],
  [
    'CONFIG_INVALID',
    'BACKHAUL_AUTH_JWKS_URL',
    { BACKHAUL_AUTH_MODE: 'jwks', BACKHAUL_AUTH_JWKS_URL: 'garbage' },
  ],
  ['GATEWAY_AUTH_REQUIRED', 'GATEWAY_HOST', { GATEWAY_HOST: '0.0.0.0' }],
  ['SERVING_AUTH_REQUIRED', 'SERVING_HOST', { SERVING_HOST: '0.0.0.0' }],
])(
  '%s is one line naming %s, and exit 1',
  { timeout: DEADLINE_MS },
  async (code, setting, environment) => {
    expectRefusal(await run(environment), code, setting)
  },
)

test('a port in use is one line naming its setting', { timeout: DEADLINE_MS }, async () => {
  const port = await blockedPort()
  expectRefusal(await run({ GATEWAY_PORT: port }), 'GATEWAY_PORT_IN_USE', 'GATEWAY_PORT')
  expectRefusal(await run({ SERVING_PORT: port }), 'SERVING_PORT_IN_USE', 'SERVING_PORT')
})

test('a data folder of another format is refused', { timeout: DEADLINE_MS }, async () => {
  writeFileSync(join(folder, 'format.json'), '{"format":0}')
  expectRefusal(await run({}), 'STANDALONE_DATA_FORMAT', 'BACKHAUL_DATA_DIR')
})

test('a data folder that another process holds is refused', { timeout: DEADLINE_MS }, async () => {
  const held = await holdDataFolder(folder)
  expectRefusal(await run({}), 'STANDALONE_DATA_HELD', 'BACKHAUL_DATA_DIR')
  await held.release()
})

test('it says where it runs, and stops cleanly on Ctrl-C', { timeout: DEADLINE_MS }, async () => {
  const [, flags = ''] = documented('npm start -- --batch-every 1m').split(' -- ')
  const ended = await run({}, 'Try next', flags.split(' '))
  expect(ended.stdout).toMatch(/Dashboard {3}http:\/\/127\.0\.0\.1:\d+\//)
  expect(ended.stdout).toContain('Stopped.')
  expect(ended.code).toBe(0)
})
