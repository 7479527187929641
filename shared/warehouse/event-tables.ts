/** Tables that hold what the log holds, a row for each event, frame, reject and exception. */
import { contextColumns, eventColumns, type EventColumn } from './event-columns.ts'
import { type ColumnSpec, nullable, required, type TableSpec } from './table-spec.ts'

/** Number of values of `session_bucket`. */
export const SESSION_BUCKETS = 256

const position = [
  required('log_partition', 'INT64', 'Partition of the event log.'),
  required('log_offset', 'INT64', 'Offset of the record in its partition.'),
]
const logIndex = required(
  'log_index',
  'INT64',
  'Place in the record, from 0: accepted events first, then rejected ones.',
)
const run = required('run', 'INT64', 'Number of the batch run that loaded the row.')
const loggedAtMs = required('logged_at_ms', 'INT64', 'Append time of the record, epoch ms.')
const receivedDate = required('received_date', 'DATE', 'UTC day of received_at_ms.')
const receivedAtMs = required(
  'received_at_ms',
  'INT64',
  'Gateway clock at arrival, epoch ms, never later than logged_at_ms.',
)
const sessionBucket = required(
  'session_bucket',
  'INT64',
  `A hash of session_id, 0 to ${SESSION_BUCKETS - 1}, by which sessions are processed in groups.`,
)

/** What every copy of an event has beside the context's and the event's own columns. */
const arrivalColumns: readonly ColumnSpec[] = [
  receivedDate,
  required('received_at', 'TIMESTAMP', 'Gateway clock at arrival.'),
  receivedAtMs,
  required('sent_at_ms', 'INT64', 'Device clock at the frame’s transmission, epoch ms.'),
  loggedAtMs,
  required(
    'watermark_ms',
    'INT64',
    'Watermark of the partition as advanced by the record, epoch ms.',
  ),
  ...position,
  logIndex,
  nullable('schema', 'STRING', 'Schema of the record that it came in, such as playback.v1.'),
  sessionBucket,
  run,
]

const incarnation = required(
  'incarnation',
  'INT64',
  'Offset of the record that began this life of the session id.',
)

const clusterBySession = ['session_id', 'seq']

const events: TableSpec = {
  name: 'events',
  description: 'Every event once: the copy that came first, with its context and its place.',
  columns: [
    ...contextColumns.map(plain),
    ...eventColumns.map(plain),
    required('happened_at', 'TIMESTAMP', 'Device clock when it happened.'),
    incarnation,
    ...arrivalColumns,
  ],
  partitionColumn: 'received_date',
  key: ['session_id', 'incarnation', 'seq'],
  clusterColumns: clusterBySession,
}

const eventCopies: TableSpec = {
  name: 'event_copies',
  description: 'Every other copy that came: repeats of accepted events, and rejected ones.',
  columns: [
    required('kind', 'STRING', 'duplicate (an accepted copy that was not the first) or rejected.'),
    ...contextColumns.map(plain),
    ...eventColumns.map((column) => ({
      ...plain(column),
      required: column.name === 'seq',
    })),
    nullable('happened_at', 'TIMESTAMP', 'Device clock when it happened.'),
    incarnation,
    ...arrivalColumns,
  ],
  partitionColumn: 'received_date',
  key: ['log_partition', 'log_offset', 'log_index'],
  clusterColumns: clusterBySession,
}

/** What is not decided yet of a copy that waits: which one is the event, in which life of its id. */
const UNDECIDED = ['kind', 'incarnation']

const lateEvents: TableSpec = {
  name: 'late_events',
  description:
    'Copies that wait until all days are searched for earlier ones; those in events are not in here.',
  columns: [
    required('kind', 'STRING', 'accepted or rejected, by the gateway.'),
    required(
      'reason',
      'STRING',
      'old_arrival (it came too long before it was logged), old_session (its session began so) or waits (another copy of its session does).',
    ),
    required('held_at', 'TIMESTAMP', 'When the run that holds it back took its cut.'),
    ...eventCopies.columns.filter(({ name }) => !UNDECIDED.includes(name)),
  ],
  partitionColumn: 'received_date',
  key: eventCopies.key,
  clusterColumns: clusterBySession,
}

