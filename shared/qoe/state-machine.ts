/**
 * The playback state machine, as data. Only these events change the state:
 *
 *   playbackRequest   idle, paused → starting; ended, failed → starting (re-open)
 *   playbackStart     idle, starting, paused, stalled, seeking → playing
 *   playbackPause     starting, playing, stalled, seeking → paused
 *   playbackStall     playing → stalled
 *   seekStart         playing → seeking
 *   playbackFinish, sessionEnd / playbackFail   any but ended, failed → ended / failed
 */
import type { PlaybackEventType } from '../events/schema.ts'
import type { PlaybackState } from '../speed/rows.ts'

type Arrows = Readonly<Partial<Record<PlaybackState, PlaybackState>>>

const ENDS = (to: 'ended' | 'failed'): Arrows => ({
  idle: to,
  starting: to,
  playing: to,
  paused: to,
  stalled: to,
  seeking: to,
})

const TRANSITIONS: Readonly<Partial<Record<PlaybackEventType, Arrows>>> = {
  playbackRequest: { idle: 'starting', paused: 'starting', ended: 'starting', failed: 'starting' },
  playbackStart: {
    idle: 'playing',
    starting: 'playing',
    paused: 'playing',
    stalled: 'playing',
    seeking: 'playing',
  },
  playbackPause: { starting: 'paused', playing: 'paused', stalled: 'paused', seeking: 'paused' },
  playbackStall: { playing: 'stalled' },
  seekStart: { playing: 'seeking' },
  playbackFinish: ENDS('ended'),
  sessionEnd: ENDS('ended'),
  playbackFail: ENDS('failed'),
}

/**
 * Events that rightly leave the state as it is: a stall or seek before the first picture is
 * start-up, a seek while paused stays paused, while stalled stays stalled.
 */
const EXPECTED_TO_STAY: Readonly<Partial<Record<PlaybackEventType, readonly PlaybackState[]>>> = {
  playbackStall: ['starting'],
  seekStart: ['starting', 'paused', 'stalled'],
}

/** The state after the event, or `undefined` when it does not change. */
export function nextState(
  state: PlaybackState,
  type: PlaybackEventType,
): PlaybackState | undefined {
  return TRANSITIONS[type]?.[state]
}

/** Whether an event that did not change the state was out of place there. */
export function isUnexpected(state: PlaybackState, type: PlaybackEventType): boolean {
  if (TRANSITIONS[type] === undefined) return false
  return EXPECTED_TO_STAY[type]?.includes(state) !== true
}

/** Whether time in the state is watched time; pause is excluded. */
export function isWatched(state: PlaybackState): boolean {
  return state === 'playing' || state === 'starting' || state === 'stalled' || state === 'seeking'
}

export function isOver(state: PlaybackState): boolean {
  return state === 'ended' || state === 'failed'
}
