/**
 * Compares minutes and sessions of two views as of the offsets that both have come to: a row that a record
 * beyond them changed is _pending_, and what one of the views began in the middle of is
 * _incomplete_. All others are equal to the integer, or a difference that is named; where settings of
 * the views differ, that is to be expected, and is shown all the same.
 */
import { isDeepStrictEqual } from 'node:util'
import { MINUTE_MS, type MinuteAggregates } from '../../shared/qoe/aggregates.ts'
import type { Cut } from '../../shared/qoe/cuts.ts'
import { paneLifeOf } from '../../shared/qoe/fold.ts'
import { EMPTY_AGGREGATES } from '../../shared/qoe/merge.ts'
import { readProgress, type PartitionProgress } from '../../shared/speed/generations.ts'
import { mergeMinuteRows, REPAIR_PARTITION } from '../../shared/speed/row-merge.ts'
import type { MinuteRow, PartitionRow } from '../../shared/speed/rows.ts'
import type { SpeedStore } from '../../shared/speed/speed-store.ts'
import { latestProgress } from '../../shared/views/active-view.ts'
import type { ViewDescription } from '../../shared/views/view-registry.ts'
import {
  VIEW_COMPARE_RANGE_MS,
  VIEW_DIFFERENCES_LISTED_MAX,
  VIEW_ROWS_MAX,
  VIEW_WINDOW_MS,
} from '../limits.ts'
import { compareSessions, type SessionsComparison } from './compare-sessions.ts'

export interface CompareViewsParts {
  readonly speed: SpeedStore
  /** Partitions of `playback.events`. */
  readonly partitions: number
  onProgress?(done: number, total: number): void
  onSessions?(sessions: number): void
}

export interface ViewPair {
  readonly left: ViewDescription
  readonly right: ViewDescription
}

export interface CompareRange {
  readonly fromMs?: number | undefined
  readonly toMs?: number | undefined
}

type Values = Readonly<Record<string, unknown>>

export interface ViewDifference {
  readonly cut: string
  readonly key: string
  readonly minuteMs: number
  /** Differing aggregates by name. */
  readonly left: Values
  readonly right: Values
}

export interface ViewComparison {
  readonly left: string
  readonly right: string
  readonly fromMs: number
  readonly toMs: number
  /** Every record below is in both views. */
  readonly offsets: readonly CommonOffset[]
  /** Settings that differ, so that values may. */
  readonly settings: readonly {
    readonly name: string
    readonly left: unknown
    readonly right: unknown
  }[]
  /** Cuts that only one of the views has; they are not compared. */
  readonly cutsOfOne: readonly string[]
  readonly compared: number
  readonly equal: number
  readonly different: number
  readonly pending: number
  readonly incomplete: number
  readonly sessions: SessionsComparison
  /** Of minutes and sessions; `pending`: no minute could be compared. */
  readonly verdict: 'equal' | 'different' | 'pending'
  /** The first `VIEW_DIFFERENCES_LISTED_MAX`. */
  readonly differences: readonly ViewDifference[]
}

export interface CommonOffset {
  readonly partition: number
  readonly narrow: number
  readonly wide: number
  readonly session: number
}

interface Side {
  readonly view: string
  readonly progress: PartitionProgress
  /** `loggedAt` of the view's first record; 0 when it has all. */
  readonly beganMs: number
  /** Minutes before may lack what came before that record. */
  readonly wholeFromMs: number
}

interface Tally {
  compared: number
  equal: number
  pending: number
  incomplete: number
  readonly differences: ViewDifference[]
}

