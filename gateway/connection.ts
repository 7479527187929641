/**
 * One client's protocol. Frames come in by number within the credit told; acknowledgements go out
 * once everything before them is durable.
 *
 *   greeted ──first frame──► open ──frame cannot be kept──► discarding ──it comes again──► open
 *      │                      │                                │
 *      └──────────────────────┴─drain, lifetime: time to go────┴──► leaving ──all durable──► closed
 *   (and from every state, on an error of either side, straight to closed)
 */
import type { FrameResult } from '../shared/events/decoded-frame.ts'
import { decodeFrame } from '../shared/events/frame.ts'
import type { FrameLimits } from '../shared/events/limits.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import type { Failpoints } from '../shared/runtime/failpoints.ts'
import type { Random } from '../shared/runtime/random.ts'
import { AckWindow } from './ack-window.ts'
import { Credit, type CreditWindow } from './credit.ts'
import type { IngestSource } from './enrichment.ts'
import { gatewayErrors, type GatewayErrorCode } from './errors.ts'
import type { Intake } from './intake.ts'
import type { RefusalReason } from './ledger.ts'
import {
  ACK_REJECTIONS_MAX,
  CLOSE_REASON_MAX_BYTES,
  FRAME_REJECTIONS_TOLD_MAX,
  GOAWAY_RECONNECT_MAX_MS,
  LEAVE_MARGIN_MS,
  LIFETIME_JITTER,
  REST_AFTER_MS,
} from './limits.ts'
import { Patience, type Due, type PatienceBounds } from './patience.ts'
import type { Allowance } from './allowance.ts'
import type { RateRefusal, Rates } from './rates.ts'
import type { Rejection, Submission, SubmissionSink } from './submission.ts'
import type { GatewayTelemetry } from './telemetry.ts'

/** The part of a WebSocket that the protocol needs. */
export interface ClientSocket {
  send(message: string): number
  getBufferedAmount(): number
  ping(): number
  /** Sends a close frame and ends; `closed` is called before it returns. */
  end(code: number, reason: string): void
}

export interface ConnectionSettings extends PatienceBounds {
  readonly frameLimits: FrameLimits
  readonly frameMaxBytes: number
  readonly credit: CreditWindow
  readonly heartbeatMs: number
  readonly sendBufferMaxBytes: number
  readonly tokenGraceMs: number
  readonly slowRetryMs: number
  /** 0: connections may stay for ever. */
  readonly maxLifetimeMs: number
}

/** What all connections of a gateway share. */
export interface ConnectionContext {
  readonly settings: ConnectionSettings
  readonly intake: Intake
  readonly rates: Rates
  readonly clock: Clock
  readonly random: Random
  readonly telemetry: GatewayTelemetry
  readonly failpoints: Failpoints
  /** Whether acknowledgements move the credit edges along. */
  grantsCredit(): boolean
  /** Has `flush` called once, after the current turn of the event loop. */
  scheduleFlush(connection: Connection): void
}

export interface ConnectionOrigin {
  readonly source: IngestSource
  readonly tokenExpiresAtMs: number | undefined
  /** Who shares the rates of others; absent where those are not limited. */
  readonly address: string | undefined
  readonly subject: string | undefined
}

/** Why a frame is given back. */
interface FrameRefusal {
  readonly reason: RefusalReason
  readonly isUnnumbered?: boolean
  readonly retryAfterMs?: number
}

export type ConnectionState = 'greeted' | 'open' | 'discarding' | 'leaving' | 'closed'

const NEXT: Readonly<Record<ConnectionState, readonly ConnectionState[]>> = {
  greeted: ['open', 'leaving', 'closed'],
  open: ['discarding', 'leaving', 'closed'],
  discarding: ['open', 'leaving', 'closed'],
  leaving: ['closed'],
  closed: [],
}

