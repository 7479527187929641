/**
 * An HTTP proxy in front of a server that stands in for an API of the cloud. Its rule puts right what
 * that server does otherwise than the API, and it makes requests fail, for tests. Bodies are held in
 * memory: it is for tests and development.
 */
import {
  createServer,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { systemClock } from '../../shared/runtime/clock.ts'

/** What a proxy prints that is a process of its own, once it takes requests. */
export const PROXY_READY = 'the proxy is ready'

export interface ApiRequest {
  readonly method: string
  readonly url: URL
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export interface ApiAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export type Forward = (request: ApiRequest) => Promise<ApiAnswer>

/** What happens to a request that no fault befalls. */
export type ApiRule = (request: ApiRequest, forward: Forward) => Promise<ApiAnswer>

export interface ApiFault {
  /** The requests that it befalls; all of them where it is absent. */
  readonly to?: (request: ApiRequest) => boolean
  /** How many of them; without it all until `heal`. */
  readonly times?: number
  readonly effect: ApiEffect
}

export type ApiEffect =
  /** Answered with this, and the server never hears of it. */
  | { readonly kind: 'refused'; readonly status: number; readonly reason: string }
  /** Answered with these bytes as if all were well, and the server never hears of it. */
  | { readonly kind: 'answered'; readonly body: Buffer }
  /** Asked of the server with these parameters of the query in place of the given ones. */
  | { readonly kind: 'altered'; readonly query: Readonly<Record<string, string>> }
  /** Done by the server, whose answer never arrives. */
  | { readonly kind: 'answerLost' }
  /** The connection is reset after so many bytes of the body, here and towards the server. */
  | { readonly kind: 'cut'; readonly afterBytes: number }
  /** Neither passed on nor answered. */
  | { readonly kind: 'swallowed' }

/** A request that no fault befell, and when it was passed on and answered, epoch ms. */
export type ApiObserver = (request: ApiRequest, fromMs: number, toMs: number) => void

export interface ApiProxyOptions {
  readonly targetPort: number
  /** Port of the loopback address; a free one by default. */
  readonly port?: number
  readonly rule?: ApiRule
}

export class ApiProxy {
  readonly port: number
  readonly #server: Server
  readonly #targetPort: number
  readonly #rule: ApiRule
  readonly #observers: ApiObserver[] = []
  #faults: { readonly fault: ApiFault; left: number }[] = []

  private constructor(server: Server, options: ApiProxyOptions) {
    this.port = (server.address() as AddressInfo).port
    this.#server = server
    this.#targetPort = options.targetPort
    this.#rule = options.rule ?? ((request, forward) => forward(request))
    server.on('request', (incoming: IncomingMessage, outgoing: ServerResponse) => {
      this.#handle(incoming, outgoing).catch(() => outgoing.destroy())
    })
  }

  static start(options: ApiProxyOptions): Promise<ApiProxy> {
    const server = createServer()
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen(options.port ?? 0, '127.0.0.1', () => resolve(new ApiProxy(server, options)))
    })
  }

  observe(observer: ApiObserver): void {
    this.#observers.push(observer)
  }

  inject(fault: ApiFault): void {
    this.#faults.push({ fault, left: fault.times ?? Number.POSITIVE_INFINITY })
  }

  heal(): void {
    this.#faults = []
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.#server.closeAllConnections()
    await closed
  }

  async #handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const url = new URL(incoming.url ?? '/', `http://127.0.0.1:${this.port}`)
    const { method = 'GET', headers } = incoming
    const request = { method, url, headers, body: await bytesOf(incoming) }
    const effect = this.#befalling(request)
    if (effect === undefined) return send(outgoing, await this.#answer(request))
    switch (effect.kind) {
      case 'refused':
        return send(outgoing, apiError(effect.status, effect.reason))
      case 'answered':
        return send(outgoing, { status: 200, headers: {}, body: effect.body })
      case 'altered':
        for (const [name, value] of Object.entries(effect.query)) url.searchParams.set(name, value)
        return send(outgoing, await this.#forward(request))
      case 'answerLost':
        await this.#rule(request, (passed) => this.#forward(passed))
        break
      case 'cut':
        await this.#forward(request, effect.afterBytes).catch(() => undefined)
        break
      case 'swallowed':
        return
    }
    outgoing.destroy()
  }

  async #answer(request: ApiRequest): Promise<ApiAnswer> {
    const fromMs = systemClock.nowMs()
    const answer = await this.#rule(request, (passed) => this.#forward(passed))
    for (const observer of this.#observers) observer(request, fromMs, systemClock.nowMs())
    return answer
  }

  #befalling(request: ApiRequest): ApiEffect | undefined {
    const found = this.#faults.find(({ fault, left }) => left > 0 && (fault.to?.(request) ?? true))
    if (found === undefined) return undefined
    found.left -= 1
    return found.fault.effect
  }

  #forward(request: ApiRequest, cutAfterBytes?: number): Promise<ApiAnswer> {
    const { method, url, headers, body } = request
    return new Promise((resolve, reject) => {
      const sent = httpRequest({
        host: '127.0.0.1',
        port: this.#targetPort,
        path: `${url.pathname}${url.search}`,
        method,
        headers: withLength(headers, body),
        agent: false,
      })
      sent.on('error', reject)
      sent.on('response', (response) => {
        bytesOf(response).then((bytes) => {
          resolve({ status: response.statusCode ?? 502, headers: response.headers, body: bytes })
        }, reject)
      })
      if (cutAfterBytes === undefined) sent.end(body)
      else sent.write(body.subarray(0, cutAfterBytes), () => sent.destroy())
    })
  }
}

/** An error as the cloud's JSON APIs answer it. */
export function apiError(status: number, reason: string, message = reason): ApiAnswer {
  const error = { code: status, message, errors: [{ domain: 'global', reason, message }] }
  return {
    status,
    headers: { 'content-type': 'application/json' },
    body: Buffer.from(JSON.stringify({ error })),
  }
}

async function bytesOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of message) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** A body that came in chunks has one length now. */
function withLength(headers: IncomingHttpHeaders, body: Buffer): IncomingHttpHeaders {
  const { 'transfer-encoding': _chunked, ...rest } = headers
  return { ...rest, 'content-length': `${body.length}` }
}

function send(outgoing: ServerResponse, { status, headers, body }: ApiAnswer): void {
  outgoing.writeHead(status, withLength(headers, body))
  outgoing.end(body)
}
