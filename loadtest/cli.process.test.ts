/** The operators' command line as it is called, beside a server that takes events meanwhile. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../shared/runtime/clock.ts'
import { freePort, StandaloneProcess } from './standalone-process.ts'

const DEADLINE_MS = 300_000
const SOON = { timeout: 120_000, interval: 500 }

let folder: string
let server: StandaloneProcess
let gatewayUrl: string
let environment: Record<string, string>

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'backhaul-cli-'))
  const gatewayPort = await freePort()
  gatewayUrl = `http://127.0.0.1:${gatewayPort}`
  environment = {
    BACKHAUL_DATA_DIR: folder,
    BACKHAUL_LOG_LEVEL: 'warn',
    GATEWAY_PORT: `${gatewayPort}`,
    SERVING_PORT: `${await freePort()}`,
    PROCESSOR_SESSION_TIMEOUT_MS: '1000',
    PROCESSOR_REORDER_MS: '100',
    PROCESSOR_OUT_OF_ORDERNESS_MS: '0',
    PROCESSOR_ALLOWED_LATENESS_MS: '2000',
    BATCH_EVERY_MS: '0',
  }
  server = new StandaloneProcess(environment)
  await server.start()
})
afterEach(async () => {
  await server.kill()
  rmSync(folder, { recursive: true, force: true })
})

async function backhaul(...args: readonly string[]) {
  const child = spawn('npx', ['backhaul', ...args], {
    cwd: join(import.meta.dirname, '..'),
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const closed = new Promise<number | null>((resolve) => child.once('close', resolve))
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr)])
  return { code: await closed, output, errors }
}

/** A play of a second with a stall in it. */
async function playSession(sessionId: string): Promise<number> {
  const nowMs = systemClock.nowMs()
  const types = ['playbackRequest', 'playbackStart', 'playbackStall', 'playbackStart', 'sessionEnd']
  const response = await fetch(`${gatewayUrl}/v1/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      v: 1,
      sentAt: nowMs,
      session: { sessionId, contentId: 'movie-1', cdn: 'a', viewerId: sessionId },
      events: types.map((type, seq) => ({ seq, type, at: nowMs - 1_000 + seq * 200 })),
    }),
  })
  return response.status
}

test(
  'runs the batch, proves that live and history agree, and follows an event, beside a server',
  { timeout: DEADLINE_MS },
  async () => {
    for (const name of ['one', 'two', 'three']) expect(await playSession(name)).toBe(204)
    expect(await backhaul('batch', 'run')).toMatchObject({ code: 0, errors: '' })

    // What the processor has not written yet is pending, and so is what a later tick changed.
    const verdict = async () => {
      const until = Date.now() + 60_000
      const { output, errors } = await backhaul(
        'reconcile',
        '--from',
        new Date(until - 3_600_000).toISOString(),
        '--to',
        new Date(until).toISOString(),
        '--json',
      )
      expect(errors).toBe('')
      await backhaul('batch', 'run')
      return JSON.parse(output) as { verdict: string; compared: number; defects: number }
    }
    await expect.poll(verdict, SOON).toMatchObject({ verdict: 'equal', defects: 0 })

    const event = await backhaul('ledger', 'show', 'two/3')
    expect(event).toMatchObject({ code: 0, errors: '' })
    expect(event.output).toContain('session_id two, seq 3, type playbackStart')
    const verified = await backhaul('verify', '--json')
    expect(verified.code).toBe(0)
    expect(JSON.parse(verified.output)).toMatchObject({ faults: [] })

    // The server took no harm: it goes on where it was.
    expect(await playSession('four')).toBe(204)
    expect((await backhaul('nonsense')).code).toBe(2)
  },
)