export class Connection implements SubmissionSink {
  readonly #context: ConnectionContext
  readonly #socket: ClientSocket
  readonly #origin: ConnectionOrigin
  readonly #acks: AckWindow
  readonly #credit: Credit
  readonly #patience: Patience
  /** Absent while it would be full. */
  #allowance: Allowance | undefined
  /** Frames behind the acknowledgement, by number modulo the window. */
  #frames: (Submission | undefined)[] = []
  #state: ConnectionState = 'greeted'
  /** Number of the next frame; while discarding, the number that ends it. */
  #nextFrame = 0
  #toldAck = -1
  #discardsLeft = 0
  #flushScheduled = false
  /** Why it leaves, once it was sent away. */
  #leaveCode: 'GATEWAY_DRAINING' | 'GATEWAY_LIFETIME_REACHED' = 'GATEWAY_DRAINING'

  constructor(context: ConnectionContext, socket: ClientSocket, origin: ConnectionOrigin) {
    const { settings, clock, random } = context
    const { credit, maxLifetimeMs } = settings
    this.#context = context
    this.#socket = socket
    this.#origin = origin
    this.#acks = new AckWindow(credit.frames)
    this.#credit = new Credit(credit)
    const lifetimeMs =
      maxLifetimeMs === 0 ? undefined : maxLifetimeMs * (1 - LIFETIME_JITTER * random.next())
    this.#patience = new Patience(settings, clock.monotonicMs(), lifetimeMs)
  }

  get state(): ConnectionState {
    return this.#state
  }

