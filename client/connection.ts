/**
 * One connection, from its opening to its end: the server's welcome, the frames it sends within
 * credit, acknowledgements, `slow` and `goaway`. It takes frames from the head of the queue and
 * removes them once acknowledged; whatever is left when it ends, the next connection sends.
 */
import { clientProblem, problemOfClose, type ClientProblem } from './client-errors.ts'
import { CreditWindow } from './credit-window.ts'
import {
  frameBody,
  frameBytesAtMost,
  framePrefix,
  recutFrame,
  type FrameQueue,
  type QueuedFrame,
} from './frame-queue.ts'
import type { ClientLimits } from './limits.ts'
import type { ClientClock, ClientSocket, OpenSocket } from './runtime.ts'
import { parseServerMessage, type ServerMessage } from './server-messages.ts'

/** An event that will not be counted, and why. */
export interface RejectedReport {
  /** Absent when the frame it came in is no longer known. */
  readonly sessionId: string | undefined
  readonly seq: number | undefined
  readonly code: string
  readonly detail: string
}

export interface ConnectionObserver {
  welcomed(): void
  transmitted(frame: QueuedFrame): void
  acknowledged(frames: readonly QueuedFrame[]): void
  rejected(reports: readonly RejectedReport[]): void
  /** Events that fit no frame of this server; they have left the queue. */
  undeliverable(reports: readonly RejectedReport[]): void
  /** The server drains: nothing more is sent, acknowledgements still come. */
  leaving(reconnectAfterMs: number): void
  /** Called once, and nothing after it. */
  ended(problem: ClientProblem): void
}

export interface ConnectionOptions {
  readonly url: string
  readonly subprotocols: string[]
  readonly openSocket: OpenSocket
  readonly queue: FrameQueue
  readonly clock: ClientClock
  readonly limits: ClientLimits
  /** Whether a refused token can be replaced by another. */
  readonly tokenRenewable: boolean
  readonly observer: ConnectionObserver
}

type Phase = 'greeting' | 'ready' | 'holding' | 'leaving' | 'ended'

const NORMAL_CLOSE = 1000
const noTimer = () => undefined

export class Connection {
  readonly #options: ConnectionOptions
  readonly #socket: ClientSocket
  readonly #window = new CreditWindow()
  #phase: Phase = 'greeting'
  #frameBytesMax: number
  #cancelPhaseTimer: () => void
  #cancelSilenceTimer: () => void = noTimer

