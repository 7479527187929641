/**
 * The tables, as numbered steps from nothing. A step that was released is never changed, and steps
 * only add, so that programs of the version before go on beside the newer tables; a statement may
 * be repeated. Write stamps are event time in microseconds, so time windows hold what expires
 * together: 30 windows of 3 days for the 90 days that rows are kept by default.
 *
 *   minutes          rows of one cut, bucket of keys and hour side by side, in order of minute
 *   sessions         the rows of one session side by side, positions likewise
 *   recent_sessions  sessions that began to arrive in one minute, newest first
 *   recent_minutes   the minutes in which sessions began, newest first
 *   viewer_sessions  sessions that began to arrive on one day, by viewer, a viewer's newest first
 *   partitions       progress
 *   rule_states      what the alert evaluator knows of a rule
 */
export interface Migration {
  readonly version: number
  readonly statements: readonly string[]
}

const BY_TIME = `compaction = {'class': 'TimeWindowCompactionStrategy', 'compaction_window_unit': 'DAYS',
    'compaction_window_size': '3'}`
const ORIGIN = 'topic_epoch int, partition int, generation int'

export const MIGRATIONS: readonly Migration[] = [
  {
    version: 1,
    statements: [
      `CREATE TABLE IF NOT EXISTS minutes (
        view_id text, cut text, key_bucket int, hour_ms bigint, minute_ms bigint, key text, ${ORIGIN},
        last_offset bigint, expires_at_ms bigint, aggregates text,
        PRIMARY KEY ((view_id, cut, key_bucket, hour_ms), minute_ms, key, topic_epoch, partition, generation)
      ) WITH ${BY_TIME}`,
      `CREATE TABLE IF NOT EXISTS sessions (
        view_id text, session_id text, ${ORIGIN}, incarnation int,
        expires_at_ms bigint, summary text,
        PRIMARY KEY ((view_id, session_id), topic_epoch, partition, generation, incarnation)
      ) WITH ${BY_TIME}`,
      `CREATE TABLE IF NOT EXISTS positions (
        view_id text, session_id text, ${ORIGIN}, incarnation int, row_number int,
        expires_at_ms bigint, positions text,
        PRIMARY KEY ((view_id, session_id), topic_epoch, partition, generation, incarnation, row_number)
      ) WITH ${BY_TIME}`,
      `CREATE TABLE IF NOT EXISTS recent_sessions (
        view_id text, minute_ms bigint, received_ms bigint, session_id text, ${ORIGIN}, incarnation int,
        PRIMARY KEY ((view_id, minute_ms), received_ms, session_id, topic_epoch, partition, generation, incarnation)
      ) WITH CLUSTERING ORDER BY (received_ms DESC) AND ${BY_TIME}`,
      `CREATE TABLE IF NOT EXISTS recent_minutes (
        view_id text, minute_ms bigint,
        PRIMARY KEY (view_id, minute_ms)
      ) WITH CLUSTERING ORDER BY (minute_ms DESC) AND ${BY_TIME}`,
      `CREATE TABLE IF NOT EXISTS partitions (
        view_id text, ${ORIGIN}, expires_at_ms bigint, progress text,
        PRIMARY KEY (view_id, topic_epoch, partition, generation)
      )`,
      `CREATE TABLE IF NOT EXISTS rule_states (
        view_id text, rule_id text, expires_at_ms bigint, state text,
        PRIMARY KEY (view_id, rule_id)
      )`,
    ],
  },
  {
    version: 2,
    statements: [
      `CREATE TABLE IF NOT EXISTS viewer_sessions (
        view_id text, day_ms bigint, viewer_bucket int, viewer text, received_ms bigint, session_id text, ${ORIGIN},
        incarnation int,
        PRIMARY KEY ((view_id, day_ms, viewer_bucket), viewer, received_ms, session_id, topic_epoch, partition,
          generation, incarnation)
      ) WITH CLUSTERING ORDER BY (viewer ASC, received_ms DESC) AND ${BY_TIME}`,
    ],
  },
]
