/**
 * One HTTP request that brings events: admitted, read within its bounds, and answered once what it
 * brought is in the log, or given back.
 */
import type { HttpRequest, HttpResponse } from 'uWebSockets.js'
import type { Principal } from '../shared/auth/token-verifier.ts'
import { readBody, type BodyResult } from '../shared/http/body.ts'
import { corsHeaders, isOriginAllowed, type CorsRules } from '../shared/http/cors.ts'
import { GuardedResponse } from '../shared/http/guarded-response.ts'
import { problemAnswer, type ProblemOptions } from '../shared/http/problem.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import type { BackhaulError } from '../shared/runtime/errors.ts'
import type { Random } from '../shared/runtime/random.ts'
import type { Admission } from './admission.ts'
import type { FrameCost } from './allowance.ts'
import type { ClientAddresses } from './client-address.ts'
import type { Enrichment, IngestSource } from './enrichment.ts'
import { gatewayErrors, type GatewayErrorCode } from './errors.ts'
import type { Intake } from './intake.ts'
import type { RefusalReason } from './ledger.ts'
import type { Rates } from './rates.ts'
import type { Submission, SubmissionSink } from './submission.ts'
import type { GatewayTelemetry } from './telemetry.ts'

/** What all requests of a gateway share. */
export interface RequestContext {
  readonly admission: Admission
  readonly intake: Intake
  readonly enrichment: Enrichment
  readonly rates: Rates
  readonly addresses: ClientAddresses
  readonly telemetry: GatewayTelemetry
  readonly clock: Clock
  readonly random: Random
  readonly cors: CorsRules
  readonly trustedCountryHeader: string
  readonly bodyTimeoutMs: number
  readonly slowRetryMs: number
}

export class IngestRequest {
  readonly #context: RequestContext
  readonly #response: GuardedResponse
  readonly #origin: string
  readonly #country: string
  readonly #traceparent: string
  readonly #declaredBytes: number | undefined
  readonly #address: string | undefined

  /** Must be built inside the route handler: the request is gone when that returns. */
  constructor(context: RequestContext, response: HttpResponse, request: HttpRequest) {
    const { trustedCountryHeader, rates, addresses } = context
    this.#context = context
    this.#response = new GuardedResponse(response)
    this.#origin = request.getHeader('origin')
    this.#country = trustedCountryHeader === '' ? '' : request.getHeader(trustedCountryHeader)
    this.#traceparent = context.enrichment.traceparentOf(request)
    const length = request.getHeader('content-length')
    this.#declaredBytes = length === '' ? undefined : Number(length)
    this.#address = rates.limitsAddresses ? addresses.read(response, request) : undefined
  }

  get isOpen(): boolean {
    return this.#response.isOpen
  }

  /**
   * Takes a slot and reads the body; every refusal is answered here and `handle` is then not
   * called. Must be called inside the route handler.
   */
  read(maxBytes: number, handle: (body: Uint8Array) => void): void {
    const { admission, bodyTimeoutMs, clock, cors } = this.#context
    // A browser sends a simple request of any page, and only keeps the answer from it.
    if (!isOriginAllowed(cors, this.#origin))
      return this.refuse('GATEWAY_ORIGIN_REFUSED', {
        expected: 'an origin of GATEWAY_ALLOWED_ORIGINS',
        received: this.#origin,
      })
    const bodyBytes = this.#declaredBytes ?? maxBytes
    if (bodyBytes > maxBytes) return this.#refuseBody(maxBytes, `${bodyBytes}`)
    const refusal = admission.admitRequest(bodyBytes)
    if (refusal !== undefined) return this.refuse(refusal)
    this.#response.onEnd(() => admission.releaseRequest(bodyBytes))
    readBody(this.#response, { maxBytes, timeoutMs: bodyTimeoutMs }, clock, (result) => {
      if (result.ok) handle(result.bytes)
      else this.#answerUnread(result.reason, maxBytes)
    })
  }

  /** Runs a decoder, which holds no state: a defect of it is answered 500, `undefined` returned. */
  decode<Result>(decoder: () => Result): Result | undefined {
    try {
      return decoder()
    } catch (error) {
      this.#context.telemetry.defectMet(error)
      this.refuse('GATEWAY_INTERNAL')
      return undefined
    }
  }

  /**
   * Charges what the request brought; when it is beyond a rate, that is answered, and true returned.
   * The events are counted as refused by the caller.
   */
  isOverRate(cost: FrameCost, subject?: string): boolean {
    const { rates, telemetry } = this.#context
    const refusal = rates.charge({ address: this.#address, subject }, cost)
    if (refusal === undefined) return false
    telemetry.overRate(refusal)
    this.refuseWith(gatewayErrors.create('GATEWAY_RATE_LIMITED'), {
      retryAfterSeconds: refusal.retryAfterMs / 1_000,
    })
    return true
  }

  sourceOf(principal: Principal): IngestSource {
    return this.#context.enrichment.sourceOf({
      principal,
      country: this.#country,
      traceparent: this.#traceparent,
    })
  }

  /** Waits for a submission and answers by how it ends. */
  sinkAnswering(durable: (submission: Submission) => void): SubmissionSink {
    return {
      durable,
      refused: (_submission, reason) => this.refuseFor(reason),
      failed: () => this.refuse('GATEWAY_APPEND_REFUSED'),
    }
  }

  refuseFor(reason: RefusalReason): void {
    this.refuse(reason === 'overload' ? 'GATEWAY_OVERLOADED' : 'GATEWAY_LOG_UNAVAILABLE')
  }

  answer(status: 200 | 204, body?: unknown): void {
    const headers = corsHeaders(this.#context.cors, this.#origin)
    if (body === undefined) return this.#response.answer({ status, headers })
    this.#response.answer({
      status,
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    })
  }

  refuse(code: GatewayErrorCode, detail?: { expected: string; received?: string }): void {
    this.refuseWith(gatewayErrors.create(code, detail))
  }

  refuseWith(error: BackhaulError, options: ProblemOptions = {}): void {
    const { telemetry, cors, random, slowRetryMs } = this.#context
    if (!this.isOpen) return
    telemetry.requestRefused(error.code)
    const retryAfterMs = slowRetryMs / 2 + random.below(slowRetryMs)
    this.#response.answer(
      problemAnswer(error, {
        ...(error.spec.retryable ? { retryAfterSeconds: retryAfterMs / 1_000 } : {}),
        ...options,
        headers: { ...corsHeaders(cors, this.#origin), ...options.headers },
      }),
    )
  }

  #answerUnread(reason: Extract<BodyResult, { ok: false }>['reason'], maxBytes: number): void {
    const { bodyTimeoutMs } = this.#context
    if (reason === 'tooLarge') this.#refuseBody(maxBytes, 'more')
    else if (reason === 'timeout')
      this.refuseWith(
        gatewayErrors.create('GATEWAY_BODY_TIMEOUT', { expected: `it within ${bodyTimeoutMs} ms` }),
        { closesConnection: true },
      )
  }

  /** The rest of the body is not read, so the connection cannot be used again. */
  #refuseBody(maxBytes: number, received: string): void {
    this.refuseWith(
      gatewayErrors.create('GATEWAY_BODY_TOO_LARGE', {
        expected: `at most ${maxBytes} bytes`,
        received,
      }),
      { closesConnection: true },
    )
  }
}
