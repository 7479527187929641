/**
 * `npm run bench`: events per second and core of the fold, of the gateway over the embedded log
 * and of the processor, on this machine. Printed, and kept with machine and commit in
 * `loadtest/baselines/`. Nothing asserts these numbers: they are compared by people.
 */
import { benchFold } from './bench/fold-bench.ts'
import { benchGateway } from './bench/gateway-bench.ts'
import { benchProcessor } from './bench/processor-bench.ts'
import { keepResults, printResults, type BenchResult } from './bench/results.ts'

const results: BenchResult[] = []
const measured = (...more: BenchResult[]) => {
  results.push(...more)
  for (const { name } of more) console.log(`measured: ${name}`)
}

measured(...benchFold(100, 1_000_000))
measured(...benchFold(10, 1_000_000))
for (const [eventsPerFrame, events] of [
  [1, 50_000],
  [10, 300_000],
  [100, 1_000_000],
] as const)
  measured(await benchGateway(eventsPerFrame, events))
measured(await benchProcessor(100, 1_000_000))
measured(await benchProcessor(10, 500_000))

console.log()
printResults(results)
console.log(`\nkept in ${keepResults('embedded', results)}`)
