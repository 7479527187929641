import { checkListenerTls, listenerTlsSettings } from '../shared/http/listener-tls.ts'
import { defineConfig, setting, type ValuesOf } from '../shared/runtime/config.ts'
import { DEFAULT_SERVING_LIMITS } from './limits.ts'

export const servingConfig = defineConfig({
  prefix: 'SERVING',
  table: {
    host: setting.text({
      default: '127.0.0.1',
      doc: 'Address the API and the dashboard listen on. Any other than loopback needs authentication.',
    }),
    port: setting.integer({
      default: 8081,
      min: 0,
      max: 65_535,
      unit: 'port',
      doc: 'Port of the API and the dashboard; 0 takes a free one.',
    }),
    ...listenerTlsSettings,
    corsOrigins: setting.list({
      default: [],
      doc: 'Origins whose pages may read the API, e.g. `https://grafana.example`; `*` for all.',
      expected: 'comma-separated origins such as https://grafana.example, or *',
    }),
    liveConnectionsMax: setting.integer({
      default: DEFAULT_SERVING_LIMITS.liveConnectionsMax,
      min: 1,
      max: 100_000,
      unit: 'connections',
      doc: 'Live connections at a time; further ones are answered 503.',
    }),
    rangeMaxMs: setting.integer({
      default: DEFAULT_SERVING_LIMITS.rangeMaxMs,
      min: 60_000,
      max: 366 * 24 * 60 * 60_000,
      unit: 'ms',
      doc: 'Longest time range of one query.',
    }),
    rowsPerQueryMax: setting.integer({
      default: DEFAULT_SERVING_LIMITS.rowsPerQueryMax,
      min: 1_000,
      max: 10_000_000,
      unit: 'rows',
      doc: 'Rows one query may read from the speed store.',
    }),
  },
  check: (values) => checkListenerTls('SERVING', values),
})

export type ServingConfig = ValuesOf<typeof servingConfig.table>

/** Where serving on its own finds what it reads; `npm start` has everything in one folder. */
export const servingStoresConfig = defineConfig({
  prefix: 'SERVING',
  table: {
    speedStore: setting.choice({
      default: 'lmdb',
      choices: ['lmdb', 'cassandra'],
      doc: 'Where serving on its own reads rows: as PROCESSOR_SPEED_STORE of its processors.',
    }),
    history: setting.choice({
      default: 'none',
      choices: ['none', 'duckdb'],
      doc: 'Where serving on its own reads the history: nowhere, so that everything is answered from the speed store, or in the tables that a batch keeps in the object store.',
    }),
    historyMemoryMib: setting.integer({
      default: 512,
      min: 64,
      max: 65_536,
      unit: 'MiB',
      doc: 'Memory of the database that reads these tables; beyond, it spills into BACKHAUL_DATA_DIR.',
    }),
    historyThreads: setting.integer({
      default: 1,
      min: 1,
      max: 64,
      unit: 'threads',
      doc: 'Threads of this database.',
    }),
  },
})

export type ServingStoresConfig = ValuesOf<typeof servingStoresConfig.table>
