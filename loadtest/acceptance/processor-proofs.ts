/** Proofs of the processor by itself, on a real Kafka and a real Cassandra. */
import { measureProcessorSpeed } from '../processor-speed.ts'
import type { Claim, Proof } from './proof.ts'

const MINUTES = 3
const MIB = 2 ** 20
const SECOND_MS = 1_000

function speed(
  eventsPerFrame: number,
  fullEvents: number,
  bounds: { readonly atLeast: number; readonly aim: number },
): Proof {
  return {
    name: `processor-speed-${eventsPerFrame}`,
    shows: `the processor from Kafka to Cassandra, its own CPU, ${eventsPerFrame} events a frame`,
    minutes: MINUTES,
    async run({ minutesMax, said }) {
      const events = fullEvents * Math.min(1, minutesMax / MINUTES)
      const measured = await measureProcessorSpeed({ eventsPerFrame, events, said })
      const { applied, cpuMs, wallMs, rows, residentBytes, openSessions } = measured
      const { atLeast, aim } = bounds
      const lost = Math.abs(measured.events - applied)
      const told = (what: string, value: number, unit: string): Claim => ({
        kind: 'told',
        what,
        measured: Math.round(value),
        unit,
      })
      return {
        claims: [
          {
            kind: 'correctness',
            what: 'in Kafka and not applied',
            measured: lost,
            unit: 'events',
            bound: { atMost: 0 },
          },
          {
            kind: 'floor',
            what: 'events a second and core of the processor',
            measured: Math.round((applied * SECOND_MS) / cpuMs),
            unit: 'events/s/core',
            bound: { atLeast },
            aim,
          },
          told(
            'events a second, with brokers and store on the same cores',
            perSecond(applied, wallMs),
            'events/s',
          ),
          told('rows a second', perSecond(rows, wallMs), 'rows/s'),
          told('events a row', applied / rows, ''),
          told('sessions open at the end', openSessions, ''),
          told('memory of the process at the end', residentBytes / MIB, 'MiB'),
        ],
        details: measured,
      }
    },
  }
}

function perSecond(count: number, ms: number): number {
  return (count * SECOND_MS) / ms
}

export const processorProofs: readonly Proof[] = [
  speed(100, 12_000_000, { atLeast: 400_000, aim: 800_000 }),
  speed(10, 6_000_000, { atLeast: 200_000, aim: 400_000 }),
]
