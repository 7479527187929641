/**
 * Which view is active: the one that is served, and whose processors are _primary_: they alone
 * append ticks, alerts, exceptions and closed sessions. One object says it, whole and absolute,
 * replaced under its generation:
 *
 *   views/active.json   {"view":…,"previous":…,"handover":[{"partition":0,"offset":…}],"by":"switch",…}
 *
 * `handover` is how far the previous view had come in each partition when it ceased to be active:
 * what its processors put out because of records below is theirs to deliver, whenever they are
 * started again; what follows is the new view's. Switches may follow one another before processors
 * see the first, so the views before are kept with theirs as `earlier`, newest first.
 */
import { z } from 'zod'
import type { ObjectInfo, ObjectStore } from '../objects/object-store.ts'
import { BackhaulError } from '../runtime/errors.ts'
import type { PartitionRow } from '../speed/rows.ts'
import { VIEWS_EARLIER_MAX } from './limits.ts'
import { viewErrors } from './view-errors.ts'
import { readView, type ViewDescription } from './view-registry.ts'

const ACTIVE = 'views/active.json'

const handoverSchema = z.object({ partition: z.int().min(0), offset: z.int().min(0) })
const activeSchema = z.object({
  format: z.literal(1),
  view: z.string(),
  previous: z.string().optional(),
  handover: z.array(handoverSchema),
  earlier: z
    .array(z.object({ view: z.string(), handover: z.array(handoverSchema) }))
    .max(VIEWS_EARLIER_MAX)
    .default([]),
  /** `start`: the processor of a deployment began with other settings than before. */
  by: z.enum(['start', 'switch']),
  forced: z.boolean(),
  atMs: z.int(),
})

export type ActiveView = Omit<z.infer<typeof activeSchema>, 'format'>

interface FormerView {
  readonly view: string
  readonly handover: ActiveView['handover']
}

export interface StoredActiveView {
  readonly active: ActiveView
  readonly generation: number
}

/** `undefined` before any processor began. Throws `VIEW_RECORD_INVALID`. */
export async function readActiveView(objects: ObjectStore): Promise<StoredActiveView | undefined> {
  const stored = await objects.read(ACTIVE)
  if (stored === undefined) return undefined
  try {
    const { format: _, ...active } = activeSchema.parse(
      JSON.parse(new TextDecoder().decode(stored.bytes)),
    )
    return { active, generation: stored.info.generation }
  } catch (cause) {
    throw viewErrors.create('VIEW_RECORD_INVALID', { expected: ACTIVE, cause })
  }
}

/**
 * What a record of `view` says of the views that were active before: `stored` is the record that it
 * takes the place of, `handover` how far that one's view had come.
 */
export function formerViews(
  view: string,
  stored: ActiveView | undefined,
  handover: ActiveView['handover'],
): Pick<ActiveView, 'previous' | 'handover' | 'earlier'> {
  if (stored === undefined) return { handover: [], earlier: [] }
  const previous = stored.view
  const earlier = formerOf(stored)
    .filter((former) => former.view !== view && former.view !== previous)
    .slice(0, VIEWS_EARLIER_MAX)
  return { previous, handover, earlier }
}

/** Views that were active before, each at its last time, newest first. */
export function formerOf({ previous, handover, earlier }: ActiveView): readonly FormerView[] {
  return previous === undefined ? [] : [{ view: previous, handover }, ...earlier]
}

/** Throws `VIEW_SWITCH_OVERTAKEN` when the record is not the one of `ifGeneration` (0: none) any more. */
export async function activateView(
  objects: ObjectStore,
  active: ActiveView,
  ifGeneration: number,
): Promise<ObjectInfo> {
  const bytes = new TextEncoder().encode(JSON.stringify({ format: 1, ...active }))
  try {
    return await objects.replace(ACTIVE, bytes, ifGeneration)
  } catch (cause) {
    if (!(cause instanceof BackhaulError) || cause.code !== 'OBJECT_PRECONDITION_FAILED')
      throw cause
    throw viewErrors.create('VIEW_SWITCH_OVERTAKEN', { received: active.view, cause })
  }
}

/** The active view with its cuts and limits; `undefined` while no view is active. */
export async function readServedView(objects: ObjectStore): Promise<ViewDescription | undefined> {
  const stored = await readActiveView(objects)
  return stored && (await readView(objects, stored.active.view))
}

/** Of each partition the row that speaks for it: of the latest topic epoch, the highest generation. */
export function latestProgress(rows: readonly PartitionRow[]): Map<number, PartitionRow> {
  const latest = new Map<number, PartitionRow>()
  for (const row of rows) {
    const known = latest.get(row.partition)
    if (known === undefined || isLater(row, known)) latest.set(row.partition, row)
  }
  return latest
}

export function handoverOf(rows: readonly PartitionRow[]): ActiveView['handover'] {
  return [...latestProgress(rows).values()]
    .map(({ partition, appliedOffset }) => ({ partition, offset: appliedOffset }))
    .toSorted((a, b) => a.partition - b.partition)
}

function isLater(row: PartitionRow, than: PartitionRow): boolean {
  if (row.topicEpoch !== than.topicEpoch) return row.topicEpoch > than.topicEpoch
  return row.generation > than.generation
}
