/** What `cassandra.yaml` says: one small node that is its own cluster. */
import { join } from 'node:path'
import { STORE_PASSWORD, type KeyStore } from '../key-store.ts'

export interface CassandraOptions {
  /** Port for clients; a free one by default. */
  readonly port?: number
  /** Where data and logs are kept; by default a temporary folder that goes when it is stopped. */
  readonly folder?: string
  /** `tests` starts fast and is small; `load` has the heap and the compiler that a load needs. */
  readonly profile?: 'tests' | 'load'
  /**
   * `batch`, the default, answers a write when it is on the disk, as a test that kills the node
   * needs. `periodic` answers before, as a production cluster does that has three replicas.
   */
  readonly commitLogSync?: 'batch' | 'periodic'
  /** Clients reach the node through a fault proxy. */
  readonly proxied?: boolean
  /** Asks for credentials (at first `cassandra`, `cassandra`), and takes TLS as well as none. */
  readonly secured?: boolean
  /** Outlives this process. */
  readonly detached?: boolean
}

export interface NodeParts {
  readonly folder: string
  readonly ports: { readonly native: number; readonly storage: number }
  readonly options: CassandraOptions
  readonly keyStore: KeyStore | undefined
}

export function nodeSettings({ folder, ports, options, keyStore }: NodeParts) {
  const data = join(folder, 'node-1', 'data')
  return {
    cluster_name: 'backhaul-service',
    num_tokens: 1,
    partitioner: 'org.apache.cassandra.dht.Murmur3Partitioner',
    ...securitySettings(keyStore),
    seed_provider: [
      {
        class_name: 'org.apache.cassandra.locator.SimpleSeedProvider',
        parameters: [{ seeds: `127.0.0.1:${ports.storage}` }],
      },
    ],
    listen_address: '127.0.0.1',
    storage_port: ports.storage,
    rpc_address: '127.0.0.1',
    native_transport_port: ports.native,
    endpoint_snitch: 'SimpleSnitch',
    auto_bootstrap: false,
    ...commitLogSettings(options.commitLogSync ?? 'batch'),
    memtable_heap_space: '128MiB',
    memtable_offheap_space: '128MiB',
    memtable_allocation_type: 'heap_buffers',
    file_cache_size: '64MiB',
    key_cache_size: '16MiB',
    concurrent_reads: 8,
    concurrent_writes: 8,
    concurrent_counter_writes: 8,
    concurrent_compactors: 1,
    disk_access_mode: 'auto',
    data_file_directories: [join(data, 'data')],
    commitlog_directory: join(data, 'commitlog'),
    saved_caches_directory: join(data, 'saved_caches'),
    hints_directory: join(data, 'hints'),
    cdc_raw_directory: join(data, 'cdc_raw'),
    read_request_timeout: '20s',
    range_request_timeout: '20s',
    write_request_timeout: '20s',
    cas_contention_timeout: '10s',
    request_timeout: '20s',
    truncate_request_timeout: '60s',
    auto_snapshot: false,
  }
}

function commitLogSettings(sync: 'batch' | 'periodic') {
  const sizes = { commitlog_segment_size: '8MiB', commitlog_total_space: '256MiB' }
  if (sync === 'batch') return { ...sizes, commitlog_sync: sync }
  return { ...sizes, commitlog_sync: sync, commitlog_sync_period: '10s' }
}

function securitySettings(keyStore: KeyStore | undefined) {
  if (keyStore === undefined)
    return { authenticator: 'AllowAllAuthenticator', authorizer: 'AllowAllAuthorizer' }
  return {
    authenticator: 'PasswordAuthenticator',
    authorizer: 'CassandraAuthorizer',
    client_encryption_options: {
      enabled: true,
      optional: true,
      keystore: keyStore.storePath,
      keystore_password: STORE_PASSWORD,
      store_type: 'PKCS12',
    },
  }
}