export async function compareViews(
  parts: CompareViewsParts,
  { left, right }: ViewPair,
  asked: CompareRange = {},
): Promise<ViewComparison> {
  const { speed, partitions, onProgress, onSessions } = parts
  // Progress first: rows that are read later may only be further.
  const rows = {
    left: await speed.readPartitions(left.view),
    right: await speed.readPartitions(right.view),
  }
  const offsets = commonOffsets(rows.left, rows.right, partitions)
  const sides = [
    sideOf(left, rows.left, partitions),
    sideOf(right, rows.right, partitions),
  ] as const
  const { fromMs, toMs } = rangeOf(asked, [rows.left, rows.right])
  const ids = new Set(right.cuts.map(({ id }) => id))
  const cuts = left.cuts.filter(({ id }) => ids.has(id))
  const tally: Tally = { compared: 0, equal: 0, pending: 0, incomplete: 0, differences: [] }
  let done = 0
  const total = cuts.length * Math.ceil((toMs - fromMs) / VIEW_WINDOW_MS)
  for (const cut of cuts)
    for (let startMs = fromMs; startMs < toMs; startMs += VIEW_WINDOW_MS) {
      const window = { fromMs: startMs, toMs: Math.min(toMs, startMs + VIEW_WINDOW_MS) }
      await compareWindow(parts, { cut, window, sides, offsets }, tally)
      onProgress?.((done += 1), total)
    }
  const range = { fromMs, toMs }
  const ofSessions = { sides, offsets: offsets.map(({ session }) => session), range }
  const sessions = await compareSessions(speed, ofSessions, onSessions)
  const { compared, equal, pending, incomplete, differences } = tally
  const different = compared - equal
  return {
    left: left.view,
    right: right.view,
    fromMs,
    toMs,
    offsets,
    settings: differingSettings(left, right),
    cutsOfOne: cutsOfOne(left, right),
    compared,
    equal,
    different,
    pending,
    incomplete,
    sessions,
    verdict: verdictOf(compared, different + sessions.different),
    differences,
  }
}

function verdictOf(compared: number, different: number): ViewComparison['verdict'] {
  if (compared === 0) return 'pending'
  return different === 0 ? 'equal' : 'different'
}

interface WindowOf {
  readonly cut: Cut
  readonly window: { readonly fromMs: number; readonly toMs: number }
  readonly sides: readonly [Side, Side]
  readonly offsets: readonly CommonOffset[]
}

async function compareWindow(
  { speed }: CompareViewsParts,
  { cut, window, sides, offsets }: WindowOf,
  tally: Tally,
): Promise<void> {
  const read = ({ view }: Side) =>
    speed.readMinutes({ view, cut: cut.id, ...window, limit: VIEW_ROWS_MAX })
  const [leftRows, rightRows] = await Promise.all([read(sides[0]), read(sides[1])])
  const left = mergeMinuteRows(leftRows, cut.width, sides[0].progress)
  const right = mergeMinuteRows(rightRows, cut.width, sides[1].progress)
  const later = changedLater([...leftRows, ...rightRows], cut, offsets)
  const wholeFromMs = Math.max(sides[0].wholeFromMs, sides[1].wholeFromMs)
  for (const minuteMs of new Set([...left.keys(), ...right.keys()].toSorted((a, b) => a - b))) {
    const [ofLeft, ofRight] = [left.get(minuteMs), right.get(minuteMs)]
    for (const key of new Set([...(ofLeft?.keys() ?? []), ...(ofRight?.keys() ?? [])])) {
      if (minuteMs < wholeFromMs) tally.incomplete += 1
      else if (later.has(nameOf(minuteMs, key))) tally.pending += 1
      else {
        const values = [ofLeft?.get(key), ofRight?.get(key)] as const
        compareValues({ cut: cut.id, key, minuteMs }, values, tally)
      }
    }
  }
}

function compareValues(
  id: Pick<ViewDifference, 'cut' | 'key' | 'minuteMs'>,
  [left = EMPTY_AGGREGATES, right = EMPTY_AGGREGATES]: readonly [
    MinuteAggregates | undefined,
    MinuteAggregates | undefined,
  ],
  tally: Tally,
): void {
  tally.compared += 1
  if (isDeepStrictEqual(left, right)) {
    tally.equal += 1
    return
  }
  if (tally.differences.length === VIEW_DIFFERENCES_LISTED_MAX) return
  const names = (Object.keys(left) as (keyof MinuteAggregates)[]).filter(
    (name) => !isDeepStrictEqual(left[name], right[name]),
  )
  const only = (of: MinuteAggregates) => Object.fromEntries(names.map((name) => [name, of[name]]))
  tally.differences.push({ ...id, left: only(left), right: only(right) })
}

