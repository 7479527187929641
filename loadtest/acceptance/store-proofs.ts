/** Proofs of what rows cost the store, and their readers serving. */
import { measureServing } from '../api/measure.ts'
import { REQUEST_KINDS } from '../api/request-kinds.ts'
import { measureCassandraRows } from '../cassandra-rows.ts'
import { PARTITIONS } from '../processor-speed.ts'
import { none } from './claims.ts'
import type { Claim, Proof } from './proof.ts'
import {
  CASSANDRA_ROWS,
  PAGES_OPEN,
  PAGES_PER_CORE,
  PARTITIONS_READ,
  requestsPerCore,
  requestsPerSecond,
  rowsPerCore,
  rowsPerSecond,
  SERVING_QUERIES,
} from './store-claims.ts'

const ROWS_MINUTES = 3
const QUERIES_MINUTES = 5
const SECOND_MS = 1_000

const cassandraRows: Proof = {
  name: CASSANDRA_ROWS,
  shows: 'what a row of the processor costs Cassandra, what it compacts included',
  minutes: ROWS_MINUTES,
  async run({ minutesMax, said }) {
    const costs = await measureCassandraRows({
      share: Math.min(1, minutesMax / ROWS_MINUTES),
      said,
    })
    const claims = costs.flatMap(({ kind, rows, wallMs, nodeCpuMs, putP99Ms }) => [
      told(rowsPerCore(kind), perSecond(rows, nodeCpuMs), 'rows/s/core'),
      told(rowsPerSecond(kind), perSecond(rows, wallMs), 'rows/s'),
      told(`a put of a hundred rows of ${kind}, p99`, putP99Ms, 'ms'),
    ])
    return { claims, details: { costs } }
  },
}

const servingQueries: Proof = {
  name: SERVING_QUERIES,
  shows:
    'what requests and open dashboards cost serving, over rows in Cassandra and tables of a batch',
  minutes: QUERIES_MINUTES,
  async run({ minutesMax, said }) {
    const share = Math.min(1, minutesMax / QUERIES_MINUTES)
    const measured = await measureServing({ share, said })
    const { requests, pages, idleCores } = measured
    const wrong = REQUEST_KINDS.reduce((sum, kind) => sum + requests[kind].wrong, 0)
    const ofRequests = REQUEST_KINDS.flatMap((kind) => {
      const { requests: count, cpuMs, wallMs } = requests[kind]
      return [
        told(requestsPerCore(kind), perSecond(count, cpuMs), 'requests/s/core'),
        told(requestsPerSecond(kind), perSecond(count, wallMs), 'requests/s'),
      ]
    })
    return {
      claims: [
        none('answers that are none, or not of the side that was asked', wrong),
        {
          kind: 'floor',
          what: 'requests and connections of open dashboards that failed',
          measured: pages.failures,
          unit: '',
          bound: { atMost: 0 },
        },
        ...ofRequests,
        told(PAGES_PER_CORE, (pages.open * pages.wallMs) / pages.cpuMs, 'dashboards/core'),
        told(PAGES_OPEN, pages.open, ''),
        told('updates a second to them', perSecond(pages.updates, pages.wallMs), 'updates/s'),
        told(PARTITIONS_READ, PARTITIONS, ''),
        { kind: 'told', what: 'serving with nobody who asks', measured: idleCores, unit: 'cores' },
      ],
      details: measured,
    }
  },
}

function told(what: string, value: number, unit: string): Claim {
  return { kind: 'told', what, measured: Math.round(value), unit }
}

function perSecond(count: number, ms: number): number {
  return (count * SECOND_MS) / ms
}

export const storeProofs: readonly Proof[] = [cassandraRows, servingQueries]
