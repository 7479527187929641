/**
 * Where a part stands: its state, and what it was by its first end. There are few ways to stand, and
 * parts that stand alike share one.
 */
import type { EndReason, PlaybackState } from '../speed/rows.ts'

export type Flag = 0 | 1

/** What a part was by its first end, which decides what is counted; all 0 before. */
export interface Outcome {
  readonly hasEnded: boolean
  readonly failed: Flag
  readonly vsf: Flag
  readonly vpf: Flag
  readonly endedPlay: Flag
  readonly ebvs: Flag
  readonly ebvsLong: Flag
}

export interface Standing extends Outcome {
  readonly state: PlaybackState
  readonly endReason: EndReason | undefined
  readonly attempt: Flag
  readonly play: Flag
}

const known = new Map<string, Standing>()

/** The shared one that says this; as many as there are combinations at most. */
export function standingOf(standing: Standing): Standing {
  const fields: Standing = {
    state: standing.state,
    endReason: standing.endReason,
    attempt: standing.attempt,
    play: standing.play,
    hasEnded: standing.hasEnded,
    failed: standing.failed,
    vsf: standing.vsf,
    vpf: standing.vpf,
    endedPlay: standing.endedPlay,
    ebvs: standing.ebvs,
    ebvsLong: standing.ebvsLong,
  }
  const text = Object.values(fields).join()
  const shared = known.get(text) ?? fields
  known.set(text, shared)
  return shared
}

const inStates = new Map<Standing, Map<PlaybackState, Standing>>()

/** The same in another state, for no reason to have ended; looked up, for states change often. */
export function inState(standing: Standing, state: PlaybackState): Standing {
  let others = inStates.get(standing)
  if (others === undefined) {
    others = new Map()
    inStates.set(standing, others)
  }
  let other = others.get(state)
  if (other === undefined) {
    other = standingOf({ ...standing, state, endReason: undefined })
    others.set(state, other)
  }
  return other
}

export const IDLE = standingOf({
  state: 'idle',
  endReason: undefined,
  attempt: 0,
  play: 0,
  hasEnded: false,
  failed: 0,
  vsf: 0,
  vpf: 0,
  endedPlay: 0,
  ebvs: 0,
  ebvsLong: 0,
})
