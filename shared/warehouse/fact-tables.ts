/** Tables of computed metrics: sessions, their minutes, and minutes by cut. */
import { COUNTER_NAMES, type CounterName, INSTANTS_PER_MINUTE } from '../qoe/aggregates.ts'
import { CARRIED_COLUMNS, factColumn } from './content-table.ts'
import { contextColumns } from './event-columns.ts'
import { type ColumnSpec, nullable, required, type TableSpec } from './table-spec.ts'

/** Sums of a minute, in the order of `COUNTER_NAMES`; `late` is null, because only the live view is. */
const COUNTER_DESCRIPTIONS: Readonly<Record<CounterName, string>> = {
  sessions: 'Parts of sessions whose first event is here.',
  attempts: 'Attempts to play.',
  plays: 'Parts that started to play.',
  ebvs: 'Exits before video start: attempts that ended without a start or a failure.',
  ebvsLong: 'Exits before video start after at least 1,000 ms.',
  vsf: 'Video start failures.',
  vpf: 'Video playback failures: after a start.',
  endedPlays: 'Plays whose first end is here, failures included.',
  failures: 'Failures, before or after a start.',
  startups: 'First starts whose start-up time is known.',
  startupSumMs: 'Sum of their start-up times, ms.',
  stalls: 'Stalls that began here.',
  stallMs: 'Time in stalls, ms.',
  playingMs: 'Time in playing, ms.',
  watchedMs: 'Time in starting, playing, stalled and seeking, ms.',
  mediaUs: 'Media played, microseconds.',
  ratedMediaUs: 'Media played while a bitrate was known, microseconds.',
  events: 'Distinct events.',
  lost: 'Events that never came, counted where the session’s last event is.',
  frames: 'Frames that arrived.',
  bytes: 'Length of their records, bytes.',
  duplicates: 'Copies of events that had come before.',
  late: 'Events too late for the live view; known to the live view only.',
}
/** Facts of arrival are counted from frames, so a session’s minute has none. */
const ARRIVAL: readonly CounterName[] = ['frames', 'bytes', 'duplicates', 'late']
/** A session's minute has its one start-up time instead of a count and a sum. */
const STARTUP: readonly CounterName[] = ['startups', 'startupSumMs']

const BITS_PLAYED = required('bits_played', 'INT64', 'Bits of media played, thousandths of a bit.')
const minuteColumns = [
  required('minute_date', 'DATE', 'UTC day of the minute.'),
  required('minute_ms', 'INT64', 'Start of the minute of session time, epoch ms.'),
]
const incarnation = required(
  'incarnation',
  'INT64',
  'Offset of the record that began this life of the session id.',
)
const sessionKey = [
  required('session_id', 'STRING', 'The session.'),
  incarnation,
  required('part', 'INT64', 'Number of the stretch with one content, from 0.'),
]

const sessions: TableSpec = {
  name: 'sessions',
  description: 'Every part of every session, with its exact metrics.',
  columns: [
    ...sessionKey,
    required('start_date', 'DATE', 'UTC day of the first event, session time.'),
    required('first_event_time', 'TIMESTAMP', 'Session time of the first event.'),
    required('last_event_time', 'TIMESTAMP', 'Session time of the last event.'),
    required('first_event_time_ms', 'INT64', 'Session time of the first event, epoch ms.'),
    required('last_event_time_ms', 'INT64', 'Session time of the last event, epoch ms.'),
    required(
      'state',
      'STRING',
      'idle, starting, playing, paused, stalled, seeking, ended or failed.',
    ),
    nullable(
      'end_reason',
      'STRING',
      'finish, sessionEnd, fail, content or timeout; null while open.',
    ),
    required('closed', 'BOOL', 'Whether the session was closed by time-out at the cut.'),
    ...flags(),
    nullable('startup_ms', 'INT64', 'Start-up time, ms; null without a start.'),
    nullable('player_startup_ms', 'INT64', 'The player’s own measure of start-up, ms.'),
    required('stall_count', 'INT64', 'Stalls.'),
    required('stall_ms', 'INT64', 'Time in stalls, ms.'),
    required('playing_ms', 'INT64', 'Time in playing, ms.'),
    required('watched_ms', 'INT64', 'Time in starting, playing, stalled and seeking, ms.'),
    required('media_us', 'INT64', 'Media played, microseconds.'),
    required('rated_media_us', 'INT64', 'Media played while a bitrate was known, microseconds.'),
    BITS_PLAYED,
    required('events', 'INT64', 'Distinct events.'),
    required('lost', 'INT64', 'Events of the session that never came; on its last part, else 0.'),
    required('duplicates', 'INT64', 'Repeated copies of the session; on its last part, else 0.'),
    required('rejected', 'INT64', 'Rejected events of the session; on its last part, else 0.'),
    required('repairs_state', 'INT64', 'Events that met a state without a transition for them.'),
    required('repairs_backwards', 'INT64', 'Events whose time was raised to that before them.'),
    required('repairs_clamped', 'INT64', 'Events whose time was held within the possible.'),
    required('clock_offset_ms', 'INT64', 'Gateway clock less device clock, ms.'),
    required('last_logged_at_ms', 'INT64', 'Append time of the last applied event, epoch ms.'),
    required(
      'first_received_date',
      'DATE',
      'UTC day on which the first copy of the session’s events arrived.',
    ),
    ...contextColumns
      .filter(({ name }) => name !== 'session_id')
      .map(({ name, type, description }) => nullable(name, type, description)),
    ...CARRIED_COLUMNS.map(({ name, type, description }) =>
      nullable(factColumn(name), type, `Content metadata as the part began: ${description}`),
    ),
    required('log_partition', 'INT64', 'Partition of the event log that the session is in.'),
    required('session_bucket', 'INT64', 'A hash of session_id, as in events.'),
    required('run', 'INT64', 'Number of the batch run that computed the row.'),
  ],
  partitionColumn: 'start_date',
  key: ['session_id', 'incarnation', 'part'],
  clusterColumns: ['session_id', 'incarnation', 'part'],
}

