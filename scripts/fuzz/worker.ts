/**
 * The thread that judges. What it works on stands in shared memory before it is judged, so that an
 * input that ends the thread, or never ends, is known to whoever watches.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { systemClock as clock } from '../../shared/runtime/clock.ts'
import { seededRandom } from '../../shared/runtime/random.ts'
import { POOL_MAX_INPUTS } from './limits.ts'
import { mutate } from './mutate.ts'
import { sharedInput } from './shared-input.ts'
import { utf8, type FuzzTarget } from './target.ts'

export interface FuzzWork {
  readonly target: string
  /** Address of the module that finds it. */
  readonly targets: string
  readonly seconds: number
  readonly seed: number
  /** Judged before anything else. */
  readonly regressions: readonly Uint8Array[]
  readonly memory: SharedArrayBuffer
}

export interface FuzzFindings {
  readonly inputs: number
  /** Different verdicts. */
  readonly verdicts: number
  readonly slowestMs: number
  /** What the last input broke, if it broke anything. */
  readonly broken?: string
}

async function fuzz(work: FuzzWork): Promise<FuzzFindings> {
  const { findTarget } = (await import(work.targets)) as { findTarget(name: string): FuzzTarget }
  const target = findTarget(work.target)
  const random = seededRandom(work.seed)
  const current = sharedInput(work.memory)
  const verdicts = new Set<string>()
  const pool: Uint8Array[] = []
  const words = target.words.map(utf8)
  const given = [...work.regressions, ...target.seeds]
  const deadlineMs = clock.monotonicMs() + work.seconds * 1_000
  let slowestMs = 0
  let inputs = 0
  for (;;) {
    const isGiven = inputs < given.length
    const startMs = clock.monotonicMs()
    if (!isGiven && startMs >= deadlineMs) break
    const bytes = given[inputs] ?? mutate({ random, pool, words })
    current.publish(bytes)
    inputs += 1
    try {
      const verdict = await target.judge(bytes)
      if (isGiven || !verdicts.has(verdict)) keep(pool, bytes, random.below(POOL_MAX_INPUTS))
      verdicts.add(verdict)
    } catch (error) {
      const broken = error instanceof Error ? (error.stack ?? error.message) : String(error)
      return { inputs, verdicts: verdicts.size, slowestMs, broken }
    }
    slowestMs = Math.max(slowestMs, clock.monotonicMs() - startMs)
  }
  return { inputs, verdicts: verdicts.size, slowestMs }
}

function keep(pool: Uint8Array[], bytes: Uint8Array, otherwiseAt: number): void {
  if (pool.length < POOL_MAX_INPUTS) pool.push(bytes)
  else pool[otherwiseAt] = bytes
}

parentPort?.postMessage(await fuzz(workerData as FuzzWork))
