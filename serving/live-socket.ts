/** `/v1/live`: the WebSocket in front of the live hub. */
import type { TemplatedApp, WebSocket } from 'uWebSockets.js'
import {
  bearerFromAuthorization,
  bearerFromSubprotocols,
  type TokenVerifier,
} from '../shared/auth/token-verifier.ts'
import { isOriginAllowed } from '../shared/http/cors.ts'
import { GuardedResponse } from '../shared/http/guarded-response.ts'
import { problemAnswer } from '../shared/http/problem.ts'
import { BackhaulError } from '../shared/runtime/errors.ts'
import { servingErrors } from './errors.ts'
import type { ServingLimits } from './limits.ts'
import type { LiveClient, LiveHub } from './live-hub.ts'
import type { ServingTelemetry } from './telemetry.ts'

/** Subprotocol that a client names beside `bearer.<base64url>`. */
export const LIVE_SUBPROTOCOL = 'live.v1'

export interface LiveSocketOptions {
  readonly hub: LiveHub
  readonly verifier: TokenVerifier
  readonly limits: ServingLimits
  readonly corsOrigins: readonly string[]
  readonly telemetry: ServingTelemetry
}

interface SocketData {
  readonly expiresAtMs: number | undefined
  client: LiveClient | undefined
}

interface UpgradeHeaders {
  readonly key: string
  readonly protocols: string
  readonly extensions: string
  readonly authorization: string
  readonly origin: string
  readonly host: string
}

export function routeLive(app: TemplatedApp, options: LiveSocketOptions): void {
  const { hub, limits, telemetry } = options
  const decoder = new TextDecoder()
  app.ws<SocketData>('/v1/live', {
    maxPayloadLength: limits.liveMessageMaxBytes,
    // The hub stops sending at its own, lower bound; this one only guards against its mistakes.
    maxBackpressure: limits.liveBufferedMaxBytes * 4,
    idleTimeout: Math.ceil(limits.liveIdleTimeoutMs / 1_000),
    sendPingsAutomatically: true,
    upgrade: async (raw, request, context) => {
      const response = new GuardedResponse(raw)
      const headers: UpgradeHeaders = {
        key: request.getHeader('sec-websocket-key'),
        protocols: request.getHeader('sec-websocket-protocol'),
        extensions: request.getHeader('sec-websocket-extensions'),
        authorization: request.getHeader('authorization'),
        origin: request.getHeader('origin'),
        host: request.getHeader('host'),
      }
      try {
        const expiresAtMs = await admit(headers, options)
        if (!response.isOpen) return
        const data: SocketData = { expiresAtMs, client: undefined }
        const chosen = headers.protocols.includes(LIVE_SUBPROTOCOL) ? LIVE_SUBPROTOCOL : ''
        response.raw.cork(() =>
          response.handOver().upgrade(data, headers.key, chosen, headers.extensions, context),
        )
      } catch (error) {
        const known =
          error instanceof BackhaulError ? error : servingErrors.create('SERVING_INTERNAL')
        telemetry.liveRefused({ code: known.code })
        response.answer(problemAnswer(known, { closesConnection: true }))
      }
    },
    open(socket) {
      const data = socket.getUserData()
      data.client = hub.connect(sinkOf(socket), data.expiresAtMs)
    },
    message(socket, message) {
      const { client } = socket.getUserData()
      if (client !== undefined) hub.receive(client, decoder.decode(message))
    },
    close(socket) {
      const data = socket.getUserData()
      if (data.client !== undefined) hub.disconnect(data.client)
      data.client = undefined
    },
  })
}

/** Throws why the connection is refused; returns when its token expires. */
async function admit(
  headers: UpgradeHeaders,
  options: LiveSocketOptions,
): Promise<number | undefined> {
  // A page of another site can open a WebSocket to this one without any CORS check.
  const sameHost = URL.parse(headers.origin)?.host === headers.host
  if (!sameHost && !isOriginAllowed({ origins: options.corsOrigins }, headers.origin))
    throw servingErrors.create('SERVING_ORIGIN_REFUSED', {
      expected: `${headers.host} or an origin of SERVING_CORS_ORIGINS`,
      received: headers.origin,
    })
  const token =
    bearerFromSubprotocols(headers.protocols) ?? bearerFromAuthorization(headers.authorization)
  const principal = await options.verifier.verify(token, 'read')
  if (!options.hub.hasRoom())
    throw servingErrors.create('SERVING_LIVE_CONNECTIONS_FULL', {
      expected: `at most ${options.limits.liveConnectionsMax}`,
      received: 'one more',
    })
  return principal.expiresAtMs
}

function sinkOf(socket: WebSocket<SocketData>) {
  return {
    send: (text: string) => void socket.send(text),
    bufferedBytes: () => socket.getBufferedAmount(),
    close: (code: number, reason: string) => socket.end(code, reason),
  }
}