/** Dimensions of cuts, as columns of the context. */
const FRAME_DIMENSIONS = [
  'content_id',
  'cdn',
  'device_type',
  'player_name',
  'player_version',
  'country',
]

const frames: TableSpec = {
  name: 'frames',
  description: 'Every frame that came, repeats included: what arrival is counted from.',
  columns: [
    ...position,
    required('session_id', 'STRING', 'The session that the frame is of.'),
    receivedDate,
    receivedAtMs,
    required('sent_at_ms', 'INT64', 'Device clock at transmission, epoch ms.'),
    loggedAtMs,
    required('watermark_ms', 'INT64', 'Watermark as advanced by the record, epoch ms.'),
    nullable(
      'watermark_before_ms',
      'INT64',
      'Watermark before the record, epoch ms; null for the first record of the log.',
    ),
    required('bytes', 'INT64', 'Length of the record’s value, bytes.'),
    required('event_count', 'INT64', 'Accepted events in the frame.'),
    required('rejected_count', 'INT64', 'Events of the frame that the gateway rejected.'),
    ...contextColumns.filter(({ name }) => FRAME_DIMENSIONS.includes(name)).map(plain),
    sessionBucket,
    run,
  ],
  partitionColumn: 'received_date',
  key: ['log_partition', 'log_offset'],
  clusterColumns: ['session_id', 'log_offset'],
}

const rejects: TableSpec = {
  name: 'rejects',
  description: 'Every event or frame that was refused; its bytes stay sealed in the raw file.',
  columns: [
    required('stage', 'STRING', 'Who refused: gateway, processor or cmcd.'),
    required('code', 'STRING', 'Code of the error.'),
    required('detail', 'STRING', 'What was expected and what came.'),
    nullable('session_id', 'STRING', 'The session, when it was readable.'),
    nullable('seq', 'INT64', 'The event’s place in the session, when it was readable.'),
    receivedDate,
    receivedAtMs,
    nullable('source_partition', 'INT64', 'Partition of playback.events of a poison record.'),
    nullable('source_offset', 'INT64', 'Offset in playback.events of a poison record.'),
    loggedAtMs,
    ...position,
    run,
  ],
  partitionColumn: 'received_date',
  key: ['log_partition', 'log_offset'],
  clusterColumns: ['code', 'session_id'],
}

const exceptions: TableSpec = {
  name: 'exceptions',
  description: 'Every event that the live view did not apply as the history does.',
  columns: [
    required('session_id', 'STRING', 'The session.'),
    required('seq', 'INT64', 'The event’s place in the session.'),
    required('reason', 'STRING', 'late, amended, afterClose or capped.'),
    required('type', 'STRING', 'Type of the event, or rejected.'),
    nullable(
      'forgotten',
      'BOOL',
      'Whether the live view did not know any more if it had been seen; null means no.',
    ),
    required('source_partition', 'INT64', 'Partition of playback.events of the copy.'),
    required('source_offset', 'INT64', 'Offset in playback.events of the copy.'),
    nullable('live_view', 'STRING', 'The view of the live rows that it is an exception of.'),
    required('logged_date', 'DATE', 'UTC day of logged_at_ms.'),
    loggedAtMs,
    ...position,
    run,
  ],
  partitionColumn: 'logged_date',
  key: ['log_partition', 'log_offset'],
  clusterColumns: clusterBySession,
}

export const eventTables = { events, eventCopies, lateEvents, frames, rejects, exceptions }

function plain({ name, type, required: isRequired, description }: EventColumn): ColumnSpec {
  return { name, type, required: isRequired, description }
}
