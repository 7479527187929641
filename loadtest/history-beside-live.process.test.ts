/**
 * A standalone server with a short life of panes: what it answers live is answered from the history
 * a little later, to the digit; and its batch, whatever befalls it, is nothing to those who take events.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../shared/runtime/clock.ts'
import { BATCH_PROCESS_MIB } from '../standalone/limits.ts'
import { freePort, StandaloneProcess } from './standalone-process.ts'

const MINUTE_MS = 60_000
const DEADLINE_MS = 600_000
const SOON = { timeout: 240_000, interval: 250 }

interface Bucket {
  readonly startMs: number
  readonly source: string
  readonly complete: boolean
  readonly events: number
}
interface QoeAnswer {
  readonly historyToMs: number | null
  readonly degraded?: readonly { readonly code: string }[]
  readonly series: readonly { readonly key: object; readonly buckets: readonly Bucket[] }[]
}
interface Status {
  readonly batch: {
    readonly lastRun: { readonly run: number } | null
    readonly failure: { readonly code: string; readonly detail: string } | null
  }
}

let folder: string
let server: StandaloneProcess
let gatewayUrl: string
let servingUrl: string
let child: number | undefined
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'backhaul-history-'))
  const [gatewayPort, servingPort] = [await freePort(), await freePort()]
  gatewayUrl = `http://127.0.0.1:${gatewayPort}`
  servingUrl = `http://127.0.0.1:${servingPort}`
  server = new StandaloneProcess({
    BACKHAUL_DATA_DIR: folder,
    BACKHAUL_LOG_LEVEL: 'warn',
    GATEWAY_PORT: `${gatewayPort}`,
    SERVING_PORT: `${servingPort}`,
    PROCESSOR_SESSION_TIMEOUT_MS: '1000',
    PROCESSOR_REORDER_MS: '100',
    PROCESSOR_OUT_OF_ORDERNESS_MS: '0',
    PROCESSOR_ALLOWED_LATENESS_MS: '2000',
    BATCH_EVERY_MS: '10000',
  })
  await server.start()
})
afterEach(async () => {
  // A child that is stopped would keep the server's output open.
  if (child !== undefined && isAlive(child)) process.kill(child, 'SIGKILL')
  await server.kill()
  rmSync(folder, { recursive: true, force: true })
})

const get = async <Body>(path: string): Promise<Body> =>
  (await (await fetch(`${servingUrl}${path}`)).json()) as Body

/** A play of a second with a stall in it; resolves with the answer's status. */
async function playSession(sessionId: string, cdn: string): Promise<number> {
  const nowMs = systemClock.nowMs()
  const types = ['playbackRequest', 'playbackStart', 'playbackStall', 'playbackStart', 'sessionEnd']
  const response = await fetch(`${gatewayUrl}/v1/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      v: 1,
      sentAt: nowMs,
      session: { sessionId, contentId: 'movie-1', cdn, viewerId: sessionId },
      events: types.map((type, seq) => ({ seq, type, at: nowMs - 1_000 + seq * 200 })),
    }),
  })
  return response.status
}

/** What both sides must agree on: everything but how it was known. */
function valuesOf({ source: _source, ...values }: Bucket) {
  return { ...values, asOfMs: 0, complete: true, concurrencyComplete: true, late: 0 }
}

/** The one other process that the server runs. */
function childOf(processId: number | undefined): number {
  const children = readFileSync(`/proc/${processId}/task/${processId}/children`, 'utf8')
  return Number(children.trim().split(' ')[0])
}

/** Largest resident memory that the process has had. */
function peakMiBOf(processId: number): number {
  const [, kiB] =
    /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${processId}/status`, 'utf8')) ?? []
  return Number(kiB) / 1_024
}

function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0)
    return true
  } catch {
    return false
  }
}

test(
  'history follows live to the digit, and its process is expendable',
  { timeout: DEADLINE_MS },
  async () => {
    const minuteMs = Math.floor(systemClock.nowMs() / MINUTE_MS) * MINUTE_MS
    const path = `/v1/qoe?by=cdn&from=${minuteMs - MINUTE_MS}&to=${minuteMs + 2 * MINUTE_MS}`
    for (const [index, cdn] of ['a', 'a', 'b'].entries())
      expect(await playSession(`s-${index}`, cdn)).toBe(204)

    const answer = () => get<QoeAnswer>(path)
    const buckets = (of: QoeAnswer) =>
      of.series.flatMap(({ key, buckets: all }) => all.map((bucket) => ({ key, ...bucket })))
    const withEvents = (of: QoeAnswer) => buckets(of).filter((bucket) => bucket.events !== 0)
    const eventsOf = (of: QoeAnswer) =>
      withEvents(of).reduce((sum, bucket) => sum + bucket.events, 0)
    await expect.poll(async () => eventsOf(await answer()), SOON).toBe(15)
    let live = await answer()
    await expect
      .poll(async () => {
        const now = await answer()
        // The last answer that is all live, its panes closed.
        if (withEvents(now).every((bucket) => bucket.source === 'speed')) live = now
        return new Set(withEvents(now).map(({ source }) => source))
      }, SOON)
      .toEqual(new Set(['history']))
    const past = await answer()
    expect(past.degraded).toBeUndefined()
    expect(withEvents(past).map(valuesOf)).toEqual(withEvents(live).map(valuesOf))

    const status = await get<Status>('/v1/status')
    expect(status.batch).toMatchObject({ failure: null })
    expect(status.batch.lastRun?.run).toBeGreaterThan(0)

    child = childOf(server.processId)
    const tasks = readdirSync(`/proc/${child}/task`)
    const niceness = tasks.map((task) => {
      const fields = readFileSync(`/proc/${child}/task/${task}/stat`, 'utf8').split(') ')[1] ?? ''
      return Number(fields.split(' ')[16])
    })
    expect(new Set(niceness)).toEqual(new Set([constants.priority.PRIORITY_LOW]))

    // It has run the batch and answered from the history by now.
    expect(peakMiBOf(child)).toBeGreaterThan(0)
    expect(peakMiBOf(child)).toBeLessThanOrEqual(BATCH_PROCESS_MIB)

    // Stopped, it costs whoever needs the history some patience, and nobody an acknowledgement.
    process.kill(child, 'SIGSTOP')
    expect(await playSession('s-3', 'a')).toBe(204)
    // A question whose answer is not in memory.
    const impatient = await get<QoeAnswer>(path.replace('by=cdn', 'by=country'))
    expect([eventsOf(impatient) >= 15, impatient.degraded?.length ?? 0]).toEqual([true, 1])
    process.kill(child, 'SIGKILL')
    await expect.poll(() => childOf(server.processId) || child, SOON).not.toBe(child)
    expect(await playSession('s-4', 'a')).toBe(204)
    await expect.poll(async () => (await answer()).degraded, SOON).toBeUndefined()
    expect(new Set(withEvents(await answer()).map(({ source }) => source))).toContain('history')

    // It ends with its parent, however that ends.
    const orphan = childOf(server.processId)
    await server.kill()
    await expect.poll(() => isAlive(orphan), SOON).toBe(false)
  },
)
