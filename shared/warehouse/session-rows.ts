/** Rows of the table `sessions` as the parts that the speed side's rows hold. */
import type { EndReason, PartSummary, PlaybackState } from '../speed/rows.ts'
import { bigintOf, integerOf, optionalIntegerOf, textOf } from './row-values.ts'
import type { Row } from './warehouse.ts'

export function partFromRow(row: Row): PartSummary {
  const flag = (column: string) => (integerOf(row, column) === 0 ? 0 : 1)
  return {
    part: integerOf(row, 'part'),
    contentId: textOf(row, 'content_id'),
    firstEventTimeMs: integerOf(row, 'first_event_time_ms'),
    lastEventTimeMs: integerOf(row, 'last_event_time_ms'),
    state: textOf(row, 'state') as PlaybackState,
    endReason: textOf(row, 'end_reason') as EndReason | undefined,
    attempt: flag('attempt'),
    play: flag('play'),
    ebvs: flag('ebvs'),
    ebvsLong: flag('ebvs_long'),
    vsf: flag('vsf'),
    vpf: flag('vpf'),
    endedPlay: flag('ended_play'),
    failed: flag('failed'),
    startupMs: optionalIntegerOf(row, 'startup_ms'),
    playerStartupMs: optionalIntegerOf(row, 'player_startup_ms'),
    stallCount: integerOf(row, 'stall_count'),
    stallMs: integerOf(row, 'stall_ms'),
    playingMs: integerOf(row, 'playing_ms'),
    watchedMs: integerOf(row, 'watched_ms'),
    mediaUs: integerOf(row, 'media_us'),
    ratedMediaUs: integerOf(row, 'rated_media_us'),
    bitsPlayed: bigintOf(row, 'bits_played'),
    events: integerOf(row, 'events'),
  }
}