/** Minutes and keys with a row that a record beyond the common offsets changed. */
function changedLater(
  rows: readonly MinuteRow[],
  { width }: Cut,
  offsets: readonly CommonOffset[],
): ReadonlySet<string> {
  const later = rows.filter(
    ({ partition, lastOffset }) =>
      partition !== REPAIR_PARTITION && lastOffset >= (offsets[partition]?.[width] ?? 0),
  )
  return new Set(later.map(({ minuteStartMs, key }) => nameOf(minuteStartMs, key)))
}

function nameOf(minuteMs: number, key: string): string {
  return `${minuteMs}|${key}`
}

function commonOffsets(
  left: readonly PartitionRow[],
  right: readonly PartitionRow[],
  partitions: number,
): CommonOffset[] {
  const [ofLeft, ofRight] = [latestProgress(left), latestProgress(right)]
  return Array.from({ length: partitions }, (_, partition) => {
    const [a, b] = [ofLeft.get(partition), ofRight.get(partition)]
    return {
      partition,
      narrow: Math.min(a?.narrowOffset ?? 0, b?.narrowOffset ?? 0),
      wide: Math.min(a?.wideOffset ?? 0, b?.wideOffset ?? 0),
      session: Math.min(a?.sessionOffset ?? 0, b?.sessionOffset ?? 0),
    }
  })
}

function sideOf(
  { view, limits }: ViewDescription,
  rows: readonly PartitionRow[],
  partitions: number,
): Side {
  const paneLifeMs = paneLifeOf(limits)
  // An older generation still speaks for the minutes that a rebuild could not know whole.
  const byPartition = Map.groupBy(rows, ({ partition }) => partition)
  const starts = [...byPartition.values()].map((of) =>
    Math.min(...of.map(({ generationStartMs }) => generationStartMs)),
  )
  const beganMs = Math.max(0, ...starts)
  return {
    view,
    progress: readProgress(rows, partitions, paneLifeMs),
    beganMs,
    wholeFromMs: beganMs === 0 ? 0 : beganMs + paneLifeMs,
  }
}

function rangeOf(
  { fromMs, toMs }: CompareRange,
  progress: readonly (readonly PartitionRow[])[],
): { readonly fromMs: number; readonly toMs: number } {
  const reached = progress.map((rows) => Math.max(0, ...rows.map((row) => row.lastLoggedAtMs)))
  const endMs = toMs ?? Math.min(...reached) + MINUTE_MS
  const beginMs = Math.max(0, fromMs ?? endMs - VIEW_COMPARE_RANGE_MS)
  return {
    fromMs: Math.floor(beginMs / MINUTE_MS) * MINUTE_MS,
    toMs: Math.ceil(endMs / MINUTE_MS) * MINUTE_MS,
  }
}

function differingSettings(left: ViewDescription, right: ViewDescription) {
  const ofLeft: Values = { foldVersion: left.foldVersion, ...left.limits }
  const ofRight: Values = { foldVersion: right.foldVersion, ...right.limits }
  return Object.keys(ofLeft)
    .filter((name) => ofLeft[name] !== ofRight[name])
    .map((name) => ({ name, left: ofLeft[name], right: ofRight[name] }))
}

function cutsOfOne(left: ViewDescription, right: ViewDescription): string[] {
  const ids = [left, right].flatMap(({ cuts }) => cuts.map(({ id }) => id))
  return ids.filter((id) => ids.indexOf(id) === ids.lastIndexOf(id)).toSorted()
}
