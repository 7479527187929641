/**
 * `node loadtest/idle-connections.ts [connections]`: what an idle connection costs the gateway in
 * process memory. Each has said hello with one frame, had it acknowledged, and keeps quiet. The
 * kernel's buffers are not in it. Printed, and kept in `loadtest/baselines/`.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { keepResults } from './bench/results.ts'

/** At a time, so that the accept queue of the kernel does not overflow. */
const OPENING_MAX = 200
/** As many in all as are measured, a few at a time: the heap's nursery grows with the first load. */
const WARM_UP_MAX = 500

const PING = 0x89
const PONG = Buffer.from([0x8a, 0x80, 0, 0, 0, 0])

interface Memory {
  readonly rssBytes: number
  readonly heapUsedBytes: number
  readonly externalBytes: number
}

const count = Number(process.argv[2] ?? 10_000)
const gateway = fork(join(import.meta.dirname, 'bench', 'gateway-process.ts'), {
  stdio: 'inherit',
  execArgv: ['--expose-gc'],
})
try {
  const { url } = await answer<{ url: string }>(gateway)
  const { port } = new URL(url)
  // Code is compiled and pools are filled once, whatever the number of connections.
  for (let opened = 0; opened < count; opened += WARM_UP_MAX)
    await closeAll(await openAll(Number(port), WARM_UP_MAX))
  const before = await memory(gateway)
  const sockets = await openAll(Number(port), count)
  const after = await memory(gateway)
  if (sockets.some((socket) => socket.closed)) throw new Error('not all connections stayed open')
  const perConnection = (field: keyof Memory) => Math.round((after[field] - before[field]) / count)
  const result = {
    name: 'process memory of an idle connection',
    connections: count,
    rssBytesPerConnection: perConnection('rssBytes'),
    heapBytesPerConnection: perConnection('heapUsedBytes'),
    externalBytesPerConnection: perConnection('externalBytes'),
    rssBytes: after.rssBytes,
  }
  console.log(result)
  console.log(keepResults('idle-connections', [result]))
  await closeAll(sockets)
} finally {
  gateway.send('stop')
  await once(gateway, 'exit')
}

function answer<Message>(child: ChildProcess): Promise<Message> {
  return new Promise((resolve, reject) => {
    child.once('message', (message) => resolve(message as Message))
    child.once('exit', (code) => reject(new Error(`the gateway process ended with ${code}`)))
  })
}

async function memory(child: ChildProcess): Promise<Memory> {
  const answered = answer<Memory>(child)
  child.send('memory')
  return await answered
}

async function openAll(port: number, wanted: number): Promise<Socket[]> {
  const sockets: Socket[] = []
  for (let opened = 0; opened < wanted; opened += OPENING_MAX) {
    const batch = Array.from({ length: Math.min(OPENING_MAX, wanted - opened) }, (_, index) =>
      openIdle(port, `idle-${opened + index}`),
    )
    sockets.push(...(await Promise.all(batch)))
  }
  return sockets
}

async function closeAll(sockets: readonly Socket[]): Promise<void> {
  const closed = sockets.filter((socket) => !socket.closed).map((socket) => once(socket, 'close'))
  for (const socket of sockets) socket.destroy()
  await Promise.all(closed)
}

/** A WebSocket by hand, which takes less of this process than one of the runtime. */
function openIdle(port: number, sessionId: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let received = ''
    const listen = (chunk: Buffer) => {
      const before = received
      received += chunk.toString('latin1')
      if (received.includes('"welcome"') && !before.includes('"welcome"'))
        socket.write(hello(sessionId))
      if (!received.includes('"ack":0')) return
      socket.off('data', listen)
      socket.on('data', (chunk) => {
        if (chunk[0] === PING) socket.write(PONG)
      })
      resolve(socket)
    }
    socket.on('data', listen)
    socket.once('error', reject)
    socket.once('close', () => reject(new Error(`closed: ${received}`)))
    socket.write(
      'GET /v1/events HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n' +
        'Sec-WebSocket-Protocol: playback.v1\r\n\r\n',
    )
  })
}

/** One frame in a text message of up to 65,535 bytes, with a mask of zeros. */
function hello(sessionId: string): Buffer {
  const payload = Buffer.from(
    JSON.stringify({
      v: 1,
      frame: 0,
      sentAt: 1_800_000_000_000,
      session: { sessionId, contentId: 'movie-1', cdn: 'a', player: { name: 'p', version: '1' } },
      events: [{ seq: 0, type: 'playbackRequest', at: 1_800_000_000_000 }],
    }),
  )
  const header = [0x81, 0xfe, payload.length >> 8, payload.length & 255, 0, 0, 0, 0]
  return Buffer.concat([Buffer.from(header), payload])
}
