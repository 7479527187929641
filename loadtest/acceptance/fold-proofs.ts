/** Proofs of the fold by itself: what an event and a session cost, and how long others wait for it. */
import { LONGEST_BY_CPU } from '../bench/loop-watch.ts'
import { RECOVERED_AFTER_MS } from '../bench/recovery-bench.ts'
import type { BenchResult } from '../bench/results.ts'
import { STATE_BYTES } from '../bench/state-bench.ts'
import { runBench } from './command-proofs.ts'
import type { Claim, Proof } from './proof.ts'

const FULL_MINUTES = 2
const SECOND_NS = 1e9
const SESSIONS = 1_000_000
const SESSIONS_OF_A_PARTITION = 50_000
const FRAMES_A_SESSION = 3

interface Speed {
  readonly eventsPerFrame: number
  readonly events: number
  readonly atLeast: number
  readonly aim: number
}

const SPEEDS: readonly Speed[] = [
  { eventsPerFrame: 100, events: 2_000_000, atLeast: 1_000_000, aim: 2_000_000 },
  { eventsPerFrame: 10, events: 500_000, atLeast: 700_000, aim: 1_500_000 },
]
/** What else runs on the machine slows a run down and speeds none up: the fastest of so many counts. */
const RUNS = 3

const decodeAndFold: Proof = {
  name: 'decode-and-fold',
  shows: 'decode and fold from the bytes of frames in memory, 100 and 10 events a frame',
  minutes: FULL_MINUTES,
  async run({ minutesMax }) {
    const claims: Claim[] = []
    const details: BenchResult[] = []
    for (const { eventsPerFrame, events, atLeast, aim } of SPEEDS) {
      const some = Math.round(events * Math.min(1, minutesMax / FULL_MINUTES))
      const runs: BenchResult[] = []
      for (let run = 0; run < RUNS; run += 1)
        runs.push(...(await runBench('decodeAndFold', `${eventsPerFrame}`, `${some}`)))
      const nsPerEvent = Math.min(...runs.map((result) => result.nsPerEvent))
      const what = `events a second and core, ${eventsPerFrame} a frame`
      const measured = Math.round(SECOND_NS / nsPerEvent)
      claims.push({
        kind: 'floor',
        what,
        measured,
        unit: 'events/s/core',
        bound: { atLeast },
        aim,
      })
      details.push(...runs)
    }
    return { claims, details: { results: details } }
  },
}

const state: Proof = {
  name: 'state-1m',
  shows: 'what a live session takes of memory at a million of them',
  minutes: FULL_MINUTES,
  async run({ minutesMax }) {
    const sessions = Math.round(SESSIONS * Math.min(1, minutesMax / FULL_MINUTES))
    const results = await runBench('state', `${FRAMES_A_SESSION}`, `${sessions}`)
    const claim: Claim = {
      kind: 'floor',
      what: `state of a live session, ${sessions.toLocaleString('en')} of them`,
      measured: results[0]?.extra?.[STATE_BYTES] ?? Infinity,
      unit: 'B',
      bound: { atMost: 1_024 },
      aim: 400,
    }
    return { claims: [claim], details: { results } }
  },
}

const loopBlocks: Proof = {
  name: 'loop-blocks',
  shows: `how long the event loop waits for rows, checkpoints and recovery of ${SESSIONS_OF_A_PARTITION.toLocaleString('en')} sessions`,
  minutes: FULL_MINUTES,
  async run({ minutesMax }) {
    const sessions = Math.round(SESSIONS_OF_A_PARTITION * Math.min(1, minutesMax / FULL_MINUTES))
    const results = await runBench('recovery', `${FRAMES_A_SESSION}`, `${sessions}`)
    const stretches = results.map(({ name, extra }): Claim => {
      const measured = extra?.[LONGEST_BY_CPU] ?? Infinity
      const what = `longest stretch, by its own CPU: ${name}`
      return { kind: 'floor', what, measured, unit: 'ms', bound: { atMost: 50 }, aim: 5 }
    })
    const recovery: Claim = {
      kind: 'floor',
      what: `recovery of ${sessions.toLocaleString('en')} live sessions, until it follows the log`,
      measured: results.at(-1)?.extra?.[RECOVERED_AFTER_MS] ?? Infinity,
      unit: 'ms',
      bound: { atMost: 30_000 },
    }
    const claims = [...stretches, recovery]
    return { claims, details: { results } }
  },
}

export const foldProofs: readonly Proof[] = [decodeAndFold, state, loopBlocks]