  welcome(): void {
    const { credit, frameMaxBytes, heartbeatMs } = this.#context.settings
    this.#send(
      `{"welcome":{"creditFrames":${credit.frames},"creditBytes":${credit.bytes},"frameMaxBytes":${frameMaxBytes},"heartbeatMs":${heartbeatMs}}}`,
    )
  }

  /** One message as it came, text or binary; the bytes are not needed after the return. */
  receive(bytes: Uint8Array): void {
    if (this.#state === 'closed' || this.#state === 'leaving') return
    const { settings, clock } = this.#context
    this.#patience.frameCame(clock.monotonicMs())
    if (bytes.length > settings.frameMaxBytes)
      return this.close(
        'GATEWAY_FRAME_TOO_LARGE',
        `expected at most ${settings.frameMaxBytes} bytes, received ${bytes.length}`,
      )
    if (this.#state === 'greeted') this.#transition('open')
    const { intake, failpoints } = this.#context
    intake.countFrame('websocket')
    void failpoints.hit('gateway.afterFrame')
    const result = this.#decode(bytes)
    if (result === undefined) return this.close('GATEWAY_INTERNAL')
    void failpoints.hit('gateway.afterValidation')
    if (this.#state === 'open') this.#receiveNext(bytes, result)
    else this.#receiveWhileDiscarding(bytes, result)
  }

  /** Something came that shows the client is alive. */
  heard(): void {
    this.#patience.heard(this.#context.clock.monotonicMs())
  }

  /**
   * Asks the client to reconnect elsewhere after `reconnectAfterMs`. Frames are still taken for a
   * while; then it is closed with 1001 once those in flight are acknowledged.
   */
  goAway(reconnectAfterMs: number, code = this.#leaveCode): void {
    if (this.#state === 'closed' || this.#state === 'leaving') return
    const nowMs = this.#context.clock.monotonicMs()
    this.#leaveCode = code
    this.#patience.sentAway(nowMs + reconnectAfterMs + LEAVE_MARGIN_MS)
    this.#send(`{"goaway":{"reconnectAfterMs":${reconnectAfterMs}}}`)
  }

  /** What falls due by time; called every `SWEEP_MS`. */
  sweep(): void {
    if (this.#state === 'closed') return
    const { clock, settings } = this.#context
    const nowMs = clock.monotonicMs()
    const expiresAtMs = this.#origin.tokenExpiresAtMs
    if (expiresAtMs !== undefined && clock.nowMs() >= expiresAtMs + settings.tokenGraceMs)
      return this.close('GATEWAY_TOKEN_EXPIRED')
    this.#act(this.#patience.due(nowMs, this.#state !== 'greeted'), nowMs)
    this.#releaseCredit()
    this.#rest(nowMs)
  }

  /** Sends the acknowledgements that have become due. */
  flush(): void {
    this.#flushScheduled = false
    if (this.#state === 'closed') return
    const grants = this.#context.grantsCredit()
    while (this.#toldAck < this.#acks.edge && this.#isOpen) this.#acknowledge(grants)
    this.#closeIfLeft()
  }

  /** Ends the connection for an error; what is already durable is acknowledged before. */
  close(code: GatewayErrorCode, detail = ''): void {
    if (this.#state === 'closed') return
    if (code !== 'GATEWAY_CLIENT_TOO_SLOW') {
      while (this.#toldAck < this.#acks.edge && !this.#isStuffed) this.#acknowledge(false)
    }
    this.#transition('closed')
    this.#context.telemetry.connectionClosed(code)
    const closeCode = gatewayErrors.catalogue[code].closeCode ?? 1011
    this.#socket.end(closeCode, closeReason(code, detail))
  }

  /** The socket is gone, by `cause`; what is in flight goes into the log all the same. */
  closed(cause: GatewayErrorCode | 'client'): void {
    if (this.#state === 'closed') return
    this.#transition('closed')
    this.#context.telemetry.connectionClosed(cause)
  }

  durable(submission: Submission): void {
    if (this.#state === 'closed') return
    if (this.#acks.settle(submission.frameNumber)) this.#scheduleFlush()
  }

  refused(submission: Submission, reason: RefusalReason): void {
    if (this.#state === 'closed') return
    this.#slow(submission.frameNumber, { reason })
  }

  failed(): void {
    this.close('GATEWAY_APPEND_REFUSED')
  }

  #act(due: Due, nowMs: number): void {
    const { settings, random } = this.#context
    switch (due) {
      case 'hello':
        return this.close('GATEWAY_HELLO_TIMEOUT', `expected a frame within ${settings.helloMs} ms`)
      case 'frame':
        return this.close('GATEWAY_IDLE_TIMEOUT', `expected a frame within ${settings.idleMs} ms`)
      case 'pong':
        return this.close('GATEWAY_CLIENT_UNRESPONSIVE', `within ${settings.pongTimeoutMs} ms`)
      case 'leave':
        return this.#leave()
      case 'goAway':
        return this.goAway(random.below(GOAWAY_RECONNECT_MAX_MS + 1), 'GATEWAY_LIFETIME_REACHED')
      case 'ping':
        this.#patience.pinged(nowMs)
        this.#socket.ping()
        return
      case 'nothing':
        return
    }
  }

  #leave(): void {
    if (this.#state === 'leaving') return
    this.#transition('leaving')
    this.#closeIfLeft()
  }

  /** Gives back the memory that only a connection with frames in flight needs. */
  #rest(nowMs: number): void {
    if (this.#toldAck !== this.#nextFrame - 1) return
    if (nowMs - this.#patience.lastFrameAtMs < REST_AFTER_MS) return
    this.#frames = []
    this.#credit.rest()
    if (this.#allowance?.isFull(nowMs) === true) this.#allowance = undefined
  }

  /** A defect of the decoder, which holds no state, ends the one connection that meets it. */
  #decode(bytes: Uint8Array): FrameResult | undefined {
    const { settings, telemetry } = this.#context
    try {
      return decodeFrame(bytes, { numbered: true, limits: settings.frameLimits })
    } catch (error) {
      telemetry.defectMet(error)
      return undefined
    }
  }

  #receiveNext(bytes: Uint8Array, result: FrameResult): void {
    const frame = this.#nextFrame
    const number = numberOf(result) ?? frame
    if (number !== frame)
      return this.close('GATEWAY_FRAME_OUT_OF_SEQUENCE', `expected ${frame}, received ${number}`)
    if (!this.#credit.allows(frame, bytes.length))
      return this.close('GATEWAY_CREDIT_EXCEEDED', `frame ${frame} of ${bytes.length} bytes`)
    this.#credit.received(frame, bytes.length)
    this.#nextFrame += 1
    const { intake, clock, telemetry } = this.#context
    const isUnnumbered = numberOf(result) === undefined
    const overRate = this.#charge(bytes, result)
    if (overRate !== undefined) {
      this.#countRefused(result, 'rate')
      telemetry.overRate(overRate)
      const { retryAfterMs } = overRate
      return this.#slow(frame, { reason: 'rate', isUnnumbered, retryAfterMs })
    }
    const arrival = {
      sink: this,
      source: this.#origin.source,
      frameNumber: frame,
      receivedAtMs: clock.nowMs(),
    }
    const submission = result.ok
      ? intake.submitFrame(result.frame, arrival)
      : intake.submitUnreadable(bytes, result, arrival)
    if (submission === undefined) return this.#slow(frame, { reason: 'overload', isUnnumbered })
    for (const { code } of submission.rejections ?? []) telemetry.rejected(code)
    this.#frames[frame % this.#context.settings.credit.frames] = submission
  }

  #charge(bytes: Uint8Array, result: FrameResult): RateRefusal | undefined {
    const { address, subject } = this.#origin
    const { rates } = this.#context
    this.#allowance ??= rates.openConnection()
    return rates.charge(
      { connection: this.#allowance, address, subject },
      { frames: 1, events: eventsOf(result), bytes: bytes.length },
    )
  }

  /** Until the awaited number comes again, frames that were on their way are given back unread. */
  #receiveWhileDiscarding(bytes: Uint8Array, result: FrameResult): void {
    const number = numberOf(result)
    if (number === this.#nextFrame) {
      this.#transition('open')
      return this.#receiveNext(bytes, result)
    }
    if (number !== undefined && !this.#credit.allowsFrame(number))
      return this.close('GATEWAY_CREDIT_EXCEEDED', `frame ${number}`)
    this.#discardsLeft -= 1
    if (this.#discardsLeft < 0)
      return this.close('GATEWAY_FRAME_OUT_OF_SEQUENCE', `expected ${this.#nextFrame} again`)
    this.#countRefused(result, 'behindRefused')
  }

  /**
   * Gives back every frame from `frame` on that is not on its way into the log, and says so.
   * A frame without a readable number could not be recognised when it comes again: the client
   * then has to begin anew.
   */
  #slow(frame: number, refusal: FrameRefusal): void {
    const { settings, telemetry } = this.#context
    const { reason, retryAfterMs = this.#retryAfterMs() } = refusal
    const window = settings.credit.frames
    let { isUnnumbered = false } = refusal
    for (let each = frame; each < this.#nextFrame; each++) {
      const submission = this.#frames[each % window]
      if (submission?.frameNumber !== each) continue
      submission.drop(each === frame ? reason : 'behindRefused')
      this.#frames[each % window] = undefined
      if (each === frame && submission.isUnnumbered) isUnnumbered = true
    }
    if (isUnnumbered || this.#state === 'leaving') return this.#giveUp()
    this.#acks.forgetFrom(frame)
    this.#credit.rewindTo(frame)
    this.#nextFrame = frame
    this.#discardsLeft = window
    if (this.#state === 'open') this.#transition('discarding')
    telemetry.toldSlow(reason, retryAfterMs)
    this.#send(`{"slow":{"resendFrom":${frame},"retryAfterMs":${retryAfterMs}}}`)
  }

  #giveUp(): void {
    this.close(this.#state === 'leaving' ? this.#leaveCode : 'GATEWAY_OVERLOADED')
  }

  #retryAfterMs(): number {
    const { settings, random } = this.#context
    return Math.ceil(settings.slowRetryMs / 2) + random.below(settings.slowRetryMs)
  }

  #countRefused(result: FrameResult, reason: RefusalReason): void {
    const { intake } = this.#context
    if (!result.ok) return intake.countRefused({ unreadable: 1, reason })
    intake.countRefused({ events: eventsOf(result), reason })
  }

  /** One acknowledgement: as far as the edge, or as many frames as its rejections allow. */
  #acknowledge(grants: boolean): void {
    const { clock, telemetry, settings, failpoints } = this.#context
    const window = settings.credit.frames
    const rejected: string[] = []
    const oldest = this.#frames[(this.#toldAck + 1) % window]
    while (this.#toldAck < this.#acks.edge && rejected.length < ACK_REJECTIONS_MAX) {
      this.#toldAck += 1
      const slot = this.#toldAck % window
      const rejections = this.#frames[slot]?.rejections
      if (rejections !== undefined) describeRejections(this.#toldAck, rejections, rejected)
      this.#frames[slot] = undefined
    }
    if (oldest !== undefined) telemetry.acknowledged(clock.monotonicMs() - oldest.arrivedAtMs)
    this.#credit.acknowledge(this.#toldAck, grants)
    this.#sendAck(rejected)
    void failpoints.hit('gateway.afterAcknowledge')
  }

  #sendAck(rejected: readonly string[]): void {
    const { framesLeft, bytesLeft } = this.#credit
    const refusals = rejected.length === 0 ? '' : `,"rejected":[${rejected.join(',')}]`
    this.#send(
      `{"ack":${this.#toldAck},"creditFrames":${framesLeft},"creditBytes":${bytesLeft}${refusals}}`,
    )
  }

  /** Edges that stood still while the process was short of memory move on. */
  #releaseCredit(): void {
    if (this.#state === 'closed' || this.#state === 'leaving') return
    if (!this.#credit.isHeldBack || !this.#context.grantsCredit()) return
    this.#credit.acknowledge(this.#toldAck, true)
    this.#sendAck([])
  }

  #scheduleFlush(): void {
    if (this.#flushScheduled) return
    this.#flushScheduled = true
    this.#context.scheduleFlush(this)
  }

  #closeIfLeft(): void {
    if (this.#state === 'leaving' && this.#acks.edge === this.#nextFrame - 1)
      this.close(this.#leaveCode)
  }

  get #isOpen(): boolean {
    return this.#state !== 'closed'
  }

  get #isStuffed(): boolean {
    return this.#socket.getBufferedAmount() > this.#context.settings.sendBufferMaxBytes
  }

  #send(message: string): void {
    if (this.#isStuffed) this.close('GATEWAY_CLIENT_TOO_SLOW')
    else this.#socket.send(message)
  }

  #transition(to: ConnectionState): void {
    if (!NEXT[this.#state].includes(to))
      throw new Error(`assertion failed: a connection does not go from ${this.#state} to ${to}`)
    this.#state = to
  }
}

function numberOf(result: FrameResult): number | undefined {
  return result.ok ? result.frame.frameNumber : result.frameNumber
}

function eventsOf(result: FrameResult): number {
  return result.ok ? result.frame.acceptedCount + result.frame.rejected.length : 0
}

function describeRejections(frame: number, rejections: readonly Rejection[], into: string[]): void {
  for (const { seq, code, detail } of rejections.slice(0, FRAME_REJECTIONS_TOLD_MAX))
    into.push(JSON.stringify({ frame, seq, code, detail }))
  const omitted = rejections.length - FRAME_REJECTIONS_TOLD_MAX
  if (omitted > 0)
    into.push(
      JSON.stringify({
        frame,
        code: 'GATEWAY_REJECTIONS_OMITTED',
        detail: `${omitted} more events`,
      }),
    )
}

/** The code, and as much of the detail as a close frame holds. All parts are ASCII. */
function closeReason(code: GatewayErrorCode, detail: string): string {
  return (detail === '' ? code : `${code}: ${detail}`).slice(0, CLOSE_REASON_MAX_BYTES)
}
