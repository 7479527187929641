/** Settings of the event log on Kafka, the same for every service that uses it. */
import { checkAddresses } from '../runtime/addresses.ts'
import { configErrors, defineConfig, setting, type ValuesOf } from '../runtime/config.ts'

const MINUTE_MS = 60_000

const connectionSettings = {
  brokers: setting.list({
    default: ['127.0.0.1:9092'],
    doc: 'Brokers to begin with; the others are learned from them.',
    expected: 'comma-separated host:port',
  }),
  client: setting.choice({
    default: 'platformatic',
    choices: ['platformatic', 'kafkajs'],
    doc: 'Client library: @platformatic/kafka (faster) or kafkajs.',
  }),
  clientId: setting.text({
    default: 'backhaul',
    pattern: /^[A-Za-z0-9._-]{1,128}$/,
    expected: '1 to 128 letters, digits, dots, underscores or hyphens',
    doc: 'Name by which brokers know this client in their logs, metrics and quotas.',
  }),
  security: setting.choice({
    default: 'PLAINTEXT',
    choices: ['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL'],
    doc: 'Security protocol of the brokers’ listener.',
  }),
  saslMechanism: setting.choice({
    default: 'SCRAM-SHA-512',
    choices: ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'],
    doc: 'How credentials are proved, with a SASL protocol. PLAIN shows the password to the broker: use it over SASL_SSL.',
  }),
  saslUser: setting.text({ default: '', doc: 'User name, with a SASL protocol.' }),
  saslPassword: setting.text({
    default: '',
    secret: true,
    doc: 'Password, with a SASL protocol.',
  }),
  tlsCaFile: setting.text({
    default: '',
    doc: 'File of the certificate authorities that brokers’ certificates are checked against, in PEM, with SSL or SASL_SSL. Empty: those the system trusts.',
  }),
} as const

const topicSettings = {
  replicationFactor: setting.integer({
    default: 3,
    min: 1,
    max: 32,
    unit: 'replicas',
    doc: 'Replicas of a topic that is created here; 1 on a single broker.',
  }),
  minInsyncReplicas: setting.integer({
    default: 2,
    min: 1,
    max: 32,
    unit: 'replicas',
    doc: 'Replicas that must have a record before it is acknowledged; with fewer in sync, nothing is. At most KAFKA_REPLICATION_FACTOR.',
  }),
  batchMaxBytes: setting.integer({
    default: 2 ** 21,
    min: 2 ** 16,
    max: 2 ** 26,
    unit: 'bytes, compressed',
    doc: 'Largest record batch of a topic that is created here (`max.message.bytes`).',
  }),
} as const

const timeSettings = {
  connectTimeoutMs: setting.integer({
    default: 5_000,
    min: 100,
    max: MINUTE_MS,
    unit: 'ms',
    doc: 'Time in which a connection must be up, credentials included.',
  }),
  requestTimeoutMs: setting.integer({
    default: 15_000,
    min: 500,
    max: 5 * MINUTE_MS,
    unit: 'ms',
    doc: 'A request that is not answered after this time has failed, and its connection is given up.',
  }),
  produceTimeoutMs: setting.integer({
    default: 5_000,
    min: 100,
    max: 5 * MINUTE_MS,
    unit: 'ms',
    doc: 'How long a broker waits for the in-sync replicas before it fails a produce request. An append whose answer does not come in twice this time has failed.',
  }),
  groupSessionTimeoutMs: setting.integer({
    default: 20_000,
    min: 6_000,
    max: 30 * MINUTE_MS,
    unit: 'ms',
    doc: 'A group member that is not heard of for this long is put out; its partitions go to others.',
  }),
  groupRebalanceTimeoutMs: setting.integer({
    default: MINUTE_MS,
    min: 1_000,
    max: 30 * MINUTE_MS,
    unit: 'ms',
    doc: 'Time a group member has to end its work and join again in a rebalance before it is put out.',
  }),
} as const

const table = { ...connectionSettings, ...topicSettings, ...timeSettings } as const

export type KafkaConfig = ValuesOf<typeof table>

export const kafkaConfig = defineConfig({
  prefix: 'KAFKA',
  table,
  check(values) {
    const conflict = (expected: string, received: string) =>
      configErrors.create('CONFIG_CONFLICT', { expected, received })
    checkAddresses('KAFKA_BROKERS', values.brokers)
    if (values.minInsyncReplicas > values.replicationFactor)
      throw conflict(
        `KAFKA_MIN_INSYNC_REPLICAS of at most KAFKA_REPLICATION_FACTOR = ${values.replicationFactor}`,
        `${values.minInsyncReplicas}`,
      )
    const sasl = values.security.startsWith('SASL_')
    if (sasl && (values.saslUser === '' || values.saslPassword === ''))
      throw conflict(
        `KAFKA_SASL_USER and KAFKA_SASL_PASSWORD with KAFKA_SECURITY = ${values.security}`,
        `${values.saslUser === '' ? 'no user' : 'no password'}`,
      )
    if (values.tlsCaFile !== '' && !values.security.endsWith('SSL'))
      throw conflict(
        'KAFKA_SECURITY = SSL or SASL_SSL with KAFKA_TLS_CA_FILE',
        `KAFKA_SECURITY = ${values.security}`,
      )
  },
})
