/** A standalone server that pulls a feed: a session of the feed is answered by the API. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { FeedServer } from '../shared/http/testing/feed-server.ts'
import { systemClock as clock } from '../shared/runtime/clock.ts'
import { systemRandom as random } from '../shared/runtime/random.ts'
import { startStandalone, type RunningStandalone } from './start.ts'

const folder = mkdtempSync(join(tmpdir(), 'backhaul-relay-'))
let server: RunningStandalone | undefined
let feed: FeedServer | undefined

afterEach(async () => {
  await server?.stop()
  await feed?.stop()
  rmSync(folder, { recursive: true, force: true })
})

test('npm start pulls the feeds of RELAY_FEEDS_PATH', async () => {
  feed = await new FeedServer().ready()
  const feedsPath = join(folder, 'feeds.json')
  const entry = { id: 'acme', mapping: 'playback.v1', urls: [feed.url], resumable: true }
  writeFileSync(feedsPath, JSON.stringify({ feeds: [entry] }))
  const environment = {
    BACKHAUL_LOG_LEVEL: 'silent',
    BACKHAUL_DATA_DIR: join(folder, 'data'),
    GATEWAY_PORT: '0',
    SERVING_PORT: '0',
    RELAY_FEEDS_PATH: feedsPath,
  }
  server = await startStandalone({ environment, clock, random })
  const at = clock.nowMs()
  const events = [
    { seq: 0, type: 'playbackRequest', at },
    { seq: 1, type: 'playbackStart', at: at + 300 },
  ]
  const frame = { v: 1, sentAt: at + 400, session: { sessionId: 'from-a-feed' }, events }
  feed.publish((position) => `${JSON.stringify(position)}\n${JSON.stringify(frame)}`)
  const url = new URL('/v1/sessions/from-a-feed', server.servingUrl)
  const startupMs = async () => {
    const answer = await fetch(url)
    return ((await answer.json()) as { summary?: { startupMs?: number } }).summary?.startupMs
  }
  await expect.poll(startupMs).toBe(300)
})
