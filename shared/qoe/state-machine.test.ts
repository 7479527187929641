import { expect, test } from 'vitest'
import type { PlaybackEventType } from '../events/schema.ts'
import type { PlaybackState } from '../speed/rows.ts'
import { isUnexpected, nextState } from './state-machine.ts'

const STATES: readonly PlaybackState[] = [
  'idle',
  'starting',
  'playing',
  'paused',
  'stalled',
  'seeking',
  'ended',
  'failed',
]

/** Every arrow, written out by hand: event → the state after it, in the order of STATES. */
const TABLE: Readonly<Partial<Record<PlaybackEventType, string>>> = {
  playbackRequest: 'starting - - starting - - starting starting',
  playbackStart: 'playing playing - playing playing playing - -',
  playbackPause: '- paused paused - paused paused - -',
  playbackStall: '- - stalled - - - - -',
  seekStart: '- - seeking - - - - -',
  seekEnd: '- - - - - - - -',
  playbackFinish: 'ended ended ended ended ended ended - -',
  sessionEnd: 'ended ended ended ended ended ended - -',
  playbackFail: 'failed failed failed failed failed failed - -',
  heartbeat: '- - - - - - - -',
  custom: '- - - - - - - -',
}

test.each(Object.entries(TABLE))('%s moves the states as the table says', (type, row) => {
  const after = STATES.map((state) => nextState(state, type as PlaybackEventType) ?? '-')
  expect(after.join(' ')).toBe(row)
})

test('only an event that could change a state, and is not start-up or a quiet seek, is unexpected', () => {
  expect(isUnexpected('playing', 'playbackStart')).toBe(true)
  expect(isUnexpected('ended', 'playbackPause')).toBe(true)
  expect(isUnexpected('starting', 'playbackStall')).toBe(false)
  expect(isUnexpected('paused', 'seekStart')).toBe(false)
  expect(isUnexpected('stalled', 'seekStart')).toBe(false)
  expect(isUnexpected('ended', 'heartbeat')).toBe(false)
})
