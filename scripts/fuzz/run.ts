/** Fuzzes one target for some time in a thread, and keeps the input that breaks it. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { systemClock as clock } from '../../shared/runtime/clock.ts'
import { HANG_MS, HEAP_MAX_MIB, RESIDENT_MAX_BYTES } from './limits.ts'
import { createSharedMemory, sharedInput } from './shared-input.ts'
import type { FuzzFindings, FuzzWork } from './worker.ts'

export interface FuzzOptions {
  readonly target: string
  readonly seconds: number
  /** Equal seeds make equal inputs. */
  readonly seed: number
  /** Inputs that broke something once; those of the repository by default. */
  readonly folder?: string
  readonly hangMs?: number
  /** Where targets are found; those of the product by default. */
  readonly targets?: URL
}

export interface FuzzReport extends FuzzFindings {
  readonly target: string
  readonly regressions: number
  /** Where the input is kept that broke something. */
  readonly keptAt?: string
}

const WATCH_MS = 250
const REGRESSIONS = join(import.meta.dirname, 'regressions')

export async function runFuzz(options: FuzzOptions): Promise<FuzzReport> {
  const { target, seconds, seed, folder = REGRESSIONS, hangMs = HANG_MS } = options
  const { href: targets } = options.targets ?? new URL('targets.ts', import.meta.url)
  const regressions = readRegressions(join(folder, target))
  const memory = createSharedMemory()
  const work: FuzzWork = { target, targets, seconds, seed, regressions, memory }
  const findings = await judgeInThread(work, hangMs)
  const report = { ...findings, target, regressions: regressions.length }
  if (findings.broken === undefined) return report
  return { ...report, keptAt: keep(join(folder, target), sharedInput(memory).read()) }
}

function judgeInThread(work: FuzzWork, hangMs: number): Promise<FuzzFindings> {
  const thread = new Worker(new URL('worker.ts', import.meta.url), {
    workerData: work,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MAX_MIB },
  })
  const current = sharedInput(work.memory)
  return new Promise((resolve, reject) => {
    let count = 0
    let changedAtMs = clock.monotonicMs()
    const end = (findings: FuzzFindings) => {
      stopWatch()
      void thread.terminate().then(() => resolve(findings), reject)
    }
    const broken = (text: string) =>
      end({ inputs: current.count, verdicts: 0, slowestMs: 0, broken: text })
    const stopWatch = clock.every(WATCH_MS, () => {
      const nowMs = clock.monotonicMs()
      if (current.count !== count) changedAtMs = nowMs
      count = current.count
      // Nothing is judged while the thread still loads.
      if (count > 0 && nowMs - changedAtMs > hangMs) broken(`not judged within ${hangMs} ms`)
      if (process.memoryUsage.rss() > RESIDENT_MAX_BYTES)
        broken(`more than ${RESIDENT_MAX_BYTES} bytes of memory`)
    })
    thread.on('message', (findings: FuzzFindings) => end(findings))
    thread.on('error', (error) => broken(error.stack ?? error.message))
  })
}

function readRegressions(folder: string): Uint8Array[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .toSorted()
    .map((name) => readFileSync(join(folder, name)))
}

function keep(folder: string, bytes: Uint8Array): string {
  mkdirSync(folder, { recursive: true })
  const name = createHash('sha256').update(bytes).digest('hex').slice(0, 16)
  const path = join(folder, `${name}.bin`)
  writeFileSync(path, bytes)
  return path
}
