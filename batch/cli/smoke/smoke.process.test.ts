/** The smoke test against a whole server: what it shows when all is well, and what it says when not. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../../shared/runtime/clock.ts'
import { CommandsOn, expectRefusal } from '../../testing/commands-on.ts'

const MAIN = join(import.meta.dirname, '..', '..', '..', 'standalone', 'main.ts')
const SECRET = 'a-secret-of-thirty-two-characters-or-more'
const AUTH = { BACKHAUL_AUTH_MODE: 'hs256', BACKHAUL_AUTH_SECRET: SECRET }

let folder: string
let server: ChildProcess
let gateway: string
let serving: string
let commands: CommandsOn

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'backhaul-smoke-'))
  server = spawn(process.execPath, [MAIN], {
    env: {
      PATH: process.env['PATH'],
      BACKHAUL_DATA_DIR: join(folder, 'data'),
      BACKHAUL_LOG_LEVEL: 'silent',
      GATEWAY_PORT: '0',
      SERVING_PORT: '0',
      ...AUTH,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const text = await welcomeOf(server)
  gateway = /ws:\S+/.exec(text)?.[0] ?? ''
  serving = /Dashboard\s+(\S+)/.exec(text)?.[1] ?? ''
  commands = new CommandsOn(join(folder, 'data'), systemClock)
})
afterAll(async () => {
  const ended = once(server, 'close')
  server.kill('SIGTERM')
  await ended
  rmSync(folder, { recursive: true, force: true })
})

/** What the server prints once it serves. */
function welcomeOf({ stdout }: ChildProcess): Promise<string> {
  let text = ''
  return new Promise((resolve, reject) => {
    stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      if (text.includes('Try next')) resolve(text)
    })
    stdout?.once('end', () => reject(new Error(`the server ended: ${text}`)))
  })
}

test('its session is acknowledged and can be read, with a token of its own', async () => {
  const line = `smoke --gateway ${gateway} --serving ${serving} --json`
  const { code, output } = await commands.run(line, AUTH)
  expect(code).toBe(0)
  expect(JSON.parse(output)).toEqual({
    sessionId: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
    acknowledgedAfterMs: expect.any(Number) as number,
    readableAfterMs: expect.any(Number) as number,
  })
})

test('a token that services refuse is told in one line', async () => {
  const path = join(folder, 'token')
  writeFileSync(path, 'not-a-token\n')
  const line = `smoke --gateway ${gateway} --serving ${serving} --wait 2 --token-file ${path}`
  expectRefusal(await commands.run(line), 1, 'CLI_SMOKE_NOT_ACKNOWLEDGED')
})

test('a serving that does not answer is told with what it said', async () => {
  const line = `smoke --gateway ${gateway} --serving http://127.0.0.1:1 --wait 2`
  const ended = await commands.run(line, AUTH)
  expectRefusal(ended, 1, 'CLI_SMOKE_NOT_READ')
  expect(ended.errors).toContain('fetch failed')
})

test.each([
  ['--gateway', 'smoke --gateway http://127.0.0.1 --serving http://127.0.0.1'],
  ['--serving', 'smoke --gateway ws://127.0.0.1 --serving 127.0.0.1'],
  ['--token-file', 'smoke --gateway ws://a --serving http://a --token-file /no/such/file'],
])('%s must be of its kind', async (option, line) => {
  const ended = await commands.run(line)
  expectRefusal(ended, 2, 'CLI_USAGE_INVALID')
  expect(ended.errors).toContain(option)
})
