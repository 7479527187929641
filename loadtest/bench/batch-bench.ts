/**
 * The batch over the embedded stores, a run of all events at once: raw files to Parquet, loading,
 * and facts. Each part runs in a process of its own, which goes on with the run that the one before
 * left: so its peak memory is its own.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { perEvent, type BenchResult } from './results.ts'

export const BATCH_PARTS = ['raw', 'flatten', 'load', 'facts'] as const
export type BatchPart = (typeof BATCH_PARTS)[number]

export interface PartMeasured {
  readonly wallMs: number
  readonly cpuMs: number
  /** Largest resident memory of the part's process. */
  readonly peakMiB: number
}

const PART_DEADLINE_MS = 1_800_000
const NAMES: Readonly<Record<BatchPart, string>> = {
  raw: 'batch, log to raw files',
  flatten: 'batch, raw files to Parquet',
  load: 'batch, Parquet into tables',
  facts: 'batch, facts',
}

export function benchBatch(eventsPerFrame: number, events: number): BenchResult[] {
  const folder = mkdtempSync(join(tmpdir(), 'backhaul-batch-bench-'))
  try {
    run(folder, ['fill', `${eventsPerFrame}`, `${events}`])
    return BATCH_PARTS.map((part) => {
      const { wallMs, cpuMs, peakMiB } = JSON.parse(run(folder, [part])) as PartMeasured
      const name = `${NAMES[part]}, ${eventsPerFrame} events a frame`
      return perEvent(name, events, { wallMs, cpuMs }, { 'peak MiB': peakMiB })
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
