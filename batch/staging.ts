/**
 * What is made from a raw file, before it is a row of a table: the columns of the staging files.
 * As in the log, the context stands once a frame and not once an event: `frames` has it, `events`
 * has the events' own fields, and the load brings the two together by their position. Written once
 * an event, the context's columns would be two thirds of the work. What only the load knows (the
 * run, the incarnation) and what is there twice for analysts (times as timestamps) is not in them.
 */
import { tables } from '../shared/warehouse/tables.ts'
import { contextColumns, eventColumns } from '../shared/warehouse/event-columns.ts'
import {
  type ColumnSpec,
  nullable,
  required,
  type TableSpec,
} from '../shared/warehouse/table-spec.ts'
import { TOPICS } from '../shared/log/topics.ts'
import type { RawTopic } from './raw-line.ts'

/** `events` holds accepted events and rejected seqs, told apart by `kind`. */
export const STAGING_KINDS = ['events', 'frames', 'rejects', 'exceptions'] as const
export type StagingKind = (typeof STAGING_KINDS)[number]

export const KINDS_OF_TOPIC: Readonly<Record<RawTopic, readonly StagingKind[]>> = {
  [TOPICS.events]: ['events', 'frames'],
  [TOPICS.rejects]: ['rejects'],
  [TOPICS.exceptions]: ['exceptions'],
}

/** Of a frame in `events`: enough to group events by session and to find their frame. */
const EVENT_PLACE = ['session_id', 'log_partition', 'log_offset', 'log_index']

export const stagingColumns: Readonly<Record<StagingKind, readonly ColumnSpec[]>> = {
  events: [
    required('kind', 'STRING', 'accepted or rejected.'),
    ...tables.eventCopies.columns.filter(({ name }) => EVENT_PLACE.includes(name)),
    ...eventColumns.map(({ name, type, description }) =>
      name === 'seq' ? required(name, type, description) : nullable(name, type, description),
    ),
  ],
  frames: [
    ...contextColumns.map(({ name, type, required: isRequired, description }) => ({
      name,
      type,
      required: isRequired,
      description,
    })),
    ...without(tables.frames, ['run', ...contextColumns.map(({ name }) => name)]),
    nullable('schema', 'STRING', 'Schema of the record, such as playback.v1.'),
  ],
  rejects: without(tables.rejects, ['run']),
  exceptions: without(tables.exceptions, ['run']),
}

function without({ columns }: TableSpec, names: readonly string[]): readonly ColumnSpec[] {
  return columns.filter(({ name }) => !names.includes(name))
}
