/** What one connection, client address or token subject may send: a bucket for each unit. */
import { RateLimit, type RateBounds } from './rate-limit.ts'

export const RATE_UNITS = ['frames', 'events', 'bytes'] as const
export type RateUnit = (typeof RATE_UNITS)[number]

/** What a frame, or the body of a request, takes. */
export type FrameCost = Readonly<Record<RateUnit, number>>

/** Bounds by unit; a unit without bounds is free. */
export type AllowanceBounds = Readonly<Partial<Record<RateUnit, RateBounds>>>

export interface Shortage {
  readonly unit: RateUnit
  readonly waitMs: number
}

export class Allowance {
  readonly #buckets: readonly { readonly unit: RateUnit; readonly limit: RateLimit }[]

  constructor(bounds: AllowanceBounds, nowMs: number) {
    this.#buckets = RATE_UNITS.flatMap((unit) => {
      const ofUnit = bounds[unit]
      return ofUnit === undefined ? [] : [{ unit, limit: new RateLimit(ofUnit, nowMs) }]
    })
  }

  /** What is missing for a frame, the longest wait first of all; `undefined` when nothing is. */
  shortage(cost: FrameCost, nowMs: number): Shortage | undefined {
    let longest: Shortage | undefined
    for (const { unit, limit } of this.#buckets) {
      if (limit.has(cost[unit], nowMs)) continue
      const waitMs = limit.waitMs(cost[unit], nowMs)
      if (longest === undefined || waitMs > longest.waitMs) longest = { unit, waitMs }
    }
    return longest
  }

  /** Whether nothing of it is used, so that a new one would be the same. */
  isFull(nowMs: number): boolean {
    return this.#buckets.every(({ limit }) => limit.isFull(nowMs))
  }

  /** Takes a frame for which nothing is missing. */
  spend(cost: FrameCost): void {
    for (const { unit, limit } of this.#buckets) limit.spend(cost[unit])
  }
}
