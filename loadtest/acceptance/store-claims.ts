/** Claims of the proofs of store and serving that the page on sizing looks for in the results. */
import { ASKS, type RequestKind } from '../api/request-kinds.ts'
import type { RowKind } from '../cassandra-rows.ts'

export const CASSANDRA_ROWS = 'cassandra-rows'
export const SERVING_QUERIES = 'serving-queries'

export const rowsPerCore = (kind: RowKind) => `rows of ${kind} a second and core of Cassandra`
export const rowsPerSecond = (kind: RowKind) =>
  `rows of ${kind} a second, with their client on the same cores`
export const requestsPerCore = (kind: RequestKind) =>
  `requests a second and core of serving: ${ASKS[kind]}`
export const requestsPerSecond = (kind: RequestKind) => `requests a second: ${ASKS[kind]}`
export const PAGES_PER_CORE = 'open dashboards a core of serving'
export const PAGES_OPEN = 'open dashboards'
export const PARTITIONS_READ = 'partitions whose rows an answer merges'
