import { randomUUID } from 'node:crypto'
import { readConfig } from '../../runtime/config.ts'
import { cassandraConfig, type CassandraConfig } from '../cassandra-config.ts'

/** Settings for a test's node: the defaults, in a keyspace of its own, but for what is given. */
export function cassandraSettings(overrides: Partial<CassandraConfig>): CassandraConfig {
  const defaults = readConfig(cassandraConfig, {}, () => '')
  const keyspace = `test_${randomUUID().replaceAll('-', '')}`
  // A node of tests answers within its own 20 s, on a machine that is busy with other things.
  return { ...defaults, keyspace, replicationFactor: 1, requestTimeoutMs: 25_000, ...overrides }
}
