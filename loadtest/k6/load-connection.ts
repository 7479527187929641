/**
 * One WebSocket of the load: keeps the protocol's promises as a client must. Frames that are due
 * wait for credit; frames that are not acknowledged are sent again on the next connection, and a
 * latency runs from the moment a frame was due, so that waiting is measured and not left out.
 * Whose sockets it sends over is the driver's business.
 */
import type { FrameBuilder, FrameOfSession } from './frames.ts'

/** The part of a WebSocket that a load needs. */
export interface LoadSocket {
  readonly readyState: number
  onmessage: ((event: { readonly data: unknown }) => void) | null
  onclose: (() => void) | null
  /** Also when the upgrade is refused. */
  onerror: (() => void) | null
  send(bytes: ArrayBuffer): void
  close(code: number): void
}

export type OpenLoadSocket = (url: string, protocol: string) => LoadSocket

export interface LoadTarget {
  readonly url: string
  readonly open: OpenLoadSocket
}

export interface LoadObserver {
  acknowledged(latencyMs: number): void
  rejected(detail: string): void
  /** The gateway could not keep a frame; it is sent again. */
  slowed(): void
  /** The connection ended and will be opened again. */
  dropped(): void
}

interface DueFrame {
  readonly frame: FrameOfSession
  readonly dueAtMs: number
}

interface ServerMessage {
  readonly welcome?: { readonly creditFrames: number; readonly creditBytes: number }
  readonly ack?: number
  readonly creditFrames?: number
  readonly creditBytes?: number
  readonly rejected?: readonly unknown[]
  readonly slow?: { readonly resendFrom: number; readonly retryAfterMs: number }
  readonly goaway?: { readonly reconnectAfterMs: number }
}

const OPEN = 1
const BACKOFF_MIN_MS = 100
const BACKOFF_MAX_MS = 5_000

export class LoadConnection {
  readonly #target: LoadTarget
  readonly #builder: FrameBuilder
  readonly #observer: LoadObserver
  #socket: LoadSocket | undefined
  /** Those whose end was not told: a driver does not end before each of them has. */
  readonly #lingering = new Set<LoadSocket>()
  #welcomed = false
  #paused = false
  #stopped = false
  #backoffMs = BACKOFF_MIN_MS
  /** Due and not acknowledged, oldest first; the first `#sent` of them are on their way. */
  #queue: DueFrame[] = []
  #sent = 0
  /** Bytes up to and including each frame on its way. */
  #sentBytes: number[] = []
  #ackedFrames = 0
  #ackedBytes = 0
  #edgeFrames = 0
  #edgeBytes = 0

  constructor(target: LoadTarget, builder: FrameBuilder, observer: LoadObserver) {
    this.#target = target
    this.#builder = builder
    this.#observer = observer
  }

  /** Frames due and not acknowledged. */
  get waiting(): number {
    return this.#queue.length
  }

  offer(frame: FrameOfSession, dueAtMs: number): void {
    this.#queue.push({ frame, dueAtMs })
    if (this.#socket === undefined) this.#open()
    else this.#pump()
  }

  /** Breaks the connection; it is opened again like one that the network broke. */
  breakOff(): void {
    this.#socket?.close(1000)
  }

  stop(): void {
    this.#stopped = true
    for (const socket of this.#lingering) socket.close(1000)
  }

  #open(): void {
    const socket = this.#target.open(this.#target.url, 'playback.v1')
    this.#socket = socket
    this.#lingering.add(socket)
    socket.onmessage = (event) => {
      // What comes late from a connection that was given up speaks of its own numbers. The gateway
      // speaks in text alone.
      if (socket === this.#socket && typeof event.data === 'string') this.#receive(event.data)
    }
    socket.onclose = () => {
      this.#lingering.delete(socket)
      this.#closed(socket)
    }
    // k6 tells of an upgrade that was refused as an error alone.
    socket.onerror = () => {
      if (!this.#welcomed) this.#closed(socket)
    }
  }

  #closed(socket: LoadSocket): void {
    if (this.#socket !== socket) return
    this.#socket = undefined
    this.#welcomed = false
    this.#paused = false
    this.#sent = 0
    this.#sentBytes = []
    this.#ackedFrames = 0
    this.#ackedBytes = 0
    if (this.#stopped) return
    this.#observer.dropped()
    const delayMs = this.#backoffMs * Math.random()
    this.#backoffMs = Math.min(BACKOFF_MAX_MS, this.#backoffMs * 2)
    setTimeout(() => {
      if (!this.#stopped) this.#open()
    }, delayMs)
  }

  #receive(data: string): void {
    const message = JSON.parse(data) as ServerMessage
    if (message.welcome !== undefined) {
      this.#welcomed = true
      this.#backoffMs = BACKOFF_MIN_MS
      this.#edgeFrames = message.welcome.creditFrames
      this.#edgeBytes = message.welcome.creditBytes
    }
    if (message.ack !== undefined) this.#acknowledge(message.ack, message)
    if (message.rejected !== undefined) this.#observer.rejected(data.slice(0, 300))
    if (message.slow !== undefined) this.#slow(message.slow)
    if (message.goaway !== undefined) {
      const socket = this.#socket
      this.#paused = true
      setTimeout(() => socket?.close(1000), Math.random() * message.goaway.reconnectAfterMs)
    }
    this.#pump()
  }

  #acknowledge(ack: number, credit: Pick<ServerMessage, 'creditFrames' | 'creditBytes'>): void {
    const nowMs = Date.now()
    const count = ack + 1 - this.#ackedFrames
    for (let index = 0; index < count; index++)
      this.#observer.acknowledged(nowMs - (this.#queue[index]?.dueAtMs ?? nowMs))
    if (count > 0) {
      this.#ackedBytes = this.#sentBytes[count - 1] ?? this.#ackedBytes
      this.#queue.splice(0, count)
      this.#sentBytes.splice(0, count)
      this.#sent -= count
      this.#ackedFrames = ack + 1
    }
    this.#edgeFrames = Math.max(this.#edgeFrames, ack + 1 + (credit.creditFrames ?? 0))
    this.#edgeBytes = Math.max(this.#edgeBytes, this.#ackedBytes + (credit.creditBytes ?? 0))
  }

  #slow({ resendFrom, retryAfterMs }: { resendFrom: number; retryAfterMs: number }): void {
    this.#observer.slowed()
    this.#paused = true
    this.#sent = Math.max(0, resendFrom - this.#ackedFrames)
    this.#sentBytes.length = this.#sent
    const socket = this.#socket
    setTimeout(() => {
      if (socket !== this.#socket) return
      this.#paused = false
      this.#pump()
    }, retryAfterMs)
  }

  #pump(): void {
    const socket = this.#socket
    if (socket?.readyState !== OPEN || !this.#welcomed || this.#paused) return
    while (this.#sent < this.#queue.length) {
      const number = this.#ackedFrames + this.#sent
      const due = this.#queue[this.#sent]
      if (due === undefined || number >= this.#edgeFrames) return
      const bytes = this.#builder.build(due.frame, number)
      const upTo = (this.#sentBytes[this.#sent - 1] ?? this.#ackedBytes) + bytes.byteLength
      if (upTo > this.#edgeBytes) return
      socket.send(bytes)
      this.#sentBytes.push(upTo)
      this.#sent += 1
    }
  }
}
