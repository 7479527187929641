/**
 * From an upgrade request to a connection: the checks that can still be answered with a status,
 * then the hand-over. A slot is held from the first check to the close.
 */
import type { HttpRequest, HttpResponse, us_socket_context_t } from 'uWebSockets.js'
import type { Principal, TokenVerifier } from '../shared/auth/token-verifier.ts'
import { isOriginAllowed, type CorsRules } from '../shared/http/cors.ts'
import { GuardedResponse } from '../shared/http/guarded-response.ts'
import { problemAnswer } from '../shared/http/problem.ts'
import type { BackhaulError } from '../shared/runtime/errors.ts'
import type { Random } from '../shared/runtime/random.ts'
import type { Admission } from './admission.ts'
import { asTokenError, verifyWriter } from './auth.ts'
import type { ClientAddresses } from './client-address.ts'
import type { ConnectionOrigin } from './connection.ts'
import type { Enrichment } from './enrichment.ts'
import { gatewayErrors } from './errors.ts'
import type { Rates } from './rates.ts'
import type { GatewayTelemetry } from './telemetry.ts'
import type { UpgradeRate } from './upgrade-rate.ts'

export const SUBPROTOCOL = 'playback.v1'

export interface UpgradeOptions {
  readonly admission: Admission
  readonly verifier: TokenVerifier
  readonly enrichment: Enrichment
  readonly rates: Rates
  readonly addresses: ClientAddresses
  readonly upgradeRate: UpgradeRate
  readonly telemetry: GatewayTelemetry
  readonly cors: CorsRules
  readonly trustedCountryHeader: string
  readonly slowRetryMs: number
  readonly random: Random
}

export interface UpgradeData {
  readonly origin: ConnectionOrigin
}

interface Handshake {
  readonly key: string
  readonly subprotocols: string
  readonly extensions: string
  readonly authorization: string
  readonly origin: string
  readonly country: string
  readonly traceparent: string
  readonly address: string | undefined
}

export function handleUpgrade(
  options: UpgradeOptions,
  response: HttpResponse,
  request: HttpRequest,
  socketContext: us_socket_context_t,
): void {
  const guarded = new GuardedResponse(response)
  const handshake = readHandshake(options, response, request)
  const refusal = refusalOf(options, handshake)
  if (refusal !== undefined) return refuse(options, guarded, refusal)
  let open = false
  const release = () => {
    if (!open) options.admission.releaseConnection()
  }
  verifyWriter(options.verifier, handshake).then(
    (principal) => {
      if (!guarded.isOpen) return
      open = true
      const data = { origin: originOf(options, handshake, principal) }
      complete(guarded, handshake, data, socketContext)
    },
    (error: unknown) => refuse(options, guarded, { error: asTokenError(error, options.telemetry) }),
  )
  guarded.onEnd(release)
}

function readHandshake(
  options: UpgradeOptions,
  response: HttpResponse,
  request: HttpRequest,
): Handshake {
  const { trustedCountryHeader, rates, addresses } = options
  return {
    key: request.getHeader('sec-websocket-key'),
    subprotocols: request.getHeader('sec-websocket-protocol'),
    extensions: request.getHeader('sec-websocket-extensions'),
    authorization: request.getHeader('authorization'),
    origin: request.getHeader('origin'),
    country: trustedCountryHeader === '' ? '' : request.getHeader(trustedCountryHeader),
    traceparent: options.enrichment.traceparentOf(request),
    address: rates.limitsAddresses ? addresses.read(response, request) : undefined,
  }
}

interface Refusal {
  readonly error: BackhaulError
  readonly retryAfterMs?: number
}

/** Takes a slot when there is nothing to refuse. */
function refusalOf(options: UpgradeOptions, handshake: Handshake): Refusal | undefined {
  const malformed = malformationOf(options, handshake)
  if (malformed !== undefined) return { error: malformed }
  const { admission, upgradeRate } = options
  const overRate = upgradeRate.refusal()
  if (overRate !== undefined)
    return { error: gatewayErrors.create('GATEWAY_UPGRADES_LIMITED'), ...overRate }
  const code = admission.admitConnection()
  return code === undefined ? undefined : { error: gatewayErrors.create(code) }
}

function malformationOf(options: UpgradeOptions, handshake: Handshake): BackhaulError | undefined {
  const offered = handshake.subprotocols.split(',').map((name) => name.trim())
  if (!offered.includes(SUBPROTOCOL))
    return gatewayErrors.create('GATEWAY_SUBPROTOCOL_UNSUPPORTED', {
      expected: SUBPROTOCOL,
      // The list may hold a token: only whether there was one is told.
      received: handshake.subprotocols === '' ? 'none' : 'others',
    })
  if (!isOriginAllowed(options.cors, handshake.origin))
    return gatewayErrors.create('GATEWAY_ORIGIN_REFUSED', { received: handshake.origin })
  return undefined
}

function originOf(
  { enrichment }: UpgradeOptions,
  { country, traceparent, address }: Handshake,
  principal: Principal,
): ConnectionOrigin {
  return {
    source: enrichment.sourceOf({ principal, country, traceparent }),
    tokenExpiresAtMs: principal.expiresAtMs,
    address,
    subject: principal.subject,
  }
}

function complete(
  guarded: GuardedResponse,
  { key, extensions }: Handshake,
  data: UpgradeData,
  socketContext: us_socket_context_t,
): void {
  const response = guarded.handOver()
  response.cork(() => {
    response.upgrade<UpgradeData>(data, key, SUBPROTOCOL, extensions, socketContext)
  })
}

function refuse(options: UpgradeOptions, guarded: GuardedResponse, refusal: Refusal): void {
  const { telemetry, slowRetryMs, random } = options
  const { error, retryAfterMs = slowRetryMs / 2 + random.below(slowRetryMs) } = refusal
  telemetry.requestRefused(error.code)
  guarded.answer(
    problemAnswer(error, error.spec.retryable ? { retryAfterSeconds: retryAfterMs / 1_000 } : {}),
  )
}
