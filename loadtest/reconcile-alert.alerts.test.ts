/**
 * From a defect in the live view to whoever is woken by it: `npx backhaul reconcile` beside a running
 * server names the key and ends with 1, the server's metrics say so when that process is gone, the
 * rule that operators load fires on what they say, and after a repair all of it is quiet again.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../shared/runtime/clock.ts'
import { readProgress } from '../shared/speed/generations.ts'
import { openLmdbSpeedStore } from '../shared/speed/lmdb-speed-store.ts'
import type { MinuteRow } from '../shared/speed/rows.ts'
import type { SpeedStore } from '../shared/speed/speed-store.ts'
import { OperatorsCommands } from './operators-commands.ts'
import { freePort, StandaloneProcess } from './standalone-process.ts'

const RULES = join(import.meta.dirname, '..', 'helm', 'backhaul', 'alerts')
const DEADLINE_MS = 600_000
const SOON = { timeout: 240_000, interval: 500 }
const MINUTE_MS = 60_000

const execute = promisify(execFile)
const promtool = (...args: string[]) => execute('promtool', args)

let folder: string
let server: StandaloneProcess
let commands: OperatorsCommands
let gatewayUrl: string
let servingUrl: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'backhaul-alert-'))
  const [gatewayPort, servingPort] = [await freePort(), await freePort()]
  gatewayUrl = `http://127.0.0.1:${gatewayPort}`
  servingUrl = `http://127.0.0.1:${servingPort}`
  const environment = {
    BACKHAUL_DATA_DIR: folder,
    BACKHAUL_LOG_LEVEL: 'warn',
    GATEWAY_PORT: `${gatewayPort}`,
    SERVING_PORT: `${servingPort}`,
    PROCESSOR_SESSION_TIMEOUT_MS: '1000',
    PROCESSOR_REORDER_MS: '100',
    PROCESSOR_OUT_OF_ORDERNESS_MS: '0',
    PROCESSOR_ALLOWED_LATENESS_MS: '2000',
    PROCESSOR_WIDE_FLUSH_MS: '1000',
    BATCH_EVERY_MS: '0',
  }
  server = new StandaloneProcess(environment)
  commands = new OperatorsCommands(environment)
  await server.start()
})
afterAll(async () => {
  await server.kill()
  rmSync(folder, { recursive: true, force: true })
})

async function playSession(sessionId: string): Promise<void> {
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
  expect(response.status).toBe(204)
}

interface Report {
  readonly verdict: string
  readonly defects: number
  readonly minutes: { readonly compared: number }
  readonly defectsListed: readonly Readonly<Record<string, string>>[]
  readonly repaired?: { readonly minutes: number; readonly sessions: number; readonly left: number }
}

/** Of the minutes of the last hour, as far as a run of the batch goes. */
async function reconcile(...more: string[]): Promise<{ exitCode: number; report: Report }> {
  await commands.backhaul('batch', 'run')
  const toMs = systemClock.nowMs()
  const range = ['--from', new Date(toMs - 60 * MINUTE_MS).toISOString()]
  const asked = ['reconcile', ...range, '--to', new Date(toMs).toISOString(), '--json', ...more]
  const { exitCode, stdout, stderr } = await commands.backhaul(...asked)
  expect(stderr).toBe('')
  return { exitCode, report: JSON.parse(stdout) as Report }
}

/** The speed store of the running server, as a guest. */
async function withSpeed<Result>(action: (speed: SpeedStore) => Promise<Result>): Promise<Result> {
  const speed = await openLmdbSpeedStore({
    folder: join(folder, 'speed'),
    access: 'guest',
    mapBytes: 2 ** 30,
    clock: systemClock,
  })
  try {
    return await action(speed)
  } finally {
    await speed.close()
  }
}

/** Makes a minute of a CDN count an event more, and loses a session. */
function seedDefects(sessionId: string): Promise<MinuteRow> {
  return withSpeed(async (speed) => {
    const status = (await (await fetch(`${servingUrl}/v1/status`)).json()) as { view: string }
    const { view } = status
    const progress = readProgress(await speed.readPartitions(view), 1, 0)
    const toMs = systemClock.nowMs()
    const range = { fromMs: toMs - 60 * MINUTE_MS, toMs }
    const rows = await speed.readMinutes({ view, cut: 'cdn', ...range, limit: 10_000 })
    const row = rows.find(({ aggregates }) => aggregates.events > 0)
    if (row === undefined || progress.latest(row.partition) === undefined)
      throw new Error('there is a minute with events')
    const { aggregates } = row
    await speed.putMinutes([
      { ...row, aggregates: { ...aggregates, events: aggregates.events + 1 } },
    ])
    await speed.deleteSession(view, sessionId)
    return row
  })
}

