/** The views that have rows, each with how far it is: what processors build, and what replays filled. */
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import type { PartitionRow } from '../../shared/speed/rows.ts'
import type { SpeedStore } from '../../shared/speed/speed-store.ts'
import { latestProgress, readActiveView } from '../../shared/views/active-view.ts'
import { listViews, type ViewDescription } from '../../shared/views/view-registry.ts'
import { VIEW_ROWS_MAX, VIEW_WINDOW_MS } from '../limits.ts'
import { replayedViews } from '../replay/replayed-views.ts'

export interface ViewsParts {
  readonly objects: ObjectStore
  readonly speed: SpeedStore
}

export type ViewKind = 'active' | 'beside' | 'replay'

/** What a view lacks of the active one; negative where it is ahead. */
export interface ViewLag {
  readonly records: number
  /** By the log's time; `null` while a partition has nothing. */
  readonly ms: number | null
}

export interface KnownView {
  readonly view: string
  readonly name: string
  readonly kind: ViewKind
  /** By partition, ascending. */
  readonly progress: readonly { readonly partition: number; readonly applied: number }[]
  readonly lag: ViewLag
  /** Minute rows of the last day, as they are stored. */
  readonly minuteRows: number
}

const DAY_MS = 24 * 60 * 60_000

/** Views of replays are of the cuts and limits that `defaults` has. */
export async function describedViews(
  objects: ObjectStore,
  defaults: Pick<ViewDescription, 'cuts' | 'limits' | 'foldVersion'>,
  { dropped = false } = {},
): Promise<ViewDescription[]> {
  const registered = await listViews(objects, { dropped })
  const ids = new Set(registered.map(({ view }) => view))
  const replayed = (await replayedViews(objects)).filter((view) => !ids.has(view))
  return [...registered, ...replayed.map((view) => ({ ...defaults, view, name: view }))]
}

export async function knownViews(
  parts: ViewsParts,
  described: readonly ViewDescription[],
): Promise<KnownView[]> {
  const { objects, speed } = parts
  const active = (await readActiveView(objects))?.active.view
  const rowsOfActive = active === undefined ? [] : await speed.readPartitions(active)
  const begun = new Set((await listViews(objects)).map((registered) => registered.view))
  const known: KnownView[] = []
  for (const { view, name, cuts } of described) {
    const rows = view === active ? rowsOfActive : await speed.readPartitions(view)
    const kind = view === active ? 'active' : begun.has(view) ? 'beside' : 'replay'
    known.push({
      view,
      name,
      kind,
      progress: [...latestProgress(rows).values()]
        .map(({ partition, appliedOffset }) => ({ partition, applied: appliedOffset }))
        .toSorted((a, b) => a.partition - b.partition),
      lag: lagOf(rows, rowsOfActive),
      minuteRows: await countMinutes(speed, { view, cuts }, rows),
    })
  }
  return known
}

export function lagOf(rows: readonly PartitionRow[], of: readonly PartitionRow[]): ViewLag {
  const own = latestProgress(rows)
  let records = 0
  let ms: number | null = 0
  for (const [partition, row] of latestProgress(of)) {
    const found = own.get(partition)
    records += row.appliedOffset - (found?.appliedOffset ?? 0)
    if (found === undefined) ms = null
    else if (ms !== null) ms = Math.max(ms, row.lastLoggedAtMs - found.lastLoggedAtMs)
  }
  return { records, ms }
}

async function countMinutes(
  speed: SpeedStore,
  { view, cuts }: Pick<ViewDescription, 'view' | 'cuts'>,
  progress: readonly PartitionRow[],
): Promise<number> {
  const toMs = Math.max(0, ...progress.map(({ lastLoggedAtMs }) => lastLoggedAtMs + 1))
  let count = 0
  for (let fromMs = Math.max(0, toMs - DAY_MS); fromMs < toMs; fromMs += VIEW_WINDOW_MS)
    for (const { id: cut } of cuts) {
      const window = { fromMs, toMs: Math.min(toMs, fromMs + VIEW_WINDOW_MS) }
      count += (await speed.readMinutes({ view, cut, ...window, limit: VIEW_ROWS_MAX })).length
    }
  return count
}
