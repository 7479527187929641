/** Runs of seeds in a process of their own: as many at once as there are cores, and mutants apart. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import type { RunCounts } from './run-seed.ts'

export interface ChildRun {
  readonly runs: number
  /** Seeds that found something. */
  readonly findings: readonly number[]
  readonly counts: RunCounts
  /** Over the traces of all runs. */
  readonly traceHash: string
  /** What it found, in words, and how to repeat it. */
  readonly told: string
}

const MAIN = join(import.meta.dirname, '../simulation.ts')
/** Most of what a step allocates is garbage after it; with room for it less of it is copied. */
const NODE_FLAGS = ['--max-semi-space-size=32']

export function runChild(args: readonly string[]): Promise<ChildRun> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...NODE_FLAGS, MAIN, '--json', ...args])
    let [output, told] = ['', '']
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (told += chunk.toString()))
    child.on('error', reject)
    child.on('close', (code) => {
      // One that fails before it has anything to say ends with 1 as well.
      if (output === '') reject(new Error(`the child ended with ${code}: ${told}`))
      else resolve({ ...(JSON.parse(output) as Omit<ChildRun, 'told'>), told })
    })
  })
}

/** Runs `work` over all items, `width` of them at a time; results are in the order of the items. */
export async function inParallel<Item, Result>(
  items: readonly Item[],
  width: number,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = []
  const waiting = [...items.entries()]
  const next = async (): Promise<void> => {
    for (let taken = waiting.shift(); taken !== undefined; taken = waiting.shift())
      results[taken[0]] = await work(taken[1])
  }
  await Promise.all(Array.from({ length: width }, next))
  return results
}
