/**
 * The relay over the embedded log: a feed of prebuilt messages over eight connections, each sent as
 * far ahead of its acknowledgements as a feed with flow control would. CPU time is the relay's alone.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WebSocketServer, type WebSocket } from 'ws'
import { systemClock } from '../../shared/runtime/clock.ts'
import { benchFrames } from './events.ts'
import { answer, CONNECTIONS, cpuMs, DEADLINE_MS } from './gateway-bench.ts'
import { perEvent, type BenchResult } from './results.ts'

/** Messages of a connection that are not yet acknowledged. */
const WINDOW = 64

export async function benchRelay(eventsPerFrame: number, events: number): Promise<BenchResult> {
  const folder = mkdtempSync(join(tmpdir(), 'backhaul-relay-bench-'))
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
  await once(server, 'listening')
  const feedsPath = join(folder, 'feeds.json')
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/{connection}`
  const feed = { id: 'bench', mapping: 'playback.v1', connections: CONNECTIONS, urls: [url] }
  writeFileSync(feedsPath, JSON.stringify({ feeds: [feed] }))
  const messages = prepare(eventsPerFrame, Math.floor(events / eventsPerFrame))
  const feeds = gather(server)
  const child = fork(join(import.meta.dirname, 'gateway-process.ts'), [feedsPath], {
    stdio: 'inherit',
  })
  try {
    await answer(child)
    const sockets = await feeds
    const cpuBefore = await cpuMs(child)
    const startMs = systemClock.monotonicMs()
    await Promise.all(sockets.map((socket, index) => send(socket, messages[index] ?? [])))
    const wallMs = systemClock.monotonicMs() - startMs
    const cpu = (await cpuMs(child)) - cpuBefore
    return perEvent(
      `relay of ${CONNECTIONS} connections + embedded log, ${eventsPerFrame} events a message`,
      events,
      { wallMs, cpuMs: cpu },
    )
  } finally {
    child.send('stop')
    await once(child, 'exit')
    server.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** One socket for each connection of the feed. */
function gather(server: WebSocketServer): Promise<WebSocket[]> {
  const sockets: WebSocket[] = []
  return new Promise((resolve) => {
    server.on('connection', (socket) => {
      if (sockets.push(socket) === CONNECTIONS) resolve(sockets)
    })
  })
}

/** Resolves when the last message is acknowledged. */
function send(socket: WebSocket, messages: readonly string[]): Promise<void> {
  let next = 0
  const sendUpTo = (end: number) => {
    for (; next < Math.min(end, messages.length); next += 1) socket.send(messages[next] ?? '')
  }
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('not acknowledged in time')), DEADLINE_MS)
    socket.on('message', (data: Buffer) => {
      const { ack } = JSON.parse(data.toString()) as { ack?: string }
      if (ack === undefined) return
      sendUpTo(Number(ack) + WINDOW)
      if (Number(ack) < messages.length) return
      clearTimeout(timer)
      resolve()
    })
    sendUpTo(WINDOW)
  })
}

function prepare(eventsPerFrame: number, count: number): string[][] {
  const messages: string[][] = Array.from({ length: CONNECTIONS }, () => [])
  let index = 0
  for (const { contextJson, eventsJson, sentAtMs } of benchFrames(count, eventsPerFrame)) {
    const own = messages[index % CONNECTIONS]
    const frame = `{"v":1,"sentAt":${sentAtMs},"session":${contextJson},"events":[${eventsJson.join(',')}]}`
    const position = `{"cursor":"${(own?.length ?? 0) + 1}","number":${own?.length ?? 0}}`
    own?.push(`${position}\n${frame}`)
    index += 1
  }
  return messages
}
