/**
 * `npm run bench:cassandra`: what a row costs the client, the node and the wait. Printed, and kept in
 * `loadtest/baselines/cassandra.json`. An event here is a row. With a share as the argument, runs are
 * that much shorter and nothing is kept.
 */
import { keepResults, perEvent, printResults } from './bench/results.ts'
import { measureCassandraRows } from './cassandra-rows.ts'

const NS_PER_MS = 1e6
const [share] = process.argv.slice(2)

const costs = await measureCassandraRows({
  share: Number(share ?? 1),
  said: (line) => console.log(line),
})
const results = costs.map(({ kind, rows, wallMs, clientCpuMs, nodeCpuMs, putP50Ms, putP99Ms }) =>
  perEvent(
    `put rows of ${kind}`,
    rows,
    { wallMs, cpuMs: clientCpuMs },
    {
      'node ns/row': Math.round((nodeCpuMs * NS_PER_MS) / rows),
      'put p50 ms': putP50Ms,
      'put p99 ms': putP99Ms,
    },
  ),
)
console.log()
printResults(results)
if (share === undefined) console.log(`\nkept in ${keepResults('cassandra', results)}`)
