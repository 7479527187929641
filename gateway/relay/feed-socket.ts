/** One WebSocket to a feed: opened in time, watched for silence, and ended with a reason. */
import type { ClientRequest, IncomingMessage } from 'node:http'
import { WebSocket } from 'ws'
import type { BackhaulError } from '../../shared/runtime/errors.ts'
import type { Clock } from '../../shared/runtime/clock.ts'
import { relayErrors, type FeedFailureCode } from './errors.ts'
import { shownAddress, type Feed } from './feeds.ts'
import { SILENCE_CHECK_MS } from './limits.ts'

export interface FeedSocketOptions {
  readonly url: string
  readonly feed: Pick<
    Feed,
    'subprotocol' | 'headers' | 'ca' | 'silenceMaxMs' | 'messageSilenceMaxMs'
  >
  readonly connectTimeoutMs: number
  readonly messageMaxBytes: number
  readonly clock: Clock
  opened(): void
  /** The bytes are the receiver's to keep. */
  message(bytes: Uint8Array): void
  /** Called once, when it could not be opened or has ended, unless it was closed from here. */
  ended(failure: BackhaulError): void
}

/** Of a certificate that is not trusted; the rest of such codes begin with CERT_. */
const CERTIFICATE_CODES = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'ERR_TLS_CERT_ALTNAME_INVALID',
])
const TOO_LARGE = 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH'
const GOING_AWAY = 1001
/** How often the feed is pinged, in shares of the silence that it may keep. */
const PINGS_PER_SILENCE = 3

export class FeedSocket {
  readonly #options: FeedSocketOptions
  readonly #socket: WebSocket
  readonly #stopWatch: () => void
  #isOpen = false
  #isOver = false
  #heardAtMs: number
  #messageAtMs: number
  #pingedAtMs = 0

  constructor(options: FeedSocketOptions) {
    this.#options = options
    const { url, feed, clock, connectTimeoutMs, messageMaxBytes } = options
    this.#heardAtMs = this.#messageAtMs = clock.monotonicMs()
    this.#socket = new WebSocket(url, feed.subprotocol === undefined ? [] : [feed.subprotocol], {
      headers: feed.headers,
      handshakeTimeout: connectTimeoutMs,
      maxPayload: messageMaxBytes,
      followRedirects: false,
      // What comes is judged byte by byte later.
      skipUTF8Validation: true,
      ...(feed.ca === undefined ? {} : { ca: feed.ca }),
    })
    this.#listen()
    this.#stopWatch = clock.every(SILENCE_CHECK_MS, () => this.#watch())
  }

  send(text: string): void {
    if (this.#isOpen) this.#socket.send(text)
  }

  /** Nothing is called from now on. */
  close(): void {
    if (this.#isOver) return
    this.#over()
    if (this.#isOpen) this.#socket.close(GOING_AWAY)
    else this.#socket.terminate()
  }

  #listen(): void {
    const socket = this.#socket
    socket.on('open', () => {
      this.#isOpen = true
      this.#hear()
      if (!this.#isOver) this.#options.opened()
    })
    socket.on('message', (data: Buffer) => {
      this.#hear()
      this.#messageAtMs = this.#heardAtMs
      if (!this.#isOver) this.#options.message(data)
    })
    socket.on('ping', () => this.#hear())
    socket.on('pong', () => this.#hear())
    socket.on('unexpected-response', (request, response) => this.#refused(request, response))
    socket.on('error', (error: Error & { readonly code?: string }) => this.#failed(error))
    socket.on('close', (code, reason) => this.#end('RELAY_FEED_CLOSED', `${code} ${reason}`.trim()))
  }

  #hear(): void {
    this.#heardAtMs = this.#options.clock.monotonicMs()
  }

  #refused(request: ClientRequest, { statusCode = 0, headers }: IncomingMessage): void {
    request.destroy()
    if (statusCode >= 300 && statusCode < 400)
      this.#end(
        'RELAY_FEED_REDIRECTED',
        `${statusCode} to ${shownAddress(headers.location ?? 'nowhere')}`,
      )
    else this.#end('RELAY_FEED_REFUSED', `${statusCode}`)
  }

  #failed({ code = '', message }: Error & { readonly code?: string }): void {
    const isCertificate = CERTIFICATE_CODES.has(code) || code.startsWith('CERT_')
    if (isCertificate) this.#end('RELAY_FEED_CERTIFICATE_INVALID', code)
    else if (code === TOO_LARGE) this.#end('RELAY_MESSAGE_TOO_LARGE', message)
    else if (this.#isOpen) this.#end('RELAY_FEED_CLOSED', message)
    else this.#end('RELAY_FEED_UNREACHABLE', message === '' ? code : message)
  }

  #watch(): void {
    if (!this.#isOpen || this.#isOver) return
    const { clock, feed } = this.#options
    const { silenceMaxMs, messageSilenceMaxMs = Infinity } = feed
    const nowMs = clock.monotonicMs()
    const silentMs = nowMs - this.#heardAtMs
    if (silentMs > silenceMaxMs) return this.#end('RELAY_FEED_SILENT', `${silentMs} ms of silence`)
    const withoutMs = nowMs - this.#messageAtMs
    if (withoutMs > messageSilenceMaxMs)
      return this.#end('RELAY_FEED_SILENT', `${withoutMs} ms without a message`)
    if (nowMs - this.#pingedAtMs < silenceMaxMs / PINGS_PER_SILENCE) return
    this.#pingedAtMs = nowMs
    this.#socket.ping()
  }

  #end(code: FeedFailureCode, received: string): void {
    if (this.#isOver) return
    this.#over()
    this.#socket.terminate()
    this.#options.ended(relayErrors.create(code, { received }))
  }

  #over(): void {
    this.#isOver = true
    this.#stopWatch()
    // What the socket still says is of no interest, but an error that nobody hears ends the process.
    this.#socket.on('error', () => undefined)
  }
}
