/**
 * The commands of the docs that need no more than a server: typed as they stand there, page after page,
 * in one folder. A block that comes too early for what it asks about is typed again.
 */
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { freePort, StandaloneProcess } from '../../loadtest/standalone-process.ts'
import { systemClock } from '../../shared/runtime/clock.ts'
import { commandBlocks, readPages } from './commands.ts'
import { ScratchTree } from './scratch-tree.ts'

const DEADLINE_MS = 300_000
const SOON_MS = 90_000
const AGAIN_MS = 1_000
const BLOCKS = readPages()
  .flatMap(commandBlocks)
  .filter(({ testing }) => testing === 'run: standalone')

let tree: ScratchTree
let server: StandaloneProcess
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
  server = new StandaloneProcess({ ...environment, BACKHAUL_DATA_DIR: join(tree.folder, 'data') })
  await server.start()
}, DEADLINE_MS)
afterAll(async () => {
  await server.kill()
  tree.remove()
}, DEADLINE_MS)

test('the docs have commands to type against a server', () => {
  expect(BLOCKS.length).toBeGreaterThan(5)
})

test.each(BLOCKS)('$place works as it stands there', { timeout: DEADLINE_MS }, async ({ text }) => {
  let ended = await tree.start(text).ended
  const deadlineMs = systemClock.monotonicMs() + SOON_MS
  while (ended.code !== 0 && systemClock.monotonicMs() < deadlineMs) {
    await systemClock.sleep(AGAIN_MS)
    ended = await tree.start(text).ended
  }
  expect(ended).toMatchObject({ code: 0 })
})

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