  /** Throws what `openSocket` throws. */
  constructor(options: ConnectionOptions) {
    this.#options = options
    const { clock, limits, tokenRenewable } = options
    this.#frameBytesMax = limits.frameBytesMax
    this.#socket = options.openSocket(options.url, options.subprotocols, {
      message: (data) => this.#receive(data),
      closed: (closeCode, reason) => this.#fail(problemOfClose(closeCode, reason, tokenRenewable)),
    })
    this.#cancelPhaseTimer = clock.after(limits.connectTimeoutMs, () =>
      this.#fail(clientProblem('CLIENT_CONNECT_TIMEOUT', `${limits.connectTimeoutMs} ms passed`)),
    )
  }

  /** Frames sent and not acknowledged; they are the first ones of the queue. */
  get inFlightFrames(): number {
    return this.#window.inFlightFrames
  }

  /** Sends what waits, as far as the credit reaches. */
  pump(): void {
    while (this.#phase === 'ready') {
      const index = this.#window.inFlightFrames
      const frame = this.#options.queue.at(index)
      if (frame === undefined) break
      if (frameBytesAtMost(frame) > this.#frameBytesMax) this.#recut(index, frame)
      else if (!this.#transmit(frame)) break
    }
    this.#watchSilence()
  }

  /** Ends the connection without a word to the observer. */
  close(): void {
    if (this.#phase === 'ended') return
    this.#phase = 'ended'
    this.#cancelPhaseTimer()
    this.#cancelSilenceTimer()
    this.#socket.close(NORMAL_CLOSE)
  }

  #transmit(frame: QueuedFrame): boolean {
    const { clock, observer } = this.#options
    const prefix = framePrefix(this.#window.nextFrame, clock.nowMs())
    const frameBytes = prefix.length + frame.bodyBytes
    if (!this.#window.mayTransmit(frameBytes)) return false
    try {
      this.#socket.send(prefix + frameBody(frame))
    } catch (error) {
      this.#fail(clientProblem('CLIENT_CONNECTION_LOST', String(error)))
      return false
    }
    this.#window.transmitted(frameBytes)
    observer.transmitted(frame)
    return true
  }

  #recut(index: number, frame: QueuedFrame): void {
    const { queue, limits, observer } = this.#options
    const bounds = { bytesMax: this.#frameBytesMax, eventsMax: limits.frameEventsMax }
    const { frames, tooLarge } = recutFrame(frame, bounds)
    queue.replace(index, frames)
    if (tooLarge.length === 0) return
    observer.undeliverable(
      tooLarge.map(({ seq, bytes }) => ({
        sessionId: frame.sessionId,
        seq,
        code: 'CLIENT_EVENT_TOO_LARGE',
        detail: `expected a frame of at most ${this.#frameBytesMax} bytes, received an event of ${bytes}`,
      })),
    )
  }

  #receive(data: unknown): void {
    if (this.#phase === 'ended') return
    const message = parseServerMessage(data)
    if (message === undefined) return this.#failInvalid('a message that cannot be read')
    this.#cancelSilenceTimer()
    this.#cancelSilenceTimer = noTimer
    if (this.#phase === 'greeting' && message.kind !== 'welcome' && message.kind !== 'unknown')
      return this.#failInvalid(`${message.kind} before welcome`)
    this.#obey(message)
    this.#watchSilence()
  }

  #obey(message: ServerMessage): void {
    switch (message.kind) {
      case 'welcome':
        return this.#welcome(message)
      case 'ack':
        return this.#acknowledge(message)
      case 'slow':
        return this.#slow(message)
      case 'goaway':
        return this.#leave(message.reconnectAfterMs)
      case 'unknown':
        return
    }
  }

  #welcome(message: ServerMessage & { kind: 'welcome' }): void {
    if (this.#phase !== 'greeting') return this.#failInvalid('a second welcome')
    this.#cancelPhaseTimer()
    this.#phase = 'ready'
    this.#frameBytesMax = Math.min(this.#frameBytesMax, message.frameMaxBytes)
    this.#window.grant(-1, message.creditFrames, message.creditBytes)
    this.#options.observer.welcomed()
    this.pump()
  }

  #acknowledge(message: ServerMessage & { kind: 'ack' }): void {
    const { queue, observer } = this.#options
    const reports = message.rejected.map(({ frame, seq, code, detail }): RejectedReport => {
      const index = this.#window.indexOf(frame)
      const sessionId = index === undefined ? undefined : queue.at(index)?.sessionId
      return { sessionId, seq, code, detail }
    })
    const finished = this.#window.acknowledge(message.ack)
    if (finished === undefined) return this.#failInvalid(`ack ${message.ack} of a frame never sent`)
    const frames = queue.removeFirst(finished)
    if (message.creditFrames !== undefined)
      this.#window.grant(message.ack, message.creditFrames, message.creditBytes)
    if (finished > 0) observer.acknowledged(frames)
    this.pump()
    // Last, because the caller's code runs in it and may close the client.
    if (reports.length > 0) observer.rejected(reports)
  }

  #slow(message: ServerMessage & { kind: 'slow' }): void {
    if (this.#window.rewindTo(message.resendFrom) === undefined)
      return this.#failInvalid(`slow from frame ${message.resendFrom}, which is not in flight`)
    if (this.#phase === 'leaving') return
    this.#phase = 'holding'
    this.#cancelPhaseTimer()
    const { clock, limits } = this.#options
    const waitMs = Math.min(message.retryAfterMs, limits.retryAfterMaxMs)
    this.#cancelPhaseTimer = clock.after(waitMs, () => {
      this.#phase = 'ready'
      this.pump()
    })
  }

  #leave(reconnectAfterMs: number): void {
    if (this.#phase === 'leaving') return
    this.#cancelPhaseTimer()
    this.#phase = 'leaving'
    const waitMs = Math.min(reconnectAfterMs, this.#options.limits.reconnectAfterMaxMs)
    this.#options.observer.leaving(waitMs)
  }

  /** A server that owes something and says nothing may be gone without a close. */
  #watchSilence(): void {
    const { clock, limits, queue } = this.#options
    const owed =
      this.#phase === 'ready'
        ? queue.frames > 0
        : this.#phase === 'holding' && this.#window.inFlightFrames > 0
    if (!owed) {
      this.#cancelSilenceTimer()
      this.#cancelSilenceTimer = noTimer
    } else if (this.#cancelSilenceTimer === noTimer) {
      const maxMs = limits.serverSilenceMaxMs
      this.#cancelSilenceTimer = clock.after(maxMs, () =>
        this.#fail(clientProblem('CLIENT_SERVER_SILENT', `${maxMs} ms passed`)),
      )
    }
  }

  #failInvalid(received: string): void {
    this.#fail(clientProblem('CLIENT_SERVER_MESSAGE_INVALID', `received ${received}`))
  }

  #fail(problem: ClientProblem): void {
    if (this.#phase === 'ended') return
    this.close()
    this.#options.observer.ended(problem)
  }
}
