/** The routes of the gateway. */
import type { HttpRequest, HttpResponse, TemplatedApp, WebSocket } from 'uWebSockets.js'
import type { Registry } from 'prom-client'
import { preflightHeaders, type CorsRules } from '../shared/http/cors.ts'
import { GuardedResponse, type Answer } from '../shared/http/guarded-response.ts'
import { jsonAnswer, problemAnswer } from '../shared/http/problem.ts'
import { readiness } from './admin.ts'
import type { Admission } from './admission.ts'
import type { Clients } from './clients.ts'
import { handleCmcdPost, type CmcdOptions } from './cmcd-endpoint.ts'
import { Connection, type ConnectionContext } from './connection.ts'
import { gatewayErrors, type GatewayErrorCode } from './errors.ts'
import { handleEventsPost, type HttpEventsOptions } from './http-events.ts'
import { PAYLOAD_SHARE } from './limits.ts'
import { handleUpgrade, type UpgradeData, type UpgradeOptions } from './upgrade.ts'

export interface ServerOptions {
  readonly clients: Clients
  readonly admission: Admission
  readonly connections: ConnectionContext
  readonly upgrades: UpgradeOptions
  readonly httpEvents: HttpEventsOptions
  readonly cmcd: CmcdOptions
  readonly cors: CorsRules
  readonly registry: Registry
  /** Brings the metrics up to date. */
  report(): void
}

/** What uWebSockets.js keeps for a connection. */
interface SocketData extends UpgradeData {
  connection?: Connection
}

type Handler = (response: HttpResponse, request: HttpRequest) => void

export function addRoutes(app: TemplatedApp, options: ServerOptions): void {
  addEvents(app, options)
  const cmcd: Handler = (response, request) => handleCmcdPost(options.cmcd, response, request)
  addPostTarget(app, '/cmcd', options, cmcd)
  addPostTarget(app, '/cmcd/:ingestKey', options, cmcd)
  addOperations(app, options)
  app.any('/*', problem('GATEWAY_PATH_UNKNOWN'))
}

function addEvents(app: TemplatedApp, options: ServerOptions): void {
  const { settings } = options.connections
  app.ws<SocketData>('/v1/events', {
    maxPayloadLength: settings.frameMaxBytes * PAYLOAD_SHARE,
    // The connection's own bound comes first; this one only keeps a close frame from being dropped.
    maxBackpressure: settings.sendBufferMaxBytes * 2,
    // Idleness is the connection's own business, by the injected clock.
    idleTimeout: 0,
    sendPingsAutomatically: false,
    upgrade: (response, request, context) =>
      handleUpgrade(options.upgrades, response, request, context),
    open: (socket) => openConnection(options, socket),
    message: (socket, message) => socket.getUserData().connection?.receive(new Uint8Array(message)),
    pong: (socket) => socket.getUserData().connection?.heard(),
    close: (socket, code, message) =>
      closeConnection(options, socket, code === CUT ? Buffer.from(message).toString() : ''),
  })
  addPostTarget(app, '/v1/events', options, (response, request) =>
    handleEventsPost(options.httpEvents, response, request),
  )
}

function openConnection(options: ServerOptions, socket: WebSocket<SocketData>): void {
  const data = socket.getUserData()
  const connection = new Connection(options.connections, socket, data.origin)
  data.connection = connection
  options.clients.add(connection)
  connection.welcome()
}

/** What the WebSocket server says of a connection that it cut by itself. */
const CUT = 1006
const CUT_REASONS: Readonly<Record<string, GatewayErrorCode>> = {
  'Received too big message': 'GATEWAY_FRAME_TOO_LARGE',
  'Received invalid UTF-8': 'GATEWAY_TEXT_INVALID',
  'Received invalid WebSocket frame': 'GATEWAY_WEBSOCKET_INVALID',
}

function closeConnection(
  options: ServerOptions,
  socket: WebSocket<SocketData>,
  cutReason: string,
): void {
  const { connection } = socket.getUserData()
  if (connection === undefined) return
  connection.closed(CUT_REASONS[cutReason] ?? 'client')
  options.clients.delete(connection)
  options.admission.releaseConnection()
}

function addPostTarget(
  app: TemplatedApp,
  path: string,
  { cors }: ServerOptions,
  post: Handler,
): void {
  app.post(path, post)
  app.options(path, (response, request) => {
    const headers = preflightHeaders(cors, request.getHeader('origin'))
    new GuardedResponse(response).answer({ status: 204, headers })
  })
  if (path === '/v1/events')
    app.get(path, problem('GATEWAY_UPGRADE_REQUIRED', { upgrade: 'websocket' }))
  app.any(path, problem('GATEWAY_METHOD_NOT_ALLOWED', { allow: 'POST, OPTIONS' }))
}

function addOperations(app: TemplatedApp, options: ServerOptions): void {
  const { admission, registry } = options
  get(app, '/healthz', () => jsonAnswer(200, { status: 'live' }))
  get(app, '/readyz', () => readiness(admission.unreadyCode))
  app.get('/metrics', (response) => {
    const guarded = new GuardedResponse(response)
    options.report()
    void registry
      .metrics()
      .then((body) =>
        guarded.answer({ status: 200, headers: { 'content-type': registry.contentType }, body }),
      )
  })
  app.any('/metrics', problem('GATEWAY_METHOD_NOT_ALLOWED', { allow: 'GET' }))
}

function get(app: TemplatedApp, path: string, answer: () => Answer): void {
  app.get(path, (response) => new GuardedResponse(response).answer(answer()))
  app.any(path, problem('GATEWAY_METHOD_NOT_ALLOWED', { allow: 'GET' }))
}

function problem(code: GatewayErrorCode, headers: Readonly<Record<string, string>> = {}): Handler {
  const answer = problemAnswer(gatewayErrors.create(code), { headers })
  return (response) => new GuardedResponse(response).answer(answer)
}
