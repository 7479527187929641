/**
 * Who may come in: slots of connections and requests, the state of the log, a drain. Also whether
 * credit may grow, and whether a load balancer should send anyone here.
 */
import type { ByteBudget } from './byte-budget.ts'
import type { ClockSkew } from './clock-skew.ts'
import type { GatewayErrorCode } from './errors.ts'
import type { Lanes } from './lanes.ts'

export interface AdmissionOptions {
  readonly connectionsMax: number
  readonly requestsMax: number
  readonly budget: ByteBudget
  readonly lanes: Lanes
  readonly skew: ClockSkew
}

export class Admission {
  readonly #options: AdmissionOptions
  #connections = 0
  #requests = 0
  #draining = false

  constructor(options: AdmissionOptions) {
    this.#options = options
  }

  get connections(): number {
    return this.#connections
  }

  get requests(): number {
    return this.#requests
  }

  /** From now on nothing new is taken. */
  drain(): void {
    this.#draining = true
  }

  /** Takes a slot, or says why there is none; give it back with `releaseConnection`. */
  admitConnection(): GatewayErrorCode | undefined {
    const { connectionsMax, budget } = this.#options
    const refusal = this.#refusal()
    if (refusal !== undefined) return refusal
    if (this.#connections >= connectionsMax) return 'GATEWAY_CONNECTIONS_FULL'
    if (budget.isHigh) return 'GATEWAY_BUSY'
    this.#connections += 1
    return undefined
  }

  releaseConnection(): void {
    this.#connections -= 1
  }

  /** Takes a slot and room for a body; give both back with `releaseRequest`. */
  admitRequest(bodyBytes: number): GatewayErrorCode | undefined {
    const { requestsMax, budget } = this.#options
    const refusal = this.#refusal()
    if (refusal !== undefined) return refusal
    if (this.#requests >= requestsMax) return 'GATEWAY_REQUESTS_FULL'
    if (!budget.take(bodyBytes)) return 'GATEWAY_OVERLOADED'
    this.#requests += 1
    return undefined
  }

  releaseRequest(bodyBytes: number): void {
    this.#requests -= 1
    this.#options.budget.give(bodyBytes)
  }

  /** Whether acknowledgements move the credit edges along. */
  get grantsCredit(): boolean {
    return !this.#draining && !this.#options.budget.isHigh
  }

  /** Why no one should be sent here now; `undefined` when ready. */
  get unreadyCode(): GatewayErrorCode | undefined {
    return this.#refusal() ?? (this.#options.skew.isBeyond ? 'GATEWAY_CLOCK_SKEWED' : undefined)
  }

  #refusal(): GatewayErrorCode | undefined {
    if (this.#draining) return 'GATEWAY_DRAINING'
    return this.#options.lanes.isLogAvailable ? undefined : 'GATEWAY_LOG_UNAVAILABLE'
  }
}
