/** The page in a real browser, against a real server whose stores hold a few known rows. */
import { chromium, type Browser, type Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createTokenVerifier } from '../../shared/auth/token-verifier.ts'
import { decodeRecord, encodeFrameRecord, FRAME_SCHEMA } from '../../shared/log/record.ts'
import { DEFAULT_CUT_IDS, parseCut } from '../../shared/qoe/cuts.ts'
import { DEFAULT_FOLD_LIMITS } from '../../shared/qoe/fold.ts'
import { createPartitionFold } from '../../shared/qoe/partition-fold.ts'
import { systemClock } from '../../shared/runtime/clock.ts'
import { readConfig } from '../../shared/runtime/config.ts'
import { createTelemetryBase } from '../../shared/runtime/telemetry.ts'
import { servingConfig } from '../config.ts'
import { startServing, type RunningServing } from '../start.ts'
import {
  MemoryEventLog,
  MemorySpeedStore,
  partitionRow,
  TEST_VIEW,
} from '../testing/test-stores.ts'

const CHROMIUM_ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
]
const SESSION = 's <b>1</b>/ü'

let browser: Browser
let serving: RunningServing
let speed: MemorySpeedStore
let log: MemoryEventLog
beforeAll(async () => {
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: CHROMIUM_ARGUMENTS })
})
afterAll(() => browser.close())

beforeEach(async () => {
  speed = new MemorySpeedStore()
  log = new MemoryEventLog()
  serving = await startServing({
    config: { ...readConfig(servingConfig, {}, () => ''), port: 0 },
    log: log.asEventLog(),
    speed,
    telemetry: createTelemetryBase('silent'),
    clock: systemClock,
    verifier: createTokenVerifier(
      { mode: 'none', secret: '', jwksUrl: '', issuer: '', audience: '' },
      systemClock,
    ),
    cuts: DEFAULT_CUT_IDS.map(parseCut),
    view: TEST_VIEW,
    foldLimits: DEFAULT_FOLD_LIMITS,
    partitions: 1,
  })
})
afterEach(() => serving.stop())

/** One session of a minute ago: start-up 800 ms, a stall of 1.5 s, then an end. */
async function playSession(): Promise<void> {
  const startMs = systemClock.nowMs() - 60_000
  const fold = createPartitionFold({
    origin: { view: TEST_VIEW, topicEpoch: 0, partition: 0, generation: 0 },
    limits: DEFAULT_FOLD_LIMITS,
    cuts: DEFAULT_CUT_IDS.map(parseCut),
    rowRetentionMs: 90 * 86_400_000,
  })
  const context = {
    sessionId: SESSION,
    contentId: 'm-1',
    contentTitle: '<i>Title</i>',
    cdn: 'cdn-a',
  }
  const events = [
    ['playbackRequest', 0],
    ['playbackStart', 800],
    ['playbackStall', 3_000],
    ['playbackStart', 4_500],
    ['sessionEnd', 6_000],
  ] as const
  const encoder = new TextEncoder()
  const record = {
    partition: 0,
    offset: 0,
    loggedAtMs: startMs + 7_010,
    key: SESSION,
    headers: { schema: FRAME_SCHEMA },
    value: encodeFrameRecord({
      contextJson: encoder.encode(JSON.stringify(context)),
      sentAtMs: startMs + 7_000,
      receivedAtMs: startMs + 7_000,
      rejectedSeqs: [],
      events: events.map(([type, afterMs], seq) =>
        encoder.encode(JSON.stringify({ seq, type, at: startMs + afterMs })),
      ),
    }),
  }
  log.put(record)
  fold.apply(decodeRecord(record))
  for (const queue of ['narrow', 'wide', 'sessionUrgent', 'session'] as const)
    for (const ticket of fold.takeDirty(queue, 1_000))
      if (ticket.kind === 'minute') await speed.putMinutes([ticket.row])
      else await speed.putSessions([ticket.row], ticket.positions)
  await speed.putPartitions([partitionRow(systemClock.nowMs(), { appliedOffset: 1 })])
}

