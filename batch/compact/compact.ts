/**
 * Joins small raw files. A run writes a file for each hour of a partition at least, so many runs of
 * little leave many files of little: each costs a request whenever it is read, and a row in the ledger.
 * A joined file has the lines of its parts, byte for byte. Day after day, each safe to repeat:
 *
 *   plan ─► joined files ─► ledger, old and new rows in one write ─► old files gone ─► plan gone
 *
 * What nothing names goes before (`unnamed-files.ts`).
 * A try that was cut off is finished by the next compaction or erasure (`standing-plan.ts`). The lease of
 * the batch keeps runs, backfills, replays and erasures away; who reads without it finds what replaced
 * a file (`raw-archive.ts`).
 */
import { acquireLease } from '../../shared/objects/lease.ts'
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import type { Clock } from '../../shared/runtime/clock.ts'
import type { Failpoints } from '../../shared/runtime/failpoints.ts'
import type { Warehouse, WarehouseSession } from '../../shared/warehouse/warehouse.ts'
import type { BatchConfig } from '../config.ts'
import { readControl } from '../control.ts'
import { refuseUnfinishedErasure } from '../erase/unfinished-erasure.ts'
import { LEASE_NAME } from '../object-names.ts'
import { readWholeLedger } from '../raw-archive.ts'
import { removeUnnamedRawFiles, removeUnnamedStagingFiles } from '../unnamed-files.ts'
import type { Joined } from './ledger.ts'
import { type DayOfJoins, planJoins } from './plan.ts'
import { finishCompaction, keepPlan } from './standing-plan.ts'

export interface CompactParts {
  readonly objects: ObjectStore
  readonly warehouse: Warehouse
  readonly clock: Clock
  readonly config: Pick<BatchConfig, 'compactFileBytes' | 'partitionsAtOnce' | 'leaseMs'>
  readonly failpoints: Failpoints
  readonly holder: string
  readonly signal?: AbortSignal
  /** Days whose files are joined, of all that have some to join. */
  onProgress?(daysDone: number, days: number): void
  /** Files that nothing named, which runs and shards had left that were cut off or came too late. */
  onRemoved?(names: readonly string[]): void
}

export interface CompactOptions {
  /** First UTC day that is looked at; all days when absent. */
  readonly fromDay?: string
  /** Whether it says what it would do, and changes nothing. */
  readonly isDryRun?: boolean
}

export interface CompactedDay {
  readonly day: string
  /** How many files were joined in how many. */
  readonly files: number
  readonly joined: number
  readonly bytes: number
  /** `null` when nothing was written. */
  readonly joinedBytes: number | null
}

/** Throws `LEASE_HELD`, `BATCH_COMPACT_ERASURE_UNFINISHED`, and what reading a file throws. */
export async function compact(
  parts: CompactParts,
  options: CompactOptions = {},
): Promise<readonly CompactedDay[]> {
  const { objects, holder, config, clock } = parts
  const durationMs = config.leaseMs
  const lease = await acquireLease(objects, { name: LEASE_NAME, holder, durationMs, clock })
  try {
    const assertMayGoOn = () => {
      lease.assertHeld()
      parts.signal?.throwIfAborted()
    }
    return await new Compaction(parts, options, assertMayGoOn).run()
  } finally {
    await lease.release()
  }
}

class Compaction {
  readonly #parts: CompactParts
  readonly #options: CompactOptions
  readonly #assertMayGoOn: () => void

  constructor(parts: CompactParts, options: CompactOptions, assertMayGoOn: () => void) {
    this.#parts = parts
    this.#options = options
    this.#assertMayGoOn = assertMayGoOn
  }

  async run(): Promise<readonly CompactedDay[]> {
    const { objects, failpoints } = this.#parts
    await refuseUnfinishedErasure(objects)
    if (this.#options.isDryRun === true) {
      const days = await this.#inSession((session) => this.#plan(session))
      return days.map((day) => reportOf(day))
    }
    await this.#inSession((session) => this.#finish(session))
    await this.#removeUnnamed()
    const days = await this.#inSession((session) => this.#plan(session))
    const done: CompactedDay[] = []
    for (const day of days) {
      this.#parts.onProgress?.(done.length, days.length)
      this.#assertMayGoOn()
      await keepPlan(objects, day)
      await failpoints.hit('compact.afterPlan')
      // An erasure that has its plan by now names files by the names they have: whoever comes later drops this.
      await refuseUnfinishedErasure(objects)
      done.push(reportOf(day, await this.#inSession((session) => this.#finish(session))))
    }
    return done
  }

  async #removeUnnamed(): Promise<void> {
    const parts = { ...this.#parts, assertMayGoOn: this.#assertMayGoOn }
    const raw = await removeUnnamedRawFiles(parts, this.#options.fromDay)
    const removed = [...raw, ...(await removeUnnamedStagingFiles(parts))]
    if (removed.length > 0) this.#parts.onRemoved?.(removed)
  }

  async #plan(session: WarehouseSession): Promise<DayOfJoins[]> {
    const { compactFileBytes: fileBytes } = this.#parts.config
    const control = await readControl(session)
    const { fromDay } = this.#options
    return planJoins(await readWholeLedger(session), { control, fileBytes, fromDay })
  }

  #finish(session: WarehouseSession): Promise<readonly Joined[]> {
    const { objects, failpoints, config } = this.#parts
    const assertMayGoOn = this.#assertMayGoOn
    const atOnce = config.partitionsAtOnce
    return finishCompaction({ objects, failpoints, atOnce, assertMayGoOn }, session)
  }

  async #inSession<Result>(work: (session: WarehouseSession) => Promise<Result>): Promise<Result> {
    const session = await this.#parts.warehouse.open()
    try {
      return await work(session)
    } finally {
      await session.close()
    }
  }
}

function reportOf({ day, joins }: DayOfJoins, joined?: readonly Joined[]): CompactedDay {
  const parts = joins.flatMap((join) => join.parts)
  return {
    day,
    files: parts.length,
    joined: joins.length,
    bytes: sum(parts),
    joinedBytes: joined === undefined ? null : sum(joined),
  }
}

function sum(files: readonly { readonly bytes: number }[]): number {
  return files.reduce((total, { bytes }) => total + bytes, 0)
}
