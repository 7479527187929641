import { availableParallelism } from 'node:os'
import { describe, expect, test } from 'vitest'
import { inParallel, runChild } from './child-run.ts'
import { KEPT_SEEDS } from './kept-seeds.ts'
import { MUTANTS } from './mutants.ts'
import { runSeed } from './run-seed.ts'

declare module 'vitest' {
  interface TaskMeta {
    /** For the summary of `npm test`: what the test ran, in numbers. */
    told?: string
  }
}

const SEEDS = 2_000
const SEEDS_PER_CHILD = 100
/** Of these, and of the seeds that are kept, one finds each mutant. */
const MUTANT_SEEDS = 200
const CORES = availableParallelism()
const TIMEOUT_MS = 600_000

const keptSeeds = KEPT_SEEDS.flatMap(({ seed }) => ['--seed', String(seed)])

test(
  'seeds that once found a defect find none',
  async () => {
    const { told } = await runChild(keptSeeds)
    expect(told).toBe('')
  },
  TIMEOUT_MS,
)

test(
  'whatever befalls processors, what they leave is what the oracle says of the log',
  async ({ task }) => {
    const begins = Array.from({ length: SEEDS / SEEDS_PER_CHILD }, (_, at) => at * SEEDS_PER_CHILD)
    const children = await inParallel(begins, CORES, (from) =>
      runChild(['--from', String(from), '--count', String(SEEDS_PER_CHILD)]),
    )
    expect(children.map(({ told }) => told).join('')).toBe('')
    const sum = (pick: (child: (typeof children)[number]) => number) =>
      children.reduce((total, child) => total + pick(child), 0)
    const runs = sum((child) => child.runs)
    expect(runs).toBe(SEEDS)
    // A run in which nothing happens proves nothing.
    expect(sum(({ counts }) => counts.deaths)).toBeGreaterThan(SEEDS)
    expect(sum(({ counts }) => counts.rebalances)).toBeGreaterThan(SEEDS)
    expect(sum(({ counts }) => counts.rebuilds)).toBeGreaterThan(SEEDS / 20)
    const inWords = (count: number) => count.toLocaleString('en')
    task.meta.told =
      `${inWords(runs)} seeds of the processor: ${inWords(sum(({ counts }) => counts.processes))} processes, ` +
      `${inWords(sum(({ counts }) => counts.calls))} calls`
  },
  TIMEOUT_MS,
)

describe('a run', () => {
  test('is the same each time, in whatever process', async () => {
    const [one, other] = await inParallel([0, 1], CORES, () => runChild(['--count', '12']))
    expect(one).toEqual(other)
    for (const seed of [3, 7]) expect(await runSeed(seed)).toEqual(await runSeed(seed))
    expect((await runSeed(3)).traceHash).not.toBe((await runSeed(7)).traceHash)
  })
})

test(
  'every known defect is found',
  async () => {
    const unfound = await inParallel(MUTANTS, CORES, async ({ name }) => {
      const withMutant = ['--first', '--mutant', name]
      const kept = await runChild([...withMutant, ...keptSeeds])
      if (kept.findings.length > 0) return []
      const ran = await runChild([...withMutant, '--count', String(MUTANT_SEEDS)])
      return ran.findings.length === 0 ? [name] : []
    })
    expect(unfound.flat()).toEqual([])
  },
  TIMEOUT_MS,
)
