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
/** Few children, because each loads the processor first; more than cores, so that all end alike. */
const SEEDS_PER_CHILD = 250
/** Of these, and of the seeds that are kept, one finds each mutant. */
const MUTANT_SEEDS = 200
const CORES = availableParallelism()
const TIMEOUT_MS = 600_000

const inWords = (count: number) => count.toLocaleString('en')

/** How long work takes is told, and nothing is asserted about it. */
async function timed<Result>(work: () => Promise<Result>): Promise<[Result, string]> {
  const startedMs = performance.now()
  const result = await work()
  return [result, `${inWords(Math.round((performance.now() - startedMs) / 1_000))} s`]
}

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
    const [children, duration] = await timed(() =>
      inParallel(begins, CORES, (from) =>
        runChild(['--from', String(from), '--count', String(SEEDS_PER_CHILD)]),
      ),
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
    expect(sum(({ counts }) => counts.alerts)).toBeGreaterThan(SEEDS / 10)
    expect(sum(({ counts }) => counts.otherTopics)).toBeGreaterThan(SEEDS / 200)
    task.meta.told =
      `${inWords(runs)} seeds of the processor in ${duration}: ` +
      `${inWords(sum(({ counts }) => counts.processes))} processes, ` +
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
  async ({ task }) => {
    const [unfound, duration] = await timed(() =>
      inParallel(MUTANTS, CORES, async ({ name }) => {
        const seeds = [...keptSeeds, '--count', String(MUTANT_SEEDS)]
        const ran = await runChild(['--first', '--mutant', name, ...seeds])
        return ran.findings.length === 0 ? [name] : []
      }),
    )
    expect(unfound.flat()).toEqual([])
    task.meta.told = `${MUTANTS.length} known defects found in ${duration}`
  },
  TIMEOUT_MS,
)
