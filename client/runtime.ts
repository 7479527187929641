/**
 * What the client asks of its surroundings. Each part can be given in the options, so that tests
 * move time by hand and a platform without a global WebSocket brings its own.
 */
export interface ClientClock {
  /** Device clock, epoch milliseconds, integer. */
  nowMs(): number
  /** Runs `task` once after `delayMs`; returns its cancellation. */
  after(delayMs: number, task: () => void): () => void
}

export interface ClientRandom {
  /** Uniform in [0, 1). */
  next(): number
}

/** What a socket tells; nothing counts after `closed`. */
export interface SocketListener {
  message(data: unknown): void
  /** The connection ended, or never came about. */
  closed(closeCode: number, reason: string): void
}

/** The part of a WebSocket that the client uses. */
export interface ClientSocket {
  send(text: string): void
  close(closeCode: number): void
}

/** Opens a connection; it may throw, and otherwise tells of a failure by `closed`. */
export type OpenSocket = (
  url: string,
  subprotocols: string[],
  listener: SocketListener,
) => ClientSocket

export const deviceClock: ClientClock = {
  // The client is published alone, so this is its one touch of the machine's clock.
  // oxlint-disable-next-line no-restricted-properties
  nowMs: () => Date.now(),
  after(delayMs, task) {
    const timer = setTimeout(task, delayMs)
    return () => clearTimeout(timer)
  },
}

export const deviceRandom: ClientRandom = {
  // Only spreads reconnects; nothing secret hangs on it.
  // oxlint-disable-next-line no-restricted-properties
  next: () => Math.random(),
}

/** What a browser reports when there was no close frame. */
const ABNORMAL_CLOSE = 1006

export const openWebSocket: OpenSocket = (url, subprotocols, listener) => {
  const socket = new WebSocket(url, subprotocols)
  socket.onmessage = ({ data }) => listener.message(data)
  socket.onclose = ({ code, reason }) => listener.closed(code, reason)
  // Fired for failures without a close frame only. The WebSocket of Node 22 leaves out the close
  // event when the server answers the handshake with another status than 101.
  socket.onerror = () => listener.closed(ABNORMAL_CLOSE, 'the connection failed')
  return socket
}
