/** Serving that speaks TLS by itself: queries, the page and the live channel. */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { get } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { selfSigned, writeSelfSigned } from '../shared/http/testing/self-signed.ts'
import { startTestServing, stopTestServings } from './testing/test-serving.ts'

afterEach(stopTestServings)

test('queries, the page and the live channel are there over TLS', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'backhaul-serving-tls-'))
  const own = selfSigned()
  const { serving } = await startTestServing({ config: writeSelfSigned(folder, own) })
  rmSync(folder, { recursive: true })
  expect(serving.url).toBe(`https://127.0.0.1:${serving.port}`)
  for (const path of ['/v1/qoe?by=cdn', '/', '/healthz']) {
    const asked = get(`${serving.url}${path}`, { ca: own.certificate })
    const [answer] = (await once(asked, 'response')) as [IncomingMessage]
    expect([path, answer.statusCode]).toEqual([path, 200])
    answer.resume()
  }
  const live = new WebSocket(`wss://127.0.0.1:${serving.port}/v1/live`, ['live.v1'], {
    ca: own.certificate,
  })
  await once(live, 'open')
  live.close()
})
