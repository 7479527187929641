import { defineErrors } from '../runtime/errors.ts'

export const logErrors = defineErrors({
  LOG_UNAVAILABLE: {
    rule: 'the event log must be reachable',
    retryable: true,
    status: 503,
    action:
      'Check the log (on Kafka also KAFKA_BROKERS and KAFKA_SECURITY); appends are retried and nothing is acknowledged meanwhile.',
  },
  LOG_FULL: {
    rule: 'the event log must have space for a record before it can be acknowledged',
    retryable: true,
    status: 503,
    action:
      'Free disk space, raise BACKHAUL_LOG_MAP_BYTES, or lower BACKHAUL_LOG_RETENTION_MS or BACKHAUL_LOG_RETENTION_BYTES.',
  },
  LOG_OFFSET_OUT_OF_RANGE: {
    rule: 'a reader must find the offset it needs in the log',
    retryable: false,
    action:
      'Records expired before they were read, which is data loss: raise BACKHAUL_LOG_RETENTION_MS or BACKHAUL_LOG_RETENTION_BYTES before more do. A reader can go on only from the first offset still held, which is in the message; what lies before it is gone.',
  },
  LOG_TOPIC_UNKNOWN: {
    rule: 'a topic must exist before it is used',
    retryable: false,
    action: 'Create the topic, or start the service that creates it.',
  },
  LOG_TOPIC_MISMATCH: {
    rule: 'an existing topic must have the configured number of partitions',
    retryable: false,
    action:
      'Set BACKHAUL_PARTITIONS to the number that the topic has, or BACKHAUL_DATA_DIR to another folder: the partitions of a topic are fixed when it is created.',
  },
  LOG_TOPIC_UNFIT: {
    rule: 'an existing topic must have the settings that the promise stands on',
    retryable: false,
    action:
      'Set the topic’s setting named in the message with kafka-configs, or lower KAFKA_MIN_INSYNC_REPLICAS where that is meant.',
  },
  LOG_TOPIC_NOT_CREATED: {
    rule: 'the brokers must be able to create a missing topic',
    retryable: false,
    action:
      'See the brokers’ reason in the message: set KAFKA_REPLICATION_FACTOR to at most the number of brokers, or create the topic by hand.',
  },
  LOG_CREDENTIALS_REFUSED: {
    rule: 'the brokers must accept the credentials',
    retryable: false,
    action:
      'Correct KAFKA_SASL_USER, KAFKA_SASL_PASSWORD or KAFKA_SASL_MECHANISM; the message says what the brokers answered.',
  },
  LOG_SECURITY_MISMATCH: {
    rule: 'the connection must be secured the way the brokers’ listener asks for',
    retryable: false,
    action:
      'Set KAFKA_SECURITY to the listener’s protocol, KAFKA_BROKERS to another listener’s port, or KAFKA_TLS_CA_FILE to the authority that signed the brokers’ certificates.',
  },
  LOG_NOT_AUTHORIZED: {
    rule: 'the user must be allowed what the log is asked for',
    retryable: false,
    action: 'Grant the user of KAFKA_SASL_USER the operation on what the message names.',
  },
  LOG_RECORD_TOO_LARGE: {
    rule: 'a record must fit the log’s largest record size',
    retryable: false,
    action:
      'Send smaller frames; on Kafka, raise `max.message.bytes` of the topic (KAFKA_BATCH_MAX_BYTES when it is created).',
  },
  LOG_GROUP_FENCED: {
    rule: 'a group member may commit only under the current generation',
    retryable: false,
    action: 'None: the member drops its state and joins again.',
  },
  LOG_OVERTAKEN: {
    rule: 'one process at a time may own an embedded event log',
    retryable: false,
    action: 'Stop one of the two processes that use the data folder, and start the other anew.',
  },
  LOG_READ_ONLY: {
    rule: 'a reader of an embedded event log must not write to it',
    retryable: false,
    action: 'Use a command that writes, which opens the log as a guest of the server.',
  },
  LOG_CLOSED: {
    rule: 'the event log must be open',
    retryable: false,
    action: 'None: the process is stopping.',
  },
})
