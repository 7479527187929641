/** The page in a real browser, against a real server whose stores hold a few known rows. */
import { chromium, type Browser, type Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createTokenVerifier } from '../../shared/auth/token-verifier.ts'
import { Catalogue } from '../../shared/content/catalogue.ts'
import { decodeRecord, encodeFrameRecord, FRAME_SCHEMA } from '../../shared/log/record.ts'
import { DEFAULT_CUT_IDS, parseCut } from '../../shared/qoe/cuts.ts'
import { DEFAULT_FOLD_LIMITS } from '../../shared/qoe/fold.ts'
import { createPartitionFold } from '../../shared/qoe/partition-fold.ts'
import { systemClock } from '../../shared/runtime/clock.ts'
import { readConfig } from '../../shared/runtime/config.ts'
import { createTelemetryBase } from '../../shared/runtime/telemetry.ts'
import type { BatchActivity } from '../../shared/warehouse/batch-activity.ts'
import { tables } from '../../shared/warehouse/tables.ts'
import { servingConfig } from '../config.ts'
import { startServing, type RunningServing } from '../start.ts'
import {
  MemoryEventLog,
  MemorySpeedStore,
  partitionRow,
  TEST_VIEW,
} from '../testing/test-stores.ts'
import { controlRows, insert, qoeMinute, TestWarehouse } from '../testing/test-warehouse.ts'

const CHROMIUM_ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
]
const MINUTE_MS = 60_000
const PANE_LIFE_MS =
  DEFAULT_FOLD_LIMITS.allowedLatenessMs +
  DEFAULT_FOLD_LIMITS.sessionTimeoutMs +
  DEFAULT_FOLD_LIMITS.reorderMs +
  DEFAULT_FOLD_LIMITS.outOfOrdernessMs
const SESSION = 's <b>1</b>/ü'

let browser: Browser
let serving: RunningServing
let speed: MemorySpeedStore
let log: MemoryEventLog
let warehouse: TestWarehouse
let activity: BatchActivity
let catalogue: Catalogue
beforeAll(async () => {
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: CHROMIUM_ARGUMENTS })
})
afterAll(() => browser.close())

beforeEach(async () => {
  speed = new MemorySpeedStore()
  log = new MemoryEventLog()
  catalogue = new Catalogue()
  warehouse = await TestWarehouse.create()
  activity = {
    isRunning: false,
    nextRunAtMs: undefined,
    failure: undefined,
    reconcile: undefined,
  }
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
    batch: { warehouse, activity: () => activity },
    content: { source: { catalogue, refresh: () => Promise.resolve() }, refreshMs: MINUTE_MS },
  })
})
afterEach(async () => {
  await serving.stop()
  warehouse.close()
})

