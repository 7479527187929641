/**
 * The commands of README.md for several processes on Kafka, typed as they stand there, on ports of their
 * own: an event that the gateway takes is answered by serving. Then what else the docs have for Kafka.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../shared/runtime/clock.ts'
import { freePorts } from '../services/ports.ts'
import { commandBlocks, firstFence, readPages } from './commands.ts'
import { documented } from './elsewhere.ts'
import { ScratchTree } from './scratch-tree.ts'

const TIMEOUT_MS = 240_000
const WRITTEN = 'content.json'
const SOON = { timeout: 120_000, interval: 500 }
const BLOCKS = readPages()
  .flatMap(commandBlocks)
  .filter(({ testing }) => testing === 'run: services')

let tree: ScratchTree
let services: string
let gatewayUrl: string
let servingUrl: string
let relayUrl: string

beforeAll(async () => {
  const [kafka, gateway, serving, gatewayAdmin, processorAdmin, relayAdmin] = await freePorts(6)
  gatewayUrl = `http://127.0.0.1:${gateway}`
  relayUrl = `http://127.0.0.1:${relayAdmin}`
  servingUrl = `http://127.0.0.1:${serving}`
  const environment = {
    BACKHAUL_LOG_LEVEL: 'warn',
    GATEWAY_PORT: `${gateway}`,
    GATEWAY_ADMIN_PORT: `${gatewayAdmin}`,
    PROCESSOR_ADMIN_PORT: `${processorAdmin}`,
    RELAY_ADMIN_PORT: `${relayAdmin}`,
    SERVING_PORT: `${serving}`,
    KAFKA_GROUP_SESSION_TIMEOUT_MS: '6000',
  }
  tree = new ScratchTree(environment)
  services = `npm run services -- --data ${tree.folder}/services`
  tree.replace('npm run services --', services)
  tree.replace('up kafka', `up kafka --port ${kafka}`)
  tree.replace('127.0.0.1:9092', `127.0.0.1:${kafka}`)
  tree.writeFeeds(firstFence('docs/relay.md', 'json'))
  writeFileSync(join(tree.folder, 'content.jsonl'), firstFence('docs/content.md', 'json'))
})
afterAll(async () => {
  await tree.start(`${services} down`).ended
  tree.remove()
})

/** The status of the answer; 0 while there is none. */
async function statusOf(url: string, init: RequestInit = {}): Promise<number> {
  try {
    return (await fetch(url, init)).status
  } catch {
    return 0
  }
}

/** By the last command of a block, once it has ended well. */
function contentsWritten(): number {
  const path = join(tree.folder, WRITTEN)
  const text = existsSync(path) ? readFileSync(path, 'utf8') : ''
  return text.endsWith('}\n') ? (JSON.parse(text) as { written: number }).written : 0
}

function sendEvent(): Promise<number> {
  const at = systemClock.nowMs()
  const events = [{ seq: 0, type: 'playbackRequest', at }]
  return statusOf(`${gatewayUrl}/v1/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ v: 1, sentAt: at, session: { sessionId: 'typed-1' }, events }),
  })
}

test.each(BLOCKS)('$place works as it stands there', { timeout: TIMEOUT_MS }, async ({ text }) => {
  const relay = `RELAY_FEEDS_PATH=feeds.json ${documented('npm run relay')} &`
  const content = documented('npx backhaul content load content.jsonl --kafka --json')
  const written = `until ${content} > ${WRITTEN}; do sleep 1; done`
  const typed = tree.start(`${text}\n${relay}\n${written}\nwait`)
  try {
    await expect.poll(sendEvent, SOON).toBe(204)
    await expect.poll(() => statusOf(`${servingUrl}/v1/sessions/typed-1`), SOON).toBe(200)
    await expect.poll(() => statusOf(`${relayUrl}/healthz`), SOON).toBe(200)
    await expect.poll(contentsWritten, SOON).toBeGreaterThan(0)
  } finally {
    await typed.end()
  }
})

test('there are commands to type', () => {
  expect(BLOCKS).toHaveLength(1)
})
