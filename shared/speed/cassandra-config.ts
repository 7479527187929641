/** Settings of the speed store on Cassandra, the same for every service that uses it. */
import { checkAddresses } from '../runtime/addresses.ts'
import { configErrors, defineConfig, setting, type ValuesOf } from '../runtime/config.ts'

const MINUTE_MS = 60_000

const connectionSettings = {
  contactPoints: setting.list({
    default: ['127.0.0.1:9042'],
    doc: 'Nodes to begin with; the others are learned from them.',
    expected: 'comma-separated host:port',
  }),
  localDataCenter: setting.text({
    default: 'datacenter1',
    doc: 'Data center whose nodes are used, and whose quorum acknowledges.',
  }),
  keyspace: setting.text({
    default: 'backhaul',
    pattern: /^[a-z][a-z0-9_]{0,47}$/,
    expected: '1 to 48 lower-case letters, digits and underscores, a letter first',
    doc: 'Keyspace of the tables. It is created when it is missing, as the tables are.',
  }),
  replicationFactor: setting.integer({
    default: 3,
    min: 1,
    max: 32,
    unit: 'replicas',
    doc: 'Replicas in the local data center of a keyspace that is created here; 1 on a single node.',
  }),
  user: setting.text({ default: '', doc: 'User name; empty: no credentials are given.' }),
  password: setting.text({ default: '', secret: true, doc: 'Password of CASSANDRA_USER.' }),
  tls: setting.boolean({
    default: false,
    doc: 'Whether connections are encrypted and the nodes’ certificates checked.',
  }),
  tlsCaFile: setting.text({
    default: '',
    doc: 'File of the certificate authorities that nodes’ certificates are checked against, in PEM, with CASSANDRA_TLS. Empty: those the system trusts.',
  }),
} as const

const workSettings = {
  connectTimeoutMs: setting.integer({
    default: 5_000,
    min: 100,
    max: MINUTE_MS,
    unit: 'ms',
    doc: 'Time in which a connection must be up, credentials included.',
  }),
  requestTimeoutMs: setting.integer({
    default: 5_000,
    min: 100,
    max: 5 * MINUTE_MS,
    unit: 'ms',
    doc: 'A statement that is not answered after this time has failed; a write may have been done all the same, and is repeated with the same stamp. More than the nodes’ own time-outs.',
  }),
  narrowWritesMax: setting.integer({
    default: 64,
    min: 1,
    max: 1_024,
    unit: 'statements',
    doc: 'Writes of narrow cuts, progress and rules’ states on their way at a time.',
  }),
  wideWritesMax: setting.integer({
    default: 64,
    min: 1,
    max: 1_024,
    unit: 'statements',
    doc: 'Writes of wide cuts on their way at a time; they never take a place of the narrow ones.',
  }),
  sessionWritesMax: setting.integer({
    default: 128,
    min: 1,
    max: 1_024,
    unit: 'statements',
    doc: 'Writes of sessions and their positions on their way at a time.',
  }),
  indexWritesMax: setting.integer({
    default: 16,
    min: 1,
    max: 1_024,
    unit: 'statements',
    doc: 'Writes of the entries that sessions are found by, on their way at a time.',
  }),
  readsMax: setting.integer({
    default: 128,
    min: 1,
    max: 1_024,
    unit: 'statements',
    doc: 'Reads on their way at a time.',
  }),
} as const

const table = { ...connectionSettings, ...workSettings } as const

export type CassandraConfig = ValuesOf<typeof table>

export const cassandraConfig = defineConfig({
  prefix: 'CASSANDRA',
  table,
  check(values) {
    const conflict = (expected: string, received: string) =>
      configErrors.create('CONFIG_CONFLICT', { expected, received })
    checkAddresses('CASSANDRA_CONTACT_POINTS', values.contactPoints)
    if ((values.user === '') !== (values.password === ''))
      throw conflict(
        'CASSANDRA_USER and CASSANDRA_PASSWORD together',
        values.user === '' ? 'no user' : 'no password',
      )
    if (values.tlsCaFile !== '' && !values.tls)
      throw conflict('CASSANDRA_TLS = true with CASSANDRA_TLS_CA_FILE', 'CASSANDRA_TLS = false')
  },
})
