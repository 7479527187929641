/** The speed store's contract on a real Cassandra node. */
import { Client } from 'cassandra-driver'
import { afterAll, beforeAll } from 'vitest'
import { startCassandra, type Cassandra } from '../../scripts/services/cassandra.ts'
import { systemClock } from '../runtime/clock.ts'
import { systemRandom } from '../runtime/random.ts'
import { openCassandraSpeedStore } from './cassandra-speed-store.ts'
import { describeSpeedStore } from './speed-store.contract.ts'
import { cassandraSettings } from './testing/cassandra-settings.ts'

let cassandra: Cassandra
let operator: Client
const shared = cassandraSettings({})

beforeAll(async () => {
  cassandra = await startCassandra()
  operator = new Client({
    contactPoints: [cassandra.contactPoint],
    localDataCenter: 'datacenter1',
    socketOptions: { readTimeout: 60_000 },
  })
  await operator.connect()
})
afterAll(async () => {
  await operator.shutdown()
  await cassandra.stop()
})

/** Changes of schema take longer than everything else here: all tests share the tables, emptied. */
const TABLES = [
  'minutes',
  'sessions',
  'positions',
  'recent_sessions',
  'recent_minutes',
  'partitions',
]

describeSpeedStore('the Cassandra speed store', async () => {
  const config = { ...shared, contactPoints: [cassandra.contactPoint] }
  return {
    open: () => openCassandraSpeedStore({ config, clock: systemClock, random: systemRandom }),
    nowMs: () => systemClock.nowMs(),
    pass: (durationMs) => systemClock.sleep(durationMs),
    dispose: async () => {
      const { keyspace } = config
      await Promise.all(TABLES.map((table) => operator.execute(`TRUNCATE ${keyspace}.${table}`)))
    },
  }
})
