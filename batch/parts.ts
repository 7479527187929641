/**
 * What shards have made of a run: of every range of its cut one object, a _part_, with the raw files
 * and the staging files. A part is of a range and not of a shard, so that the number of shards may
 * change between two tries; the first one that is written counts.
 */
import { z } from 'zod'
import type { ObjectStore } from '../shared/objects/object-store.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import { type Cut, problemSchema } from './cut.ts'
import { stagingFileSchema } from './flatten.ts'
import { inParallel } from './in-parallel.ts'
import { PARTS_POLL_MS, PARTS_READ_AT_ONCE } from './limits.ts'
import { rawFileSchema, takenRangeSchema } from './manifest.ts'
import { partName, partsFolder } from './object-names.ts'
import { createOrTake, readJsonObject } from './run-objects.ts'

const partSchema = z.object({
  format: z.literal(1),
  run: z.int().positive(),
  /** Place of the range in the cut, from 0. */
  range: z.int().min(0),
  written: z.union([
    z.object({ taken: takenRangeSchema, files: z.array(rawFileSchema).readonly() }),
    z.object({ problem: problemSchema, files: z.array(z.string()).readonly() }),
  ]),
  staging: z.array(stagingFileSchema),
})

export type Part = z.infer<typeof partSchema>

/** Keeps the part, or takes the one that is there. */
export function keepPart(objects: ObjectStore, part: Omit<Part, 'format'>): Promise<Part> {
  const value = { format: 1 as const, ...part }
  return createOrTake(objects, partName(part.run, part.range), { schema: partSchema, value })
}

/** Every part that there is of the cut, by the place of its range. */
export async function readParts(objects: ObjectStore, cut: Cut): Promise<Map<number, Part>> {
  const names = await listParts(objects, cut)
  const read = await inParallel([...names], PARTS_READ_AT_ONCE, (name) =>
    readJsonObject(objects, name, partSchema),
  )
  return new Map(read.flatMap((part) => (part === undefined ? [] : [[part.range, part] as const])))
}

/** Places of the ranges of the cut that no shard has made yet, ascending. */
export async function missingParts(objects: ObjectStore, cut: Cut): Promise<number[]> {
  const names = await listParts(objects, cut)
  return [...cut.ranges.keys()].filter((range) => !names.has(partName(cut.run, range)))
}

/** Whether shards have made anything of the run. */
export async function hasParts(objects: ObjectStore, run: number): Promise<boolean> {
  return (await objects.list(partsFolder(run), { limit: 1 })).length > 0
}

async function listParts(objects: ObjectStore, { run, ranges }: Cut): Promise<Set<string>> {
  const listed = await objects.list(partsFolder(run), { limit: ranges.length })
  return new Set(listed.map(({ name }) => name))
}

export interface WaitForParts {
  readonly objects: ObjectStore
  readonly clock: Clock
  readonly waitMs: number
  readonly signal: AbortSignal | undefined
  /** Throws when the run must not go on. */
  assertMayGoOn(): void
}

/**
 * Resolves when the shards have made every range, or when the time is over, with how many ranges they
 * have not made.
 */
export async function waitForParts(context: WaitForParts, cut: Cut): Promise<number> {
  const { objects, clock, waitMs, signal, assertMayGoOn } = context
  const endMs = clock.monotonicMs() + waitMs
  for (;;) {
    assertMayGoOn()
    const missing = await missingParts(objects, cut)
    const isOver = clock.monotonicMs() + PARTS_POLL_MS > endMs
    if (missing.length === 0 || isOver) return missing.length
    await clock.sleep(PARTS_POLL_MS, signal)
  }
}
