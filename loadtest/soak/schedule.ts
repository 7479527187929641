/**
 * Which faults a soak brings about, drawn from its seed: kinds in a random order, every kind once before
 * any comes again, each for a random time after a random pause. When they happen is the machine's
 * affair: the next one waits until the one before is recovered from.
 */
import { seededRandom } from '../../shared/runtime/random.ts'

export const FAULT_KINDS = [
  'gateway killed',
  'gateway drained',
  'gateway paused',
  'processor killed',
  'processor paused',
  'processor joins and leaves',
  'broker bounced',
  'store unreachable',
  'batch killed',
  'producers send a later schema',
] as const
export type FaultKind = (typeof FAULT_KINDS)[number]

export interface Fault {
  readonly kind: FaultKind
  /** After the fault before it was recovered from. */
  readonly afterMs: number
  readonly lastsMs: number
  /** Chooses among those that it may befall, and among its forms: a number in [0, 1000). */
  readonly draw: number
}

/** How long each lasts; a pause is longer than the group waits for a member. */
const LASTS_MS: Readonly<Record<FaultKind, readonly [min: number, max: number]>> = {
  'gateway killed': [500, 4_000],
  'gateway drained': [200, 2_000],
  'gateway paused': [2_000, 8_000],
  'processor killed': [200, 4_000],
  'processor paused': [8_000, 12_000],
  'processor joins and leaves': [500, 4_000],
  'broker bounced': [500, 5_000],
  'store unreachable': [4_000, 12_000],
  'batch killed': [200, 6_000],
  'producers send a later schema': [0, 1],
}
/** Producers do not go back to an earlier schema. */
const ONCE: readonly FaultKind[] = ['producers send a later schema']
const AFTER_MS = [1_500, 6_000] as const
/** What a fault takes at the least, so that a schedule is long enough for any machine. */
const SHORTEST_MS = 4_000

/** Equal seeds give equal schedules; a longer one begins with the shorter. */
export function drawSchedule(seed: number, forMs: number): Fault[] {
  const random = seededRandom(seed)
  const between = ([min, max]: readonly [number, number]) => min + random.below(max - min)
  const faults: Fault[] = []
  let hand: FaultKind[] = []
  while (faults.length * SHORTEST_MS < forMs) {
    if (hand.length === 0)
      hand = FAULT_KINDS.filter((kind) => faults.length === 0 || !ONCE.includes(kind))
    const [kind] = hand.splice(random.below(hand.length), 1)
    if (kind === undefined) break
    const afterMs = between(AFTER_MS)
    faults.push({ kind, afterMs, lastsMs: between(LASTS_MS[kind]), draw: random.below(1_000) })
  }
  return faults
}

export function describeFault({ kind, afterMs, lastsMs, draw }: Fault): string {
  return `${kind}, ${afterMs} ms after the one before, for ${lastsMs} ms, draw ${draw}`
}