const sessionMinutes: TableSpec = {
  name: 'session_minutes',
  description: 'What one part of a session adds to one minute under one CDN.',
  columns: [
    ...sessionKey,
    ...minuteColumns,
    ...dimensions(required, 'unknown when it is missing'),
    ...counters((counter) => !ARRIVAL.includes(counter) && !STARTUP.includes(counter)),
    BITS_PLAYED,
    nullable('startup_ms', 'INT64', 'Start-up time of the first start, ms, where it is here.'),
    nullable('viewer_register', 'INT64', 'HyperLogLog register of the viewer, 0 to 4095.'),
    nullable('viewer_rank', 'INT64', 'HyperLogLog rank of the viewer, 1 to 53.'),
    ...instants(),
    required('session_bucket', 'INT64', 'A hash of session_id, as in events.'),
    required('run', 'INT64', 'Number of the batch run that computed the row.'),
  ],
  partitionColumn: 'minute_date',
  key: ['session_id', 'incarnation', 'part', 'minute_ms', 'cdn'],
  clusterColumns: ['minute_ms', 'session_id'],
}

const qoeMinute: TableSpec = {
  name: 'qoe_minute',
  description: 'Quality of experience by minute of session time and cut.',
  columns: [
    required('cut', 'STRING', 'Dimensions of the row joined by +, or total.'),
    ...minuteColumns,
    required('minute', 'TIMESTAMP', 'Start of the minute of session time.'),
    ...dimensions(nullable, 'null when the cut does not have it, unknown when it is missing'),
    ...counters(() => true),
    BITS_PLAYED,
    required(
      'startup_histogram',
      'STRING',
      'Start-up times: bucket:count,… ascending by bucket; empty without one.',
    ),
    nullable(
      'viewer_registers',
      'STRING',
      'Distinct viewers, HyperLogLog p = 12: register:rank,… ascending; null where not kept.',
    ),
    ...instants(),
    required('run', 'INT64', 'Number of the batch run that computed the row.'),
  ],
  partitionColumn: 'minute_date',
  key: [
    'cut',
    'minute_ms',
    'content_id',
    'cdn',
    'device_type',
    'player_name',
    'player_version',
    'country',
  ],
  clusterColumns: ['cut', 'minute_ms'],
}

export const factTables = { sessions, sessionMinutes, qoeMinute }

function flags(): ColumnSpec[] {
  const meanings: Readonly<Record<string, string>> = {
    attempt: 'the viewer tried to play',
    play: 'it started to play',
    ebvs: 'the viewer left before the start',
    ebvs_long: 'the viewer left before the start after at least 1,000 ms',
    vsf: 'it failed before the start',
    vpf: 'it failed after the start',
    ended_play: 'a play has ended',
    failed: 'the first end was a failure',
  }
  return Object.entries(meanings).map(([name, meaning]) =>
    required(name, 'INT64', `1 when ${meaning}, else 0.`),
  )
}

function counters(wanted: (counter: CounterName) => boolean): readonly ColumnSpec[] {
  return COUNTER_NAMES.filter(wanted).map((counter) =>
    (counter === 'late' ? nullable : required)(
      counter.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      'INT64',
      COUNTER_DESCRIPTIONS[counter],
    ),
  )
}

function dimensions(make: typeof required, missing: string): readonly ColumnSpec[] {
  const names: Readonly<Record<string, string>> = {
    content_id: 'Content',
    cdn: 'CDN in force',
    device_type: 'Kind of device',
    player_name: 'Player',
    player_version: 'Version of the player',
    country: 'Country, ISO 3166-1 alpha-2',
  }
  return Object.entries(names).map(([name, meaning]) =>
    make(name, 'STRING', `${meaning}; ${missing}.`),
  )
}

function instants(): readonly ColumnSpec[] {
  const at = (name: string, what: string) =>
    Array.from({ length: INSTANTS_PER_MINUTE }, (_, index) =>
      required(`${name}_${index}`, 'INT64', `${what} at ${index * 10} s of the minute.`),
    )
  return [
    ...at('concurrent_plays', 'Plays started and not ended'),
    ...at('concurrent_viewers', 'Viewers starting, playing, seeking or shortly stalled'),
  ]
}
