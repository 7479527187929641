/**
 * The commands of the docs that need no more than a server, which is started as they say: typed as they
 * stand there, page after page, in one folder, and then those of sentences. What comes too early for what
 * it asks about is typed again.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { freePort } from '../../loadtest/standalone-process.ts'
import { systemClock } from '../../shared/runtime/clock.ts'
import { commandBlocks, firstFence, readPages } from './commands.ts'
import { sentencesToRun } from './covered.ts'
import { documented, SENTENCES_TYPED } from './elsewhere.ts'
import { ScratchTree, type Typed } from './scratch-tree.ts'

const DEADLINE_MS = 300_000
const SOON_MS = 90_000
const AGAIN_MS = 1_000
const PATIENT = { timeout: 120_000, interval: AGAIN_MS }
const BLOCKS = readPages()
  .flatMap(commandBlocks)
  .filter(({ testing }) => testing === 'run: standalone')

let tree: ScratchTree
let server: Typed
let servingUrl: string

beforeAll(async () => {
  const ports = { gateway: await freePort(), serving: await freePort() }
  servingUrl = `http://127.0.0.1:${ports.serving}`
  const environment = {
    BACKHAUL_LOG_LEVEL: 'warn',
    GATEWAY_PORT: `${ports.gateway}`,
    SERVING_PORT: `${ports.serving}`,
    BATCH_EVERY_MS: '0',
  }
  tree = new ScratchTree(environment)
  tree.replace('127.0.0.1:8080', `127.0.0.1:${ports.gateway}`)
  tree.replace('127.0.0.1:8081', `127.0.0.1:${ports.serving}`)
  writeFileSync(join(tree.folder, 'prices.json'), '{"nodeHour": 0.5}')
  tree.writeFeeds(firstFence('docs/relay.md', 'json'))
  server = tree.start(`RELAY_FEEDS_PATH=feeds.json ${documented('npm start')}`)
  await vi.waitUntil(async () => (await statusOf('/readyz')) === 200, PATIENT)
}, DEADLINE_MS)
afterAll(async () => {
  await server.end()
  tree.remove()
}, DEADLINE_MS)

/** 0 while nobody answers. */
function statusOf(path: string): Promise<number> {
  return fetch(`${servingUrl}${path}`).then(
    ({ status }) => status,
    () => 0,
  )
}

/** Until it ends with 0, or for long enough. */
async function type(text: string) {
  let ended = await tree.start(text).ended
  const deadlineMs = systemClock.monotonicMs() + SOON_MS
  while (ended.code !== 0 && systemClock.monotonicMs() < deadlineMs) {
    await systemClock.sleep(AGAIN_MS)
    ended = await tree.start(text).ended
  }
  return ended
}

test('the docs have commands to type against a server', () => {
  expect(BLOCKS.length).toBeGreaterThan(5)
})

test.each(BLOCKS)('$place works as it stands there', { timeout: DEADLINE_MS }, async ({ text }) => {
  expect(await type(text)).toMatchObject({ code: 0 })
})

// What follows `npx backhaul` is run by `batch/cli/documented-commands.test.ts`.
const SENTENCES = SENTENCES_TYPED.filter((program) => program !== 'npx backhaul')
test.each(SENTENCES.flatMap(sentencesToRun))(
  '%s works as it stands in a sentence',
  { timeout: DEADLINE_MS },
  async (command) => {
    expect(await type(command)).toMatchObject({ code: 0 })
  },
)

test('the server answers what docs/getting-started.md says of its playback', async () => {
  const page = readPages().find(({ path }) => path === 'docs/getting-started.md')
  const told = /`summary` says ([^;.]*)\./s.exec(page?.text ?? '')?.[1] ?? ''
  const values = [...told.matchAll(/`(\w+)` (\d+)/g)].map(([, name = '', value]) => {
    return [name, Number(value)] as const
  })
  expect(values).toHaveLength(4)
  const answer = await fetch(`${servingUrl}/v1/sessions/first-1`)
  const { summary } = (await answer.json()) as { summary: Record<string, number> }
  expect(summary).toMatchObject(Object.fromEntries(values))
})

test('the demo has viewers, and leaves on Ctrl-C', { timeout: DEADLINE_MS }, async () => {
  await server.end()
  server = tree.start(documented('npm run demo'))
  const plays = async () => {
    if ((await statusOf('/readyz')) !== 200) return 0
    const answer = await fetch(`${servingUrl}/v1/qoe?step=1h`)
    const { series } = (await answer.json()) as { series: { buckets: { plays: number }[] }[] }
    return series.flatMap(({ buckets }) => buckets).reduce((sum, bucket) => sum + bucket.plays, 0)
  }
  await expect.poll(plays, PATIENT).toBeGreaterThan(0)
  const { output } = await server.end('SIGINT')
  expect(output).toContain('SIGINT: the audience leaves')
})
