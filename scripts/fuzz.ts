/**
 * `npm run fuzz -- [--target frame] [--seconds 30] [--seed 1]`: changes inputs of the parsers that read
 * what comes from outside, and fails on one that crashes, hangs, takes memory without bound or
 * breaks what its target promises. That input is kept in scripts/fuzz/regressions and judged first
 * from then on.
 */
import { parseArgs } from 'node:util'
import { systemRandom } from '../shared/runtime/random.ts'
import { reportText } from './fuzz/report.ts'
import { runFuzz } from './fuzz/run.ts'
import { TARGET_NAMES } from './fuzz/targets.ts'

const SEEDS = 2 ** 31

const { values } = parseArgs({
  options: {
    target: { type: 'string', multiple: true, default: [...TARGET_NAMES] },
    seconds: { type: 'string', default: '10' },
    seed: { type: 'string', default: `${systemRandom.below(SEEDS)}` },
  },
})
const seed = Number(values.seed)
const seconds = Number(values.seconds)
if (!Number.isSafeInteger(seed) || !(seconds > 0))
  throw new Error('--seed is an integer, and --seconds a number above 0')
console.log(`fuzz: seed ${seed}`)
for (const target of values.target) {
  const report = await runFuzz({ target, seconds, seed })
  console.log(reportText(report))
  if (report.broken === undefined) continue
  console.log(report.broken)
  process.exitCode = 1
}
