/**
 * Who holds a data folder. The holder listens on a socket whose name is derived from the folder, and
 * tells whoever connects its process id; the system frees the socket when the process dies.
 */
import { createHash } from 'node:crypto'
import { realpathSync, statSync } from 'node:fs'
import { createConnection } from 'node:net'
import { join } from 'node:path'

/** How long to wait for the present holder to say who it is, ms. */
const HOLDER_ANSWER_MS = 1_000

export interface Holder {
  /** `undefined` when it did not say in time. */
  readonly processId: number | undefined
}

/**
 * Linux has abstract sockets, which leave no file; elsewhere a socket file is used and a dead one
 * is replaced. The name is derived from the folder's identity, so two spellings of it meet.
 */
export function holderAddress(path: string, platform: string = process.platform): string {
  const real = realpathSync(path)
  if (platform !== 'linux') return join(real, 'server.sock')
  const { dev, ino } = statSync(real)
  const identity = createHash('sha256').update(`${dev}:${ino}:${real}`).digest('hex').slice(0, 32)
  return `\0backhaul-${identity}`
}

/** `undefined` when nobody listens; whoever listens is a holder, even one that does not answer. */
export function askHolder(address: string): Promise<Holder | undefined> {
  return new Promise((resolve) => {
    let answer = ''
    let connected = false
    const socket = createConnection(address, () => (connected = true))
    socket.setTimeout(HOLDER_ANSWER_MS, () => socket.destroy())
    socket.on('data', (chunk) => (answer += chunk.toString()))
    // Followed by its closing.
    socket.on('error', () => undefined)
    socket.on('close', () => {
      const processId = answer === '' ? undefined : Number(answer)
      resolve(connected ? { processId } : undefined)
    })
  })
}
