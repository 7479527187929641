/** One WebSocket of the protocol by hand, for what the real client does not show: what it was told. */
import { systemClock } from '../../shared/runtime/clock.ts'
import { until } from './until.ts'

interface Message {
  readonly welcome?: object
  readonly ack?: number
  readonly creditFrames?: number
  readonly slow?: object
  readonly goaway?: { readonly reconnectAfterMs: number }
}

export class Visitor {
  sent = 0
  acked = -1
  /** Frames with numbers up to this may be sent. */
  creditEdge = -1
  slowCount = 0
  closeCode: number | undefined
  reconnectAfterMs: number | undefined
  #welcomed = false
  readonly #sessionId: string
  readonly #socket: WebSocket

  private constructor(port: number, sessionId: string, token: string | undefined) {
    this.#sessionId = sessionId
    this.#socket = new WebSocket(`ws://127.0.0.1:${port}/v1/events`, [
      'playback.v1',
      ...(token === undefined ? [] : [`bearer.${Buffer.from(token).toString('base64url')}`]),
    ])
    this.#socket.addEventListener('message', ({ data }) =>
      this.#take(JSON.parse(String(data)) as Message),
    )
    this.#socket.addEventListener('close', ({ code }) => (this.closeCode = code))
    this.#socket.addEventListener('error', () => undefined)
  }

  /** Connected, with a first frame acknowledged. */
  static async open(port: number, sessionId: string, token?: string): Promise<Visitor> {
    const visitor = new Visitor(port, sessionId, token)
    await until('a visitor is welcomed', () => visitor.#welcomed)
    visitor.send()
    await visitor.untilAcked()
    return visitor
  }

  /** The next frame, of one event, while the connection is open. */
  send(): void {
    if (this.closeCode !== undefined) return
    const nowMs = systemClock.nowMs()
    this.#socket.send(
      JSON.stringify({
        v: 1,
        frame: this.sent,
        sentAt: nowMs,
        session: { sessionId: this.#sessionId },
        events: [{ seq: this.sent, type: 'heartbeat', at: nowMs }],
      }),
    )
    this.sent += 1
  }

  /** Waits for the acknowledgement of all that was sent. */
  async untilAcked(): Promise<void> {
    const target = this.sent - 1
    while (this.acked < target) {
      if (this.closeCode !== undefined) throw new Error(`closed meanwhile: ${this.closeCode}`)
      await systemClock.sleep(1)
    }
  }

  close(): void {
    this.#socket.close()
  }

  #take({ welcome, ack, creditFrames = 0, slow, goaway }: Message): void {
    if (welcome !== undefined) this.#welcomed = true
    if (ack !== undefined) {
      this.acked = ack
      this.creditEdge = ack + creditFrames
    }
    if (slow !== undefined) this.slowCount += 1
    if (goaway !== undefined) this.reconnectAfterMs = goaway.reconnectAfterMs
  }
}
