/**
 * The batch over the embedded stores: all events in one run, step by step, and one run within the
 * bounds that a run has by default. The log is read into raw files by one process and the run is
 * gone on with by another, because pages of the log that are mapped count as memory of the process
 * that has read them.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { perEvent, type BenchResult } from './results.ts'

/** What a process of the benchmark does: see `batch-part.ts`. */
export const BATCH_PARTS = ['raw', 'rest', 'bounded'] as const
export type BatchPart = (typeof BATCH_PARTS)[number]

export const BATCH_STEPS = ['raw', 'flatten', 'load', 'facts', 'quality', 'close'] as const
export type BatchStep = (typeof BATCH_STEPS)[number]

export interface StepMeasured {
  readonly step: BatchStep
  /** Epoch ms. */
  readonly startedAtMs: number
  readonly wallMs: number
  readonly cpuMs: number
  /** Largest resident memory of the process during the step. */
  readonly peakMiB: number
  /** How much of what is resident at its end are pages of mapped files, which the kernel may take. */
  readonly mappedMiB: number
}

export interface PartMeasured {
  /** Of the run, 0 when it was cut off. */
  readonly events: number
  readonly steps: readonly StepMeasured[]
}

const PART_DEADLINE_MS = 1_800_000
const NAMES: Readonly<Record<BatchStep, string>> = {
  raw: 'log to raw files',
  flatten: 'raw files to Parquet',
  load: 'Parquet into tables',
  facts: 'facts',
  quality: 'quality',
  close: 'ledger, report, control rows',
}

export function benchBatch(eventsPerFrame: number, events: number): BenchResult[] {
  const folder = mkdtempSync(join(tmpdir(), 'backhaul-batch-bench-'))
  try {
    run(folder, ['fill', `${eventsPerFrame}`, `${events}`])
    const ofFrames = `${eventsPerFrame} events a frame`
    return BATCH_PARTS.flatMap((part) => {
      const measured = JSON.parse(run(folder, [part])) as PartMeasured
      const kind = part === 'bounded' ? 'batch, a run of default size' : 'batch'
      return measured.steps.map(({ step, wallMs, cpuMs, peakMiB, mappedMiB }) =>
        perEvent(
          `${kind}, ${NAMES[step]}, ${ofFrames}`,
          measured.events || events,
          { wallMs, cpuMs },
          { 'peak MiB': peakMiB, 'mapped MiB': mappedMiB },
        ),
      )
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function run(folder: string, args: readonly string[]): string {
  const script = join(import.meta.dirname, 'batch-part.ts')
  return execFileSync(process.execPath, [script, folder, ...args], {
    encoding: 'utf8',
    timeout: PART_DEADLINE_MS,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}
