/** The processor beside a Kafka Streams program that does the same work (`loadtest/compare/`). */
import { compareSides, type Comparison } from '../compare/side-by-side.ts'
import { fillWithFrames, fillWithViewers, type Filler } from '../compare/topics.ts'
import type { Claim, Proof } from './proof.ts'

interface CompareProof {
  readonly name: string
  readonly of: string
  readonly filler: Filler
  readonly events: number
}

const MINUTES = 6
const DIFFERENCES_SAID = 10

export const COMPARED: readonly CompareProof[] = [
  {
    name: 'side-by-side-viewers',
    of: 'viewers of the simulator, some 8 events a frame',
    filler: fillWithViewers,
    events: 6_000_000,
  },
  {
    name: 'side-by-side-100',
    of: 'frames of k6, 100 events each',
    filler: fillWithFrames,
    events: 12_000_000,
  },
]

export const compareProofs: readonly Proof[] = COMPARED.map(({ name, of, filler, events }) => ({
  name,
  shows: `dedup, sessions and minutes of ${of}, by the processor and by Kafka Streams`,
  minutes: MINUTES,
  async run({ minutesMax, said }) {
    const eventsMin = events * Math.min(1, minutesMax / MINUTES)
    const comparison = await compareSides(filler, eventsMin, said)
    const { unequalMinutes, unequalSessions, filled, sides } = comparison
    for (const line of [unequalMinutes, unequalSessions].flatMap(first)) said(`unequal: ${line}`)
    return { claims: claimsOf(comparison), sides, details: filled }
  },
}))

function claimsOf({ sides, unequalMinutes, unequalSessions, miscounted }: Comparison): Claim[] {
  const none = (what: string, measured: number, unit: string): Claim => {
    return { kind: 'correctness', what, measured, unit, bound: { atMost: 0 } }
  }
  return [
    none('events counted that are not there, or not counted', miscounted, 'events'),
    none('minutes of a key in which the two differ', unequalMinutes.length, ''),
    none('sessions in which the two differ', unequalSessions.length, ''),
    ...sides.map(({ name, eventsPerCpuSecond }): Claim => {
      return { kind: 'told', what: name, measured: eventsPerCpuSecond, unit: 'events/CPU s' }
    }),
  ]
}

function first(lines: readonly string[]): readonly string[] {
  return lines.slice(0, DIFFERENCES_SAID)
}
