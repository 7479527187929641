import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type Browser, type Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../shared/runtime/clock.ts'
import { systemRandom } from '../shared/runtime/random.ts'
import { startStandalone, type RunningStandalone } from '../standalone/start.ts'
import { makeHlsVideo } from './media.ts'
import { startMediaServer, type MediaServer } from './media-server.ts'
import { playerPage, type Measured } from './player-page.ts'

const SESSION_ID = '6e2fba55-7e28-4dfb-8bfb-8a2d5b1f9d01'
const VIDEO_SECONDS = 20
/** The page and the player listen to the same element; handlers run a few ms apart. */
const TOLERANCE_MS = 150
const SCREENSHOTS = 'test-output'

let folder: string
let standalone: RunningStandalone
let media: MediaServer
let browser: Browser

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'backhaul-browser-'))
  mkdirSync(SCREENSHOTS, { recursive: true })
  makeHlsVideo(folder, VIDEO_SECONDS)
  standalone = await startStandalone({
    environment: {
      BACKHAUL_DATA_DIR: join(folder, 'data'),
      BACKHAUL_LOG_LEVEL: 'warn',
      GATEWAY_PORT: '0',
      SERVING_PORT: '0',
    },
    clock: systemClock,
    random: systemRandom,
  })
  const page = playerPage({
    sessionId: SESSION_ID,
    contentId: 'test-picture',
    cmcdUrl: `${standalone.gatewayUrl}/cmcd`,
  })
  media = await startMediaServer(folder, page, {
    delayMs: new Map([[0, 900]]),
    stallMs: new Map([
      [3, 1_200],
      [6, 700],
    ]),
  })
  browser = await chromium.launch({
    executablePath: process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--no-first-run',
      '--autoplay-policy=no-user-gesture-required',
    ],
  })
}, 120_000)

afterAll(async () => {
  await browser?.close()
  await media?.stop()
  await standalone?.stop()
  rmSync(folder, { recursive: true, force: true })
})

interface SessionAnswer {
  readonly summary: {
    readonly state: string
    readonly endReason?: string
    readonly startupMs?: number
    readonly stallCount: number
    readonly stallMs: number
  }
  readonly timeline: readonly { readonly type: string }[]
}

async function readSession(): Promise<SessionAnswer | undefined> {
  const response = await fetch(`${standalone.servingUrl}/v1/sessions/${SESSION_ID}`)
  return response.ok ? ((await response.json()) as SessionAnswer) : undefined
}

async function playToTheEnd(page: Page): Promise<Measured> {
  await page.goto(media.url)
  await page.waitForFunction('window.measured.ended', undefined, { timeout: 120_000 })
  return (await page.evaluate('window.measured')) as Measured
}

test('hls.js in CMCD event mode and the video element agree on start-up and stalls', async () => {
  const page = await browser.newPage()
  const measured = await playToTheEnd(page)
  const answer = await expect
    .poll(async () => (await readSession())?.summary.state, { timeout: 60_000, interval: 250 })
    .toBe('ended')
    .then(readSession)

  const stallMs = measured.stallsMs.reduce((sum, value) => sum + value, 0)
  expect(measured.stallsMs).toHaveLength(2)
  expect(answer?.summary.stallCount).toBe(measured.stallsMs.length)
  expect(Math.abs((answer?.summary.stallMs ?? 0) - stallMs)).toBeLessThanOrEqual(TOLERANCE_MS)
  expect(answer?.summary.startupMs).toBeDefined()
  expect(Math.abs((answer?.summary.startupMs ?? 0) - measured.startupMs)).toBeLessThanOrEqual(
    TOLERANCE_MS,
  )
  expect(answer?.summary.endReason).toBe('finish')
  expect(answer?.timeline.map((event) => event.type)).toContain('renditionUpdate')
})

test('the dashboard shows that session', async () => {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } })
  const problems: string[] = []
  page.on('pageerror', (error) => problems.push(String(error)))
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text())
  })
  await page.goto(`${standalone.servingUrl}/#/session/${SESSION_ID}`)
  await page.getByText(SESSION_ID).first().waitFor({ timeout: 60_000 })
  await page.getByRole('rowheader', { name: 'playbackStall' }).first().waitFor({ timeout: 60_000 })
  await page.screenshot({ path: join(SCREENSHOTS, 'session.png'), fullPage: true })
  await page.goto(`${standalone.servingUrl}/`)
  await page.getByText('test-picture').first().waitFor({ timeout: 40_000 })
  await page.screenshot({ path: join(SCREENSHOTS, 'dashboard.png'), fullPage: true })
  expect(problems).toEqual([])
})
