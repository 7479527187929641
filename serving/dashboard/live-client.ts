/**
 * The page's live connection: keeps its subscriptions over reconnects, with a growing, jittered
 * delay, and hands out the window of each as it changes.
 */
import type { LiveServerMessage } from '../api-schemas.ts'
import type { PageClock } from './browser-clock.ts'
import { applyUpdate, type LiveWindow } from './live-series.ts'

export interface Subscription {
  readonly by: readonly string[]
  readonly minutes: number
  readonly series: number
}

/** The part of a browser's WebSocket that is used. */
export interface Socket {
  onopen: (() => void) | null
  onmessage: ((event: { readonly data: unknown }) => void) | null
  onclose: ((event: { readonly code: number }) => void) | null
  send(text: string): void
  close(): void
}

export interface LiveClientOptions {
  readonly open: () => Socket
  readonly clock: PageClock
  /** Uniform in [0, 1). */
  readonly chance: () => number
  readonly onWindow: (id: string, window: LiveWindow) => void
  readonly onConnection: (state: ConnectionState) => void
  readonly onError: (code: string, detail: string) => void
}

export type ConnectionState =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'open' }
  | { readonly kind: 'waiting'; readonly retryAtMs: number; readonly code: number }

const RETRY_FIRST_MS = 500
const RETRY_MAX_MS = 15_000

export class LiveClient {
  readonly #options: LiveClientOptions
  readonly #subscriptions = new Map<string, Subscription>()
  readonly #windows = new Map<string, LiveWindow>()
  #socket: Socket | undefined
  #isOpen = false
  #failures = 0
  #cancelRetry: (() => void) | undefined

  constructor(options: LiveClientOptions) {
    this.#options = options
    this.#connect()
  }

  subscribe(id: string, subscription: Subscription): void {
    this.#subscriptions.set(id, subscription)
    this.#windows.delete(id)
    if (this.#isOpen) this.#sendSubscription(id, subscription)
  }

  unsubscribe(id: string): void {
    if (!this.#subscriptions.delete(id)) return
    this.#windows.delete(id)
    if (this.#isOpen) this.#socket?.send(JSON.stringify({ unsubscribe: { id } }))
  }

  /** Connects at once, e.g. with a new token. */
  reconnect(): void {
    this.#cancelRetry?.()
    const socket = this.#socket
    this.#socket = undefined
    socket?.close()
    this.#connect()
  }

  #connect(): void {
    this.#isOpen = false
    this.#options.onConnection({ kind: 'connecting' })
    const socket = this.#options.open()
    this.#socket = socket
    socket.onopen = () => {
      if (socket !== this.#socket) return
      this.#isOpen = true
      this.#options.onConnection({ kind: 'open' })
      for (const [id, subscription] of this.#subscriptions) this.#sendSubscription(id, subscription)
    }
    socket.onmessage = ({ data }) => {
      if (socket === this.#socket) this.#receive(String(data))
    }
    socket.onclose = ({ code }) => {
      if (socket === this.#socket) this.#retryLater(code)
    }
  }

  #receive(text: string): void {
    this.#failures = 0
    const message = JSON.parse(text) as LiveServerMessage
    if ('error' in message) {
      this.#options.onError(message.error.code, message.error.detail)
      return
    }
    if (!('update' in message)) return
    const { id } = message.update
    if (!this.#subscriptions.has(id)) return
    const window = applyUpdate(this.#windows.get(id), message.update)
    if (window === undefined) return
    this.#windows.set(id, window)
    this.#options.onWindow(id, window)
  }

  #retryLater(code: number): void {
    this.#isOpen = false
    this.#windows.clear()
    const ceilingMs = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(this.#failures++, 10))
    const delayMs = ceilingMs / 2 + (ceilingMs / 2) * this.#options.chance()
    const { clock } = this.#options
    this.#options.onConnection({ kind: 'waiting', retryAtMs: clock.nowMs() + delayMs, code })
    this.#cancelRetry = clock.after(delayMs, () => this.#connect())
  }

  #sendSubscription(id: string, subscription: Subscription): void {
    this.#socket?.send(JSON.stringify({ subscribe: { id, ...subscription } }))
  }
}
