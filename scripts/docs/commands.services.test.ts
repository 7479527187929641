/**
 * The commands of README.md for several processes on Kafka, typed as they stand there, on ports of their
 * own: an event that the gateway takes is answered by serving.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../shared/runtime/clock.ts'
import { freePorts } from '../services/ports.ts'
import { commandBlocks, readPages } from './commands.ts'
import { ScratchTree } from './scratch-tree.ts'

const TIMEOUT_MS = 240_000
const SOON = { timeout: 120_000, interval: 500 }
const BLOCKS = readPages()
  .flatMap(commandBlocks)
  .filter(({ testing }) => testing === 'run: services')

let tree: ScratchTree
let services: string
let gatewayUrl: string
let servingUrl: string

beforeAll(async () => {
  const [kafka, gateway, serving, gatewayAdmin, processorAdmin] = await freePorts(5)
  gatewayUrl = `http://127.0.0.1:${gateway}`
  servingUrl = `http://127.0.0.1:${serving}`
  const environment = {
    BACKHAUL_LOG_LEVEL: 'warn',
    GATEWAY_PORT: `${gateway}`,
    GATEWAY_ADMIN_PORT: `${gatewayAdmin}`,
    PROCESSOR_ADMIN_PORT: `${processorAdmin}`,
    SERVING_PORT: `${serving}`,
    KAFKA_GROUP_SESSION_TIMEOUT_MS: '6000',
  }
  tree = new ScratchTree(environment)
  services = `npm run services -- --data ${tree.folder}/services`
  tree.replace('npm run services --', services)
  tree.replace('up kafka', `up kafka --port ${kafka}`)
  tree.replace('127.0.0.1:9092', `127.0.0.1:${kafka}`)
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
  const typed = tree.start(`${text}\nwait`)
  try {
    await expect.poll(sendEvent, SOON).toBe(204)
    await expect.poll(() => statusOf(`${servingUrl}/v1/sessions/typed-1`), SOON).toBe(200)
  } finally {
    typed.signal('SIGTERM')
    await typed.ended
  }
})

test('there are commands to type', () => {
  expect(BLOCKS).toHaveLength(1)
})