/** Opens an address of the page; whatever the browser complains about fails the test. */
async function open(
  address: string,
  width: number,
  work: (page: Page) => Promise<void>,
): Promise<void> {
  const page = await browser.newPage({ viewport: { width, height: 900 } })
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  try {
    await page.goto(`${serving.url}/${address}`)
    await work(page)
    expect(complaints).toEqual([])
  } finally {
    await page.close()
  }
}

describe('the dashboard', () => {
  it('shows the numbers, the keys and the sessions that the stores hold', async () => {
    await playSession()
    await open('', 1_440, async (page) => {
      await page.getByRole('button', { name: 'cdn-a' }).waitFor()
      const starts = page.locator('.tile', { hasText: 'Start-up p50' })
      expect(await starts.innerText()).toContain('p95')
      const row = page.locator('.keys tbody tr')
      expect(await row.count()).toBe(1)
      expect(await row.innerText()).toMatch(/cdn-a.*few/s)
      await page.getByRole('link', { name: 'Title' }).waitFor()
      expect(await page.locator('.health').innerText()).toMatch(/^live, /)
      expect(await page.locator('.uplot canvas').count()).toBe(6)
    })
  })

  it('follows the store without a reload', async () => {
    await speed.putPartitions([partitionRow(systemClock.nowMs())])
    await open('', 1_440, async (page) => {
      await page.getByRole('heading', { name: 'No playback events yet' }).waitFor()
      await playSession()
      await page.getByRole('button', { name: 'cdn-a' }).waitFor()
      await page
        .getByRole('heading', { name: 'No playback events yet' })
        .waitFor({ state: 'hidden' })
    })
  })

  it('splits by another dimension with the keyboard alone', async () => {
    await playSession()
    await open('#/cdn', 1_440, async (page) => {
      const tab = page.getByRole('link', { name: 'Content', exact: true })
      await tab.focus()
      await page.keyboard.press('Enter')
      await page.getByRole('heading', { name: 'By Content' }).waitFor()
      await page.getByRole('button', { name: 'm-1' }).waitFor()
      expect(await tab.getAttribute('aria-current')).toBe('page')
    })
  })

  it('shows a session: metrics, bands of states and every event, as text', async () => {
    await playSession()
    await open(`#/session/${encodeURIComponent(SESSION)}`, 1_440, async (page) => {
      await page.getByRole('heading', { name: '<i>Title</i>' }).waitFor()
      expect(await page.locator('.session-head code').innerText()).toBe(SESSION)
      expect(await page.locator('.tile', { hasText: 'Start-up' }).innerText()).toContain('800')
      const bands = await page
        .locator('.band')
        .evaluateAll((all) => all.map((band) => band.className.replace('band band-', '')))
      expect(bands).toEqual(['starting', 'playing', 'stalled', 'playing'])
      expect(await page.locator('.events tbody tr').count()).toBe(5)
    })
  })

  it('fits a narrow screen without scrolling sideways', async () => {
    await playSession()
    for (const address of ['', `#/session/${encodeURIComponent(SESSION)}`])
      await open(address, 420, async (page) => {
        await page.locator('.tile').first().waitFor()
        const overflow = await page.evaluate(
          () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
        )
        expect(overflow).toBe(0)
      })
  })

  it('says when the rows are stale and when the server is gone', async () => {
    await playSession()
    await speed.putPartitions([partitionRow(systemClock.nowMs() - 60_000)])
    const page = await browser.newPage()
    await page.goto(serving.url)
    await page.getByRole('alert').filter({ hasText: 'No fresh rows' }).waitFor()
    await serving.stop()
    await page.getByRole('alert').filter({ hasText: 'Connection to the server lost' }).waitFor()
    await page.close()
  })
})
