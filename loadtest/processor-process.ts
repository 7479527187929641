/** A processor on its own as a process, seen through its port for operators. */
import { MainProcess } from '../shared/http/testing/main-process.ts'
import type { FoldStatus } from '../shared/qoe/fold.ts'
import { systemClock as clock } from '../shared/runtime/clock.ts'

const DEADLINE_MS = 60_000
const POLL_MS = 100
const PROGRESS_RECORDS = 20

/** The part of `/debug/partitions` that tests look at. */
export interface Report {
  readonly partition: number
  readonly state: string
  readonly nextOffset?: number
  readonly lagRecords: number
  readonly generation?: number
  readonly pausedReason?: string
  readonly failureCode?: string
  readonly checkpointOffset?: number
  readonly durable?: Readonly<Record<'narrow' | 'wide' | 'session', { readonly offset: number }>>
  readonly lease: { readonly groupGeneration: number }
  readonly fold?: FoldStatus
  readonly queues: readonly { readonly dirtyRows: number; readonly writesInFlight: number }[]
}

export class ProcessorProcess extends MainProcess {
  async reports(): Promise<readonly Report[]> {
    const answer = await this.ask('/debug/partitions')
    if (answer === undefined) return []
    return (JSON.parse(answer.text) as { partitions: Report[] }).partitions
  }

  /** Value of a metric, summed over its labels. */
  async metric(name: string): Promise<number> {
    const { text = '' } = (await this.ask('/metrics')) ?? {}
    const lines = [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\d+)$`, 'gm'))]
    return lines.reduce((sum, [, value]) => sum + Number(value), 0)
  }

  async isReady(): Promise<void> {
    const isReady = async () => (await this.ask('/readyz'))?.status === 200
    await until(isReady, () => `it is ready:\n${this.stderr}`)
  }

  /** Resolves when it has read some more records of its partitions. */
  async progresses(): Promise<void> {
    const before = await this.#recordsRead()
    const hasMore = async () => (await this.#recordsRead()) > before + PROGRESS_RECORDS
    await until(hasMore, () => `it goes on after ${before} records:\n${this.stderr}`)
  }

  async #recordsRead(): Promise<number> {
    const reports = await this.reports()
    return reports.reduce((sum, { nextOffset = 0 }) => sum + nextOffset, 0)
  }

  /** SIGTERM, and its clean end. */
  async stop(): Promise<void> {
    this.signal('SIGTERM')
    const code = await this.ended
    if (code !== 0) throw new Error(`the processor ended with ${code}:\n${this.stderr}`)
  }
}

export async function until(condition: () => Promise<boolean>, what: () => string): Promise<void> {
  const deadlineMs = clock.monotonicMs() + DEADLINE_MS
  while (!(await condition())) {
    if (clock.monotonicMs() > deadlineMs) throw new Error(`waited in vain until ${what()}`)
    await clock.sleep(POLL_MS)
  }
}
