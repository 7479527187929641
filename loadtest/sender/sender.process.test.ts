import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { SecondOfLoad } from '../k6/settings.ts'
import { prepareDriver, runDriver } from '../load/driver-process.ts'
import { PlainSocket } from './plain-socket.ts'

const TIMEOUT_MS = 120_000
const FRAMES = 400

const gateway = fork(join(import.meta.dirname, '..', 'bench', 'gateway-process.ts'))
let url = ''
beforeAll(async () => {
  const [said] = (await once(gateway, 'message')) as [{ readonly url: string }]
  url = new URL('/v1/events', said.url).href
})
afterAll(async () => {
  gateway.send('stop')
  await once(gateway, 'exit')
})

test(
  'frames over plain sockets are acknowledged, through connections that break',
  async () => {
    const seconds: SecondOfLoad[] = []
    const load = {
      url,
      connections: 4,
      shape: {
        runId: 'sender',
        eventsPerFrame: 1,
        framesPerSession: 12,
        frameSpanMs: 100,
        deviceStartMs: 1_800_000_000_000,
      },
      stages: [{ eventsPerSecond: FRAMES * 2, seconds: 0.5 }],
      places: 20,
      warmUpMs: 0,
      secondsMax: 60,
      stormsAtMs: [200],
    }
    const summary = await runDriver(prepareDriver('sender'), load, (second) => seconds.push(second))
    expect(summary).toMatchObject({ eventsSent: FRAMES, eventsAcknowledged: FRAMES, passed: true })
    expect(summary.reconnects).toBeGreaterThanOrEqual(4)
    const told = seconds.reduce((sum, { acknowledged }) => sum + acknowledged, 0)
    expect(told).toBe(FRAMES)
  },
  TIMEOUT_MS,
)

test(
  'a socket whose upgrade is refused says so once and closes',
  async () => {
    const socket = new PlainSocket(new URL('/nowhere', url).href, 'playback.v1')
    let errors = 0
    socket.onerror = () => (errors += 1)
    await new Promise<void>((resolve) => (socket.onclose = resolve))
    expect([errors, socket.readyState]).toEqual([1, 3])
  },
  TIMEOUT_MS,
)
