/**
 * Who pays for a frame: its connection, its client address, its token's subject. All pay or none.
 * Addresses and subjects share an allowance over all their connections and requests to this
 * process. Their number is bounded: one that is forgotten begins anew with a full burst.
 */
import { LRUCache } from 'lru-cache'
import type { Clock } from '../shared/runtime/clock.ts'
import type { Random } from '../shared/runtime/random.ts'
import {
  Allowance,
  type AllowanceBounds,
  type FrameCost,
  type RateUnit,
  type Shortage,
} from './allowance.ts'

export type RateScope = 'connection' | 'address' | 'subject'

export interface RatesOptions {
  readonly bounds: Readonly<Record<RateScope, AllowanceBounds>>
  /** Addresses, and subjects, whose allowance is remembered. */
  readonly entriesMax: number
  readonly clock: Clock
  readonly random: Random
}

export interface Payer {
  /** Absent for a request. */
  readonly connection?: Allowance
  readonly address?: string | undefined
  readonly subject?: string | undefined
}

export interface RateRefusal {
  readonly scope: RateScope
  readonly unit: RateUnit
  readonly retryAfterMs: number
}

type Shared = LRUCache<string, Allowance>

export class Rates {
  readonly #options: RatesOptions
  readonly #addresses: Shared | undefined
  readonly #subjects: Shared | undefined

  constructor(options: RatesOptions) {
    const { bounds, entriesMax } = options
    const shared = (scope: RateScope) =>
      Object.keys(bounds[scope]).length === 0
        ? undefined
        : new LRUCache<string, Allowance>({ max: entriesMax })
    this.#options = options
    this.#addresses = shared('address')
    this.#subjects = shared('subject')
  }

  /** Whether a client's address matters at all. */
  get limitsAddresses(): boolean {
    return this.#addresses !== undefined
  }

  /** Allowances remembered now. */
  get remembered(): Readonly<Record<'address' | 'subject', number>> {
    return { address: this.#addresses?.size ?? 0, subject: this.#subjects?.size ?? 0 }
  }

  openConnection(): Allowance {
    const { bounds, clock } = this.#options
    return new Allowance(bounds.connection, clock.monotonicMs())
  }

  /** Charges everyone concerned, or no one and says who has to wait. */
  charge(payer: Payer, cost: FrameCost): RateRefusal | undefined {
    const { connection } = payer
    const address = this.#allowanceOf('address', this.#addresses, payer.address)
    const subject = this.#allowanceOf('subject', this.#subjects, payer.subject)
    const nowMs = this.#options.clock.monotonicMs()
    const refusal =
      this.#refusal('connection', connection?.shortage(cost, nowMs)) ??
      this.#refusal('address', address?.shortage(cost, nowMs)) ??
      this.#refusal('subject', subject?.shortage(cost, nowMs))
    if (refusal !== undefined) return refusal
    connection?.spend(cost)
    address?.spend(cost)
    subject?.spend(cost)
    return undefined
  }

  #allowanceOf(
    scope: RateScope,
    shared: Shared | undefined,
    key: string | undefined,
  ): Allowance | undefined {
    if (shared === undefined || key === undefined) return undefined
    const known = shared.get(key)
    if (known !== undefined) return known
    const { bounds, clock } = this.#options
    const fresh = new Allowance(bounds[scope], clock.monotonicMs())
    shared.set(key, fresh)
    return fresh
  }

  /** Those who share an allowance must not all come back at the same moment. */
  #refusal(scope: RateScope, shortage: Shortage | undefined): RateRefusal | undefined {
    if (shortage === undefined) return undefined
    const { unit, waitMs } = shortage
    const spreadMs = scope === 'connection' ? 0 : this.#options.random.below(waitMs + 1)
    return { scope, unit, retryAfterMs: waitMs + spreadMs }
  }
}
