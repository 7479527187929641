/** Tables that say what the batch did: its runs, its files, and the quality of what it loaded. */
import { nullable, required, type TableSpec } from './table-spec.ts'

const run = required('run', 'INT64', 'Number of the batch run.')
const runDate = required('run_date', 'DATE', 'UTC day on which the run took its cut.')
const topic = required('topic', 'STRING', 'Topic of the event log.')
const logPartition = required('log_partition', 'INT64', 'Partition of the topic.')

const batchRuns: TableSpec = {
  name: 'batch_runs',
  description: 'The control rows: what each completed run took of each partition.',
  columns: [
    run,
    runDate,
    topic,
    required('topic_id', 'STRING', 'Identity of the topic; differs when it was created anew.'),
    logPartition,
    required('first_offset', 'INT64', 'First offset of the range.'),
    required('next_offset', 'INT64', 'Offset after the range, where the next run begins.'),
    required('watermark_ms', 'INT64', 'Watermark of the partition at the cut, epoch ms.'),
    required('last_logged_at_ms', 'INT64', 'Largest append time below the cut, epoch ms.'),
    nullable(
      'boundary_ms',
      'INT64',
      'Minutes that end before this are complete in the history, epoch ms.',
    ),
    required('records', 'INT64', 'Records of the range, ticks included.'),
    required('events', 'INT64', 'Events that the run inserted from the range.'),
    required('copies', 'INT64', 'Repeated and rejected copies that it inserted.'),
    required('bytes', 'INT64', 'Size of the raw files, bytes.'),
    required('started_at', 'TIMESTAMP', 'When the run began.'),
    required('ended_at', 'TIMESTAMP', 'When the control row was written.'),
    nullable('staging_bytes', 'INT64', 'Size of the staging files made from the raw files, bytes.'),
    nullable(
      'warehouse_read_bytes',
      'INT64',
      'Bytes that statements of the whole run have read, as the warehouse counts them: the same in each of its rows; null where nobody bills. Of a run that was cut off, those of its last try.',
    ),
    nullable(
      'warehouse_billed_bytes',
      'INT64',
      'Bytes that the whole run was billed for by the warehouse: as above.',
    ),
  ],
  partitionColumn: 'run_date',
  key: ['run', 'topic', 'log_partition'],
  clusterColumns: ['run', 'topic', 'log_partition'],
}

const ledger: TableSpec = {
  name: 'ledger',
  description: 'Where every range of the log went: raw file, staging file, job and rows.',
  columns: [
    run,
    runDate,
    topic,
    logPartition,
    required('first_offset', 'INT64', 'First offset in the file.'),
    required('last_offset', 'INT64', 'Last offset in the file.'),
    required('records', 'INT64', 'Records in the file.'),
    required('file', 'STRING', 'Object name of the raw file.'),
    required('bytes', 'INT64', 'Size of the file, bytes.'),
    required('sha256', 'STRING', 'SHA-256 of the file, 64 hex digits.'),
    required(
      'manifest',
      'STRING',
      'Object name of the manifest that lists the file; of a joined one, its last part.',
    ),
    nullable('staging_file', 'STRING', 'Object name of the Parquet file made from it.'),
    nullable('job_id', 'STRING', 'The job that loaded it.'),
    nullable('rows_loaded', 'INT64', 'Rows that came of the file.'),
    nullable('supersedes', 'STRING', 'SHA-256 of the content that this file replaced.'),
    nullable('superseded_by', 'STRING', 'SHA-256 of the content that replaced this one.'),
    nullable(
      'joined_files',
      'INT64',
      'How many files of runs are joined in this one; null for the file of one run.',
    ),
  ],
  partitionColumn: 'run_date',
  key: ['file', 'sha256'],
  clusterColumns: ['topic', 'log_partition', 'first_offset'],
}

const dataQuality: TableSpec = {
  name: 'data_quality',
  description: 'Checks of what a run loaded, by player version.',
  columns: [
    run,
    runDate,
    required('check_name', 'STRING', 'What was checked.'),
    nullable('player_name', 'STRING', 'Player; null for a check of the whole run.'),
    nullable('player_version', 'STRING', 'Version of the player; null for the whole run.'),
    required('found', 'INT64', 'How many were found.'),
    required('checked', 'INT64', 'How many were looked at.'),
    nullable('rate', 'FLOAT64', 'found ÷ checked; null when nothing was looked at.'),
    nullable('threshold', 'FLOAT64', 'The rate above which the flag is raised.'),
    required('flagged', 'BOOL', 'Whether the rate is above the threshold.'),
  ],
  partitionColumn: 'run_date',
  key: ['run', 'check_name', 'player_name', 'player_version'],
  clusterColumns: ['check_name', 'player_name', 'player_version'],
}

const eventsByVersion: TableSpec = {
  name: 'events_by_version',
  description: 'How many events arrived each day in which schema, by player version.',
  columns: [
    required('received_date', 'DATE', 'UTC day of arrival.'),
    nullable('schema', 'STRING', 'Schema of the records, such as playback.v1.'),
    nullable('player_name', 'STRING', 'Player; null when it is missing.'),
    nullable('player_version', 'STRING', 'Version of the player; null when it is missing.'),
    required('events', 'INT64', 'Distinct events.'),
  ],
  partitionColumn: 'received_date',
  key: ['received_date', 'schema', 'player_name', 'player_version'],
  clusterColumns: ['schema', 'player_name', 'player_version'],
}

export const runTables = { batchRuns, ledger, dataQuality, eventsByVersion }
