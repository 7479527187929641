/**
 * Virtual time and the order of everything that happens in it. A run is a sequence of steps: each
 * is taken when the one before, and every promise that it settled, has run to its end. Among steps
 * of one moment the seed decides. So a run is a function of its seed, whatever the machine does.
 */
import { createHash } from 'node:crypto'
import type { Random } from '../../shared/runtime/random.ts'

export const START_MS = 1_800_000_000_000

interface Step {
  readonly dueMs: number
  /** Among equal times the lower goes first. */
  readonly rank: number
  readonly name: string
  task: (() => void) | undefined
}

export class Scheduler {
  nowMs = START_MS
  steps = 0
  /** Called with each line of the trace, when someone wants to read it. */
  onTrace: ((line: string) => void) | undefined
  readonly #random: Random
  readonly #heap: Step[] = []
  readonly #hash = createHash('sha256')

  constructor(random: Random) {
    this.#random = random
  }

  /** Takes `task` as a step of its own `delayMs` from now; returns its cancellation. */
  after(delayMs: number, name: string, task: () => void): () => void {
    const dueMs = this.nowMs + Math.max(0, Math.ceil(delayMs))
    const step: Step = { dueMs, rank: this.#random.next(), name, task }
    push(this.#heap, step)
    return () => (step.task = undefined)
  }

  /** Writes what happened into the trace, whose hash tells whether two runs were the same. */
  trace(line: string): void {
    this.#hash.update(line)
    this.onTrace?.(`${this.nowMs - START_MS} ${line}`)
  }

  /** Hash over all that happened; the trace ends with it. */
  traceHash(): string {
    return this.#hash.digest('hex')
  }

  /** Takes steps until `isDone` or the time is past; returns whether it was done. */
  async run(untilMs: number, isDone: () => boolean = () => false): Promise<boolean> {
    while (!isDone()) {
      const next = this.#heap[0]
      if (next === undefined || next.dueMs > untilMs) {
        this.nowMs = untilMs
        return false
      }
      pop(this.#heap)
      if (next.task === undefined) continue
      this.nowMs = next.dueMs
      this.steps += 1
      this.trace(`${next.dueMs - START_MS} ${next.name}\n`)
      next.task()
      await settled()
    }
    return true
  }
}

/** Resolves once no promise has anything left to run. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function isBefore(a: Step, b: Step): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.rank < b.rank)
}

function push(heap: Step[], step: Step): void {
  let at = heap.length
  heap.push(step)
  while (at > 0) {
    const above = (at - 1) >> 1
    const parent = heap[above]
    if (parent === undefined || !isBefore(step, parent)) break
    heap[at] = parent
    at = above
  }
  heap[at] = step
}

function pop(heap: Step[]): void {
  const last = heap.pop()
  if (last === undefined || heap.length === 0) return
  let at = 0
  for (;;) {
    const [left, right] = [heap[2 * at + 1], heap[2 * at + 2]]
    if (left === undefined) break
    const isRight = right !== undefined && isBefore(right, left)
    const child = isRight ? right : left
    if (!isBefore(child, last)) break
    heap[at] = child
    at = 2 * at + (isRight ? 2 : 1)
  }
  heap[at] = last
}