/** A complete run five seconds ago, which took two; its minutes reach back two hours from the boundary. */
async function runBatch(): Promise<number> {
  const nowMs = systemClock.nowMs()
  const boundaryMs = Math.floor(nowMs / MINUTE_MS) * MINUTE_MS - 100 * MINUTE_MS
  const minutes = Array.from({ length: 120 }, (_, index) => boundaryMs - (index + 1) * MINUTE_MS)
  const values = { plays: 30, attempts: 30, events: 300, concurrentPlays: [9, 9, 9, 9, 9, 9] }
  const of = { cut: parseCut('cdn'), key: ['cdn-a'] }
  await warehouse.write(
    insert(
      tables.qoeMinute,
      ...minutes.flatMap((startMs) => [qoeMinute(startMs, values), qoeMinute(startMs, values, of)]),
    ),
    controlRows(7, [boundaryMs + PANE_LIFE_MS + 1], {
      started_at: nowMs - 7_000,
      ended_at: nowMs - 5_000,
      events: 12_345,
    }),
  )
  return boundaryMs
}

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

  it('shows titles beside ids, and splits by what the content metadata says', async () => {
    const version = { validFromMs: 0, title: 'A <b>pilot</b>', contentType: 'vod' } as const
    const series = { seriesId: 's-1', seriesTitle: 'A series', season: 1, episode: 2 }
    catalogue.put({ contentId: 'm-1', versions: [{ ...version, ...series }] })
    await playSession()
    await open('#/content', 1_440, async (page) => {
      await page.getByRole('button', { name: 'A <b>pilot</b> m-1' }).waitFor()
      await page.locator('.bars .name', { hasText: 'A <b>pilot</b> m-1' }).waitFor()
      await page.getByRole('link', { name: 'Series', exact: true }).click()
      await page.getByRole('heading', { name: 'By Series' }).waitFor()
      await page.getByRole('button', { name: 'A series s-1' }).waitFor()
      await page.getByRole('link', { name: 'Type', exact: true }).click()
      await page.getByRole('button', { name: 'vod' }).waitFor()
    })
    await open(`#/session/${encodeURIComponent(SESSION)}`, 1_440, async (page) => {
      await page.locator('.session-head', { hasText: 'A series S1 E2' }).waitFor()
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

  it('shows how far the history goes, when it goes on, and whether it agrees', async () => {
    await playSession()
    await open('', 1_440, async (page) => {
      const lines = page.locator('.batch dd')
      await lines.filter({ hasText: 'not scheduled' }).waitFor()
      expect(await lines.allInnerTexts()).toEqual([
        'none yet',
        'none yet',
        'not scheduled',
        'not compared yet',
      ])
      await runBatch()
      const reconcile = {
        run: 7,
        reconciledAtMs: 1,
        compared: 40,
        explained: 0,
        erased: 0,
        pending: 0,
      }
      activity = {
        ...activity,
        nextRunAtMs: systemClock.nowMs() + 50_000,
        reconcile: { ...reconcile, verdict: 'equal', defects: 0 },
      }
      await lines.filter({ hasText: '№\u202f7' }).waitFor({ timeout: 60_000 })
      const [boundary, last, next, verdict] = await lines.allInnerTexts()
      expect(boundary).toMatch(/^\d\d:\d\d, 2\u202fh ago|^\d\d:\d\d, \d+\u202fh ago/)
      expect(last).toMatch(/s ago, 2\.00\u202fs$/)
      expect(next).toMatch(/^in [45]\d\u202fs$/)
      expect([verdict, await lines.nth(3).getAttribute('class')]).toEqual(['equal', 'good'])
      activity = {
        ...activity,
        isRunning: true,
        failure: { code: 'BATCH_DATA_LOSS', detail: 'gone', atMs: systemClock.nowMs() },
        reconcile: { ...reconcile, verdict: 'defect', defects: 3 },
      }
      await page.locator('.batch .note', { hasText: 'BATCH_DATA_LOSS' }).waitFor()
      expect((await lines.allInnerTexts()).slice(2)).toEqual(['running now', '3 defects'])
    })
  })

  it('marks in the charts what is history', async () => {
    await playSession()
    const boundaryMs = await runBatch()
    await open('#/cdn', 1_440, async (page) => {
      await page.getByRole('button', { name: 'cdn-a' }).waitFor()
      const plot = page.locator('.chart', { hasText: 'Starts per minute' }).locator('canvas')
      /** Colours of the plot's ground a little left and right of the boundary, above the line. */
      const grounds = () =>
        plot.evaluate((element, share) => {
          const canvas = element as HTMLCanvasElement
          const over = canvas.parentElement?.querySelector('.u-over')?.getBoundingClientRect()
          const outer = canvas.getBoundingClientRect()
          const scale = canvas.width / outer.width
          const at = (part: number) => {
            const x = ((over?.left ?? 0) - outer.left + part * (over?.width ?? 0)) * scale
            const y = ((over?.top ?? 0) - outer.top + 5) * scale
            // A copy: reading the page's own canvas would make the browser warn about its speed.
            const copy = document.createElement('canvas').getContext('2d')
            copy?.drawImage(canvas, x, y, 1, 1, 0, 0, 1, 1)
            return [...(copy?.getImageData(0, 0, 1, 1).data ?? [])].join()
          }
          return [at(share - 0.02), at(share + 0.02)]
        }, share())
      const share = () => {
        const windowMs = 120 * MINUTE_MS
        const toMs = (Math.floor(systemClock.nowMs() / MINUTE_MS) + 1) * MINUTE_MS
        return (boundaryMs - (toMs - windowMs)) / (windowMs - MINUTE_MS)
      }
      // Half an hour lies wholly after the boundary.
      expect(await page.getByRole('button', { name: '30 min' }).getAttribute('aria-pressed')).toBe(
        'true',
      )
      await page.getByRole('button', { name: '2 h', exact: true }).click()
      await expect
        .poll(async () => {
          const [past, live] = await grounds()
          return past !== live
        })
        .toBe(true)
      const row = page.locator('.keys tbody tr')
      // 19 or 20 minutes of history with 30 plays each, and the one play of a minute ago.
      expect(await row.innerText()).toMatch(/5[47]1|601/)
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
