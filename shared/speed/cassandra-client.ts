/** How the driver is set up: what it would do by itself and is done here instead, and where it connects. */
import { Client, policies, types, type ClientOptions } from 'cassandra-driver'
import { readAuthorities } from '../runtime/addresses.ts'
import type { CassandraConfig } from './cassandra-config.ts'
import { keepControlConnection } from './cassandra-control-connection.ts'
import { DEFUNCT_TIMEOUTS, PAGE_ROWS, RECONNECT_MAX_MS, RECONNECT_MS } from './cassandra-limits.ts'

/** A client of the cluster; its statements name their keyspace where none is given. */
export function createCassandraClient(config: CassandraConfig, keyspace?: string): Client {
  const client = new Client(clientOptions(config, keyspace))
  keepControlConnection(client)
  return client
}

export function clientOptions(config: CassandraConfig, keyspace?: string): ClientOptions {
  const { connectTimeoutMs, requestTimeoutMs, user, password, tls, tlsCaFile } = config
  return {
    contactPoints: [...config.contactPoints],
    localDataCenter: config.localDataCenter,
    ...(keyspace !== undefined && { keyspace }),
    ...(user !== '' && { credentials: { username: user, password } }),
    ...(tls && { sslOptions: tlsOptions(tlsCaFile) }),
    policies: {
      reconnection: new policies.reconnection.ExponentialReconnectionPolicy(
        RECONNECT_MS,
        RECONNECT_MAX_MS,
      ),
      // Repeats are this store's own: bounded, counted, and with the same stamp.
      retry: new policies.retry.FallthroughRetryPolicy(),
    },
    queryOptions: {
      prepare: true,
      // Every write has its own stamp and an absolute value, so that any may be done twice.
      isIdempotent: true,
      consistency: types.consistencies.localQuorum,
      serialConsistency: types.consistencies.localSerial,
      fetchSize: PAGE_ROWS,
    },
    socketOptions: {
      connectTimeout: connectTimeoutMs,
      readTimeout: requestTimeoutMs,
      defunctReadTimeoutThreshold: DEFUNCT_TIMEOUTS,
    },
  }
}

/** The driver checks no certificate unless it is told to. */
function tlsOptions(caFile: string): NonNullable<ClientOptions['sslOptions']> {
  const ca = readAuthorities('CASSANDRA_TLS_CA_FILE', caFile)
  return { rejectUnauthorized: true, ...(ca !== undefined && { ca }) }
}
