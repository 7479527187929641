/** What a value is compared with, and the key's own recent past that some conditions need. */
import type { Baseline } from './rule-state.ts'
import type { RuleCondition } from './rules.ts'

export interface Bounds {
  /** Beyond this the condition holds. */
  readonly bound: number
  /** An open alert is over on this side of it. */
  readonly clearBound: number
  readonly baseline: number | null
}

export type Verdict = 'breach' | 'between' | 'clear'

/**
 * `hysteresis` is the share of the way from the baseline to the bound (for a threshold: of the
 * threshold) that a value must come back. `undefined` while there is nothing to compare with.
 */
export function boundsOf(
  condition: RuleCondition,
  past: { readonly lastWeek: number | null; readonly recent: Baseline | undefined },
  hysteresis: number,
): Bounds | undefined {
  const sign = condition.direction === 'above' ? 1 : -1
  const around = (baseline: number, distance: number): Bounds => ({
    bound: baseline + sign * distance,
    clearBound: baseline + sign * distance * (1 - hysteresis),
    baseline,
  })
  switch (condition.kind) {
    case 'threshold': {
      const { value } = condition
      return { bound: value, clearBound: value - sign * value * hysteresis, baseline: null }
    }
    case 'weekChange':
      if (past.lastWeek === null) return undefined
      return around(past.lastWeek, past.lastWeek * condition.ratio)
    case 'ewma': {
      if (past.recent === undefined || past.recent.minutes < condition.learnMinutes)
        return undefined
      const { mean, variance } = past.recent
      const distance = Math.max(
        condition.deviations * Math.sqrt(variance),
        condition.leastRatio * mean,
      )
      return around(mean, distance)
    }
  }
}

export function verdictOf(
  value: number,
  { bound, clearBound }: Bounds,
  direction: RuleCondition['direction'],
): Verdict {
  const sign = direction === 'above' ? 1 : -1
  if (sign * (value - bound) > 0) return 'breach'
  return sign * (value - clearBound) <= 0 ? 'clear' : 'between'
}

/** The exponentially weighted mean and variance with one more value. */
export function learn(
  before: Baseline | undefined,
  value: number,
  halfLifeMinutes: number,
): Baseline {
  if (before === undefined) return { mean: value, variance: 0, minutes: 1 }
  const weight = 1 - 2 ** (-1 / halfLifeMinutes)
  const delta = value - before.mean
  return {
    mean: before.mean + weight * delta,
    variance: (1 - weight) * (before.variance + weight * delta * delta),
    minutes: before.minutes + 1,
  }
}
