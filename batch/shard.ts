/**
 * One of several processes that share the first steps of a run: the raw files and the staging files
 * of some ranges of its cut. The cut is decided once, by whichever shard comes first. Which shard
 * makes a range is only a division of labour: what it makes is a function of the range, so a shard
 * that is cut off is repeated, by itself or by others, and whoever merges makes what is missing.
 *
 *   cut ─► its ranges: raw files ─► staging files ─► part        … ─► the run, from its manifest on
 */
import { type AcceptedLoss, type Cut, type Problem, type Range } from './cut.ts'
import { flattenFiles, removeLateFiles, type StagingFile } from './flatten.ts'
import { FlattenDatabase } from './flatten-database.ts'
import { readManifest } from './manifest.ts'
import { partFileName } from './object-names.ts'
import { keepPart, missingParts } from './parts.ts'
import { writeRawFiles, type WrittenRange } from './raw-files.ts'
import type { BatchParts } from './run.ts'
import { cutOfShard } from './shard-cut.ts'
import type { StagingKind } from './staging.ts'

export interface Shard {
  /** From 0. */
  readonly index: number
  readonly count: number
}

export interface ShardOptions {
  readonly shard: Shard
  /** Partitions whose lost records are given up; the same for every shard. */
  readonly acceptLoss?: readonly AcceptedLoss[]
  /** Ends the shard before its next file, and while it makes Parquet at once. */
  readonly signal?: AbortSignal
  readonly onRange?: (done: number, ranges: number) => void
}

export type ShardOutcome =
  | {
      readonly outcome: 'completed'
      readonly run: number
      /** Ranges of the cut that are this shard's, and how many of them it has made now. */
      readonly ranges: number
      readonly made: number
    }
  /** Nothing new, or nothing that can be taken: then `problems` say why. */
  | { readonly outcome: 'idle'; readonly problems: readonly Problem[] }

/** A range that is the shard's, with its place in the cut. */
interface Assigned {
  readonly place: number
  readonly range: Range
}

/** Throws `LEASE_HELD` when a new cut has to be taken and another holds the lease for too long. */
export async function runShard(parts: BatchParts, options: ShardOptions): Promise<ShardOutcome> {
  const { shard, acceptLoss = [], signal, onRange } = options
  const cut = await cutOfShard({ ...parts, acceptLoss, signal })
  if (cut.ranges.length === 0) return { outcome: 'idle', problems: cut.leftOut }
  await parts.failpoints.hit('batch.afterCut')
  const assigned = assignedTo(cut, shard)
  const waiting = await notMade(parts, cut, assigned)
  const maker = new PartMaker(parts, cut, signal)
  const atOnce = parts.config.partitionsAtOnce
  let made = 0
  for (let done = 0; done < waiting.length; done += atOnce) {
    if (await isMerged(parts, cut)) break
    onRange?.(done, waiting.length)
    made += await maker.make(waiting.slice(done, done + atOnce))
  }
  return { outcome: 'completed', run: cut.run, ranges: assigned.length, made }
}

/** Ranges stand in the order of topics and partitions: dealt out, every shard has some of each topic. */
function assignedTo({ ranges }: Cut, { index, count }: Shard): Assigned[] {
  return ranges
    .map((range, place) => ({ place, range }))
    .filter(({ place }) => place % count === index)
}

/** Whether whoever merges has gone on already: what a shard would make now is not looked at. */
async function isMerged({ objects }: BatchParts, { run }: Cut): Promise<boolean> {
  return (await readManifest(objects, run)) !== undefined
}

async function notMade(
  { objects }: BatchParts,
  cut: Cut,
  assigned: readonly Assigned[],
): Promise<Assigned[]> {
  const missing = new Set(await missingParts(objects, cut))
  return assigned.filter(({ place }) => missing.has(place))
}

class PartMaker {
  readonly #parts: BatchParts
  readonly #cut: Cut
  readonly #signal: AbortSignal | undefined
  readonly #assertMayGoOn: () => void

  constructor(parts: BatchParts, cut: Cut, signal: AbortSignal | undefined) {
    this.#parts = parts
    this.#cut = cut
    this.#signal = signal
    this.#assertMayGoOn = () => signal?.throwIfAborted()
  }

  /** Resolves with how many it has made; what comes too late for the list of the run goes again. */
  async make(assigned: readonly Assigned[]): Promise<number> {
    try {
      return await this.#make(assigned)
    } finally {
      await removeLateFiles(this.#parts.objects, this.#cut.run)
    }
  }

  /** Raw files of several ranges at a time, staging files one after another. */
  async #make(assigned: readonly Assigned[]): Promise<number> {
    const { objects, failpoints } = this.#parts
    const context = { ...this.#parts, assertMayGoOn: this.#assertMayGoOn }
    const ranges = assigned.map(({ range }) => range)
    const written = await writeRawFiles(context, this.#cut, ranges)
    for (const [index, { place }] of assigned.entries()) {
      const range = written[index]
      if (range === undefined) continue
      const staging = await this.#flatten(place, range)
      await keepPart(objects, { run: this.#cut.run, range: place, written: range, staging })
      await failpoints.hit('batch.afterSomeParts')
    }
    return assigned.length
  }

  #flatten(place: number, written: WrittenRange): Promise<StagingFile[]> {
    const { config, temporaryFolder, clock } = this.#parts
    const { run, outOfOrdernessMs } = this.#cut
    const signal = this.#signal
    const context = {
      ...this.#parts,
      assertMayGoOn: this.#assertMayGoOn,
      openDatabase: () =>
        FlattenDatabase.open({ ...databaseOf(config), temporaryFolder, clock, signal }),
    }
    return flattenFiles(context, {
      raws: 'taken' in written ? written.files : [],
      outOfOrdernessMs,
      made: [],
      nameOf: (kind: StagingKind, file) => partFileName(run, kind, place, file),
    })
  }
}

function databaseOf({ flattenMemoryBytes, flattenThreads }: BatchParts['config']) {
  return { memoryBytes: flattenMemoryBytes, threads: flattenThreads }
}
