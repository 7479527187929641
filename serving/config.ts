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
})

export type ServingConfig = ValuesOf<typeof servingConfig.table>
