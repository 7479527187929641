/**
 * Serves the test page, the player and the media, and throttles: a segment can be delayed by a
 * fixed time, or held until the page reports that it has run dry, which forces a stall whose
 * length does not depend on how far the player had buffered.
 */
import { readFile } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'

export interface Throttle {
  /** Segment number → how long its answer is delayed, ms. */
  readonly delayMs: ReadonlyMap<number, number>
  /** Segments held until the page has stalled, and then for this long, ms. */
  readonly stallMs: ReadonlyMap<number, number>
}

export interface MediaServer {
  readonly url: string
  stop(): Promise<void>
}

const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript',
  m3u8: 'application/vnd.apple.mpegurl',
  ts: 'video/mp2t',
}

export async function startMediaServer(
  mediaFolder: string,
  page: string,
  throttle: Throttle,
): Promise<MediaServer> {
  const held = new Map<number, () => void>()
  const timers = new Set<NodeJS.Timeout>()
  const later = (delayMs: number, task: () => void) => {
    const timer = setTimeout(() => {
      timers.delete(timer)
      task()
    }, delayMs)
    timers.add(timer)
  }
  const server = createServer((request, response) => {
    const name = new URL(request.url ?? '/', 'http://page').pathname.slice(1)
    if (name === 'stalled') {
      for (const [segment, release] of held) later(throttle.stallMs.get(segment) ?? 0, release)
      held.clear()
      response.writeHead(204).end()
      return
    }
    const segment = Number(/^segment-(\d+)\.ts$/.exec(name)?.[1] ?? Number.NaN)
    const send = () => void sendFile(response, mediaFolder, page, name)
    if (throttle.stallMs.has(segment)) held.set(segment, send)
    else later(throttle.delayMs.get(segment) ?? 0, send)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/`,
    stop: () => {
      for (const timer of timers) clearTimeout(timer)
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

async function sendFile(
  response: ServerResponse,
  mediaFolder: string,
  page: string,
  name: string,
): Promise<void> {
  const type = TYPES[name.split('.').at(-1) ?? ''] ?? 'text/html; charset=utf-8'
  try {
    const bytes =
      name === ''
        ? page
        : name === 'hls.js'
          ? await readFile(join(import.meta.dirname, 'node_modules/hls.js/dist/hls.min.js'))
          : await readFile(join(mediaFolder, name))
    response.writeHead(200, { 'content-type': type, 'cache-control': 'no-store' }).end(bytes)
  } catch {
    response.writeHead(404).end()
  }
}
