/**
 * The views that processors have begun, each one object that is created once:
 *
 *   views/registered/<id>.json   name, cuts and limits of a view
 *   views/dropped/<id>           the view was dropped: its id is never used again
 *
 * A view cannot be found by what is in the speed store, and a reader needs its cuts and limits.
 */
import { z } from 'zod'
import type { ObjectStore } from '../objects/object-store.ts'
import { parseCut, type Cut } from '../qoe/cuts.ts'
import type { FoldLimits } from '../qoe/fold.ts'
import { FOLD_VERSION, viewId } from '../qoe/view.ts'
import { BackhaulError } from '../runtime/errors.ts'
import { VIEWS_MAX } from './limits.ts'
import { viewErrors } from './view-errors.ts'

const REGISTERED = 'views/registered/'
const DROPPED = 'views/dropped/'

/** As it stands in the names of objects. */
export const VIEW_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

export interface ViewDescription {
  /** What its rows, checkpoints and consumer group are told apart by. */
  readonly view: string
  /** What operators call it; empty for the view of a deployment that has no other beside it. */
  readonly name: string
  readonly foldVersion: number
  readonly cuts: readonly Cut[]
  readonly limits: FoldLimits
}

const ms = z.int()
const count = z.int().min(0)
const limitsSchema: z.ZodType<FoldLimits> = z.object({
  sessionTimeoutMs: ms,
  allowedLatenessMs: ms,
  outOfOrdernessMs: ms,
  reorderMs: ms,
  sessionKeepMs: ms,
  clockStepMs: ms,
  maxAgeMs: ms,
  seqAheadMax: count,
  skippedRangesMax: count,
  stalledViewerMs: ms,
  keysPerCutMinuteMax: count,
  waitingEventsPerSessionMax: count,
  partsPerSessionMax: count,
})
const registeredSchema = z.object({
  format: z.literal(1),
  view: z.string(),
  name: z.string(),
  foldVersion: count,
  cuts: z.array(z.string()),
  limits: limitsSchema,
})

export function describeView(
  cuts: readonly Cut[],
  limits: FoldLimits,
  name: string,
): ViewDescription {
  return { view: viewId(cuts, limits, name), name, foldVersion: FOLD_VERSION, cuts, limits }
}

/** Safe to repeat. Throws `VIEW_DROPPED` and `VIEWS_TOO_MANY`. */
export async function registerView(objects: ObjectStore, described: ViewDescription) {
  const { view, name, foldVersion, limits } = described
  if ((await objects.stat(DROPPED + view)) !== undefined)
    throw viewErrors.create('VIEW_DROPPED', {
      received: `${view}${name === '' ? '' : ` (${name})`}`,
    })
  const known = await objects.list(REGISTERED, { limit: VIEWS_MAX + 1 })
  const objectName = registeredName(view)
  if (known.some((info) => info.name === objectName)) return
  if (known.length >= VIEWS_MAX)
    throw viewErrors.create('VIEWS_TOO_MANY', { expected: `at most ${VIEWS_MAX}`, received: view })
  const cuts = described.cuts.map(({ id }) => id)
  const record: z.infer<typeof registeredSchema> = {
    format: 1,
    view,
    name,
    foldVersion,
    cuts,
    limits,
  }
  try {
    await objects.create(objectName, new TextEncoder().encode(JSON.stringify(record)))
  } catch (error) {
    if (!isTaken(error)) throw error
  }
}

/** `undefined` for a view that no processor has begun, such as that of a replay. */
export async function readView(
  objects: ObjectStore,
  view: string,
): Promise<ViewDescription | undefined> {
  const stored = await objects.read(registeredName(view))
  if (stored === undefined) return undefined
  try {
    const record = registeredSchema.parse(JSON.parse(new TextDecoder().decode(stored.bytes)))
    return { ...record, cuts: record.cuts.map(parseCut) }
  } catch (cause) {
    throw viewErrors.create('VIEW_RECORD_INVALID', { expected: registeredName(view), cause })
  }
}

/** By id; those that were dropped only when they are asked for. */
export async function listViews(
  objects: ObjectStore,
  { dropped: withDropped = false } = {},
): Promise<ViewDescription[]> {
  const listed = await objects.list(REGISTERED, { limit: VIEWS_MAX })
  const dropped = withDropped ? [] : await objects.list(DROPPED, { limit: VIEWS_MAX })
  const gone = new Set(dropped.map(({ name }) => name.slice(DROPPED.length)))
  const ids = listed.map(({ name }) => name.slice(REGISTERED.length, -'.json'.length))
  const views = await Promise.all(
    ids.filter((id) => !gone.has(id)).map((id) => readView(objects, id)),
  )
  return views.filter((view) => view !== undefined)
}

/** By id, or by the name that only one has. Throws `VIEW_UNKNOWN`. */
export function findView(views: readonly ViewDescription[], nameOrId: string): ViewDescription {
  const byId = views.find(({ view }) => view === nameOrId)
  const named = views.filter(({ name }) => name !== '' && name === nameOrId)
  const found = byId ?? (named.length === 1 ? named[0] : undefined)
  if (found !== undefined) return found
  const ids = (named.length === 0 ? views : named).map(({ view }) => view)
  throw viewErrors.create('VIEW_UNKNOWN', {
    expected: ids.length === 0 ? 'a view that a processor has begun' : `one of ${ids.join(', ')}`,
    received: nameOrId,
  })
}

/** From now on no processor builds a view of this id. Safe to repeat. */
export async function markDropped(objects: ObjectStore, view: string): Promise<void> {
  try {
    await objects.create(DROPPED + view, new Uint8Array(0))
  } catch (error) {
    if (!isTaken(error)) throw error
  }
}

function registeredName(view: string): string {
  return `${REGISTERED}${view}.json`
}

function isTaken(error: unknown): boolean {
  return error instanceof BackhaulError && error.code === 'OBJECT_PRECONDITION_FAILED'
}