/** The samples of a metric as the running server tells them. */
async function scraped(metric: string): Promise<{ series: string; value: string }[]> {
  const text = await (await fetch(`${servingUrl}/metrics`)).text()
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${metric}{`))
    .map((line) => {
      const blank = line.lastIndexOf(' ')
      return { series: line.slice(0, blank), value: line.slice(blank + 1) }
    })
}

const defectsShown = async () =>
  (await scraped('batch_reconcile_rows')).find(({ series }) => series.includes('defect'))?.value

/** Whether the rule fires when a Prometheus has scraped the server. */
async function fires(): Promise<boolean> {
  const series = await scraped('batch_reconcile_rows')
  expect(series.length).toBeGreaterThan(3)
  const file = join(folder, 'scraped.yaml')
  const test = {
    rule_files: [join(RULES, 'batch.yaml')],
    evaluation_interval: '1m',
    tests: [
      {
        interval: '1m',
        input_series: series.map((one) => ({ series: one.series, values: `${one.value}x5` })),
        promql_expr_test: [
          {
            expr: 'count(ALERTS{alertname="BackhaulReconcileDefect",alertstate="firing"}) or vector(0)',
            eval_time: '5m',
            exp_samples: [{ labels: '{}', value: 1 }],
          },
        ],
      },
    ],
  }
  // JSON is YAML.
  writeFileSync(file, JSON.stringify(test))
  return promtool('test', 'rules', file).then(
    () => true,
    (error: { readonly stdout?: string; readonly stderr?: string }) => {
      expect(`${error.stdout}${error.stderr}`).toContain('got:')
      return false
    },
  )
}

test('every metric of the rules is one of the server', async () => {
  const rules = readFileSync(join(RULES, 'batch.yaml'), 'utf8')
  const text = async () => (await fetch(`${servingUrl}/metrics`)).text()
  const names = new Set(rules.match(/\bbatch_[a-z_]+/g))
  expect(names.size).toBeGreaterThan(2)
  for (const name of names) await expect.poll(text).toContain(`# TYPE ${name} `)
})

test(
  'a defect is named, is told by the server, fires, is repaired and is quiet again',
  { timeout: DEADLINE_MS },
  async () => {
    for (const name of ['one', 'two', 'three']) await playSession(name)
    // What the processor has not written yet is pending, and a minute is compared when it is over.
    await expect
      .poll(async () => {
        const { verdict, minutes } = (await reconcile()).report
        return verdict === 'equal' && minutes.compared > 0
      }, SOON)
      .toBe(true)
    await expect.poll(defectsShown, SOON).toBe('0')
    expect(await fires()).toBe(false)
    const session = async () => (await fetch(`${servingUrl}/v1/sessions/two`)).json()
    const before = (await session()) as { summary: object; timeline: object }

    const row = await seedDefects('two')
    const found = await reconcile()
    expect(found).toMatchObject({ exitCode: 1, report: { verdict: 'defect', defects: 2 } })
    expect(found.report.defectsListed).toMatchObject([
      { kind: 'minute', cut: 'cdn', key: row.key, name: 'events' },
      { kind: 'session', live: 'absent', history: 'present' },
    ])
    expect(found.report.defectsListed[1]?.['key']).toMatch(/^two#/)
    await expect.poll(defectsShown, SOON).toBe('2')
    expect(await fires()).toBe(true)
    const { reconcile: shown } = (await (await fetch(`${servingUrl}/v1/status`)).json()) as {
      reconcile: object
    }
    expect(shown).toMatchObject({ lastRun: { verdict: 'defect', defects: 2 } })

    // Minutes are repaired when no pane can change them any more.
    await expect.poll(async () => (await reconcile('--repair')).report.repaired?.left, SOON).toBe(0)
    const after = await reconcile()
    expect(after).toMatchObject({ exitCode: 0, report: { verdict: 'equal', defects: 0 } })
    const { summary, timeline } = before
    expect(await session()).toMatchObject({ summary, timeline })
    await expect.poll(defectsShown, SOON).toBe('0')
    expect(await fires()).toBe(false)
  },
)
