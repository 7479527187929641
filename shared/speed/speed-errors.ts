import { defineErrors } from '../runtime/errors.ts'

export const speedErrors = defineErrors({
  SPEED_UNAVAILABLE: {
    rule: 'the speed store must be reachable',
    retryable: true,
    status: 503,
    action:
      'Check the store (on Cassandra also CASSANDRA_CONTACT_POINTS); the same rows are written again and lag grows meanwhile.',
  },
  SPEED_FULL: {
    rule: 'the speed store must have space for its rows',
    retryable: true,
    status: 503,
    action:
      'Free disk space, raise BACKHAUL_SPEED_MAP_BYTES or lower PROCESSOR_ROW_RETENTION_MS; writes are repeated meanwhile.',
  },
  SPEED_QUERY_TOO_LARGE: {
    rule: 'a query must find no more rows than its limit',
    retryable: false,
    status: 400,
    action: 'Ask for a shorter time, fewer keys or a narrower cut.',
  },
  SPEED_OVERTAKEN: {
    rule: 'one process at a time may own an embedded speed store',
    retryable: false,
    action: 'Stop one of the two processes that use the data folder, and start the other anew.',
  },
  SPEED_READ_ONLY: {
    rule: 'a reader of an embedded speed store must not write to it',
    retryable: false,
    action: 'Use a command that writes, which opens the store as a guest of the server.',
  },
  SPEED_CREDENTIALS_REFUSED: {
    rule: 'the speed store must accept the credentials',
    retryable: false,
    action: 'Correct CASSANDRA_USER or CASSANDRA_PASSWORD; the message says what a node answered.',
  },
  SPEED_SECURITY_MISMATCH: {
    rule: 'the connection must be secured the way the speed store asks for',
    retryable: false,
    action:
      'Set CASSANDRA_TLS to what the nodes ask for, or CASSANDRA_TLS_CA_FILE to the authority that signed their certificates.',
  },
  SPEED_NOT_AUTHORIZED: {
    rule: 'the user must be allowed what the speed store is asked for',
    retryable: false,
    action: 'Grant the user of CASSANDRA_USER the permission that the message names.',
  },
  SPEED_SCHEMA_UNFIT: {
    rule: 'the tables of the speed store must be those that its migrations made',
    retryable: false,
    action:
      'Restore the table or the `schema_migrations` row that the message names, or use another keyspace: rows are rebuilt from the log.',
  },
  SPEED_CLOSED: {
    rule: 'the speed store must be open',
    retryable: false,
    action: 'None: the process is stopping.',
  },
})
