/**
 * Minutes of both sides, cut by cut: equal to the integer, different, or not comparable yet. `late`
 * is left out, because only the live view can know it.
 */
import { isDeepStrictEqual } from 'node:util'
import { MINUTE_MS, type MinuteAggregates } from '../../shared/qoe/aggregates.ts'
import { OTHER_KEY, type Cut } from '../../shared/qoe/cuts.ts'
import { EMPTY_AGGREGATES, mergeAggregates } from '../../shared/qoe/merge.ts'
import { mergeMinuteRows, REPAIR_PARTITION } from '../../shared/speed/row-merge.ts'
import type { MinuteRow } from '../../shared/speed/rows.ts'
import type { SpeedStore } from '../../shared/speed/speed-store.ts'
import {
  AGGREGATE_COLUMNS,
  aggregatesFromRow,
  DIMENSION_COLUMNS,
  keyFromRow,
  utcDate,
} from '../../shared/warehouse/minute-rows.ts'
import { integerOf } from '../../shared/warehouse/row-values.ts'
import type { Row, Select, WarehouseSession } from '../../shared/warehouse/warehouse.ts'
import { QUERY_TIMEOUT_MS, RECONCILE_ROWS_MAX, RECONCILE_WINDOW_MS } from '../limits.ts'
import type { AsOf } from './as-of.ts'

export interface TimeRange {
  readonly fromMs: number
  readonly toMs: number
}

/** A (cut, key, minute); the key is `ALL_KEYS` where keys beyond the cap were put together. */
export interface MinuteId {
  readonly cut: string
  readonly key: string
  readonly minuteMs: number
}

export interface MinuteDifference extends MinuteId {
  readonly live: MinuteAggregates
  readonly history: MinuteAggregates
}

export const ALL_KEYS = '*'

export interface MinuteTally {
  compared: number
  equal: number
  pending: number
  readonly differences: MinuteDifference[]
}

type Keys = Map<string, MinuteAggregates>
type Minutes = ReadonlyMap<number, Keys>

export interface MinutesParts {
  readonly session: WarehouseSession
  readonly speed: SpeedStore
  readonly view: string
  readonly asOf: AsOf
  /** Whether an event that still waits at the cut may add to it. */
  isWaiting(id: MinuteId): boolean
  /** A window is compared, up to here. */
  onWindow(toMs: number): void
}

/** Compares the range window by window, so that memory does not grow with it. */
export async function compareMinutes(
  parts: MinutesParts,
  cut: Cut,
  { fromMs, toMs }: TimeRange,
): Promise<MinuteTally> {
  const tally: MinuteTally = { compared: 0, equal: 0, pending: 0, differences: [] }
  for (let startMs = fromMs; startMs < toMs; startMs += RECONCILE_WINDOW_MS) {
    const window = { fromMs: startMs, toMs: Math.min(toMs, startMs + RECONCILE_WINDOW_MS) }
    await compareWindow(parts, cut, { window, tally })
    parts.onWindow(window.toMs)
  }
  return tally
}

async function compareWindow(
  parts: MinutesParts,
  cut: Cut,
  { window, tally }: { readonly window: TimeRange; readonly tally: MinuteTally },
): Promise<void> {
  const { asOf, speed, view, session } = parts
  const rows = await speed.readMinutes({ view, cut: cut.id, ...window, limit: RECONCILE_ROWS_MAX })
  const live = mergeMinuteRows(rows, cut.width, asOf.progress)
  const changed = changedAfterCut(rows, asOf)
  const written = asOf.isWritten(cut.width)
  const history = await readHistory(session, cut, selectMinutes(cut, window, 'qoe_minute'))
  for (const minuteMs of new Set([...live.keys(), ...history.keys()])) {
    const both = sameKeys(cut, live.get(minuteMs) ?? new Map(), history.get(minuteMs) ?? new Map())
    for (const [key, { left, right }] of both) {
      const id = { cut: cut.id, key, minuteMs }
      const isChanged =
        key === ALL_KEYS ? changed.minutes.has(minuteMs) : changed.keys.has(`${key}|${minuteMs}`)
      if (!written || isChanged || parts.isWaiting(id)) tally.pending += 1
      else {
        tally.compared += 1
        if (isDeepStrictEqual(left, right)) tally.equal += 1
        else tally.differences.push({ ...id, live: left, history: right })
      }
    }
  }
}

/** Rows that records beyond the cut have changed. A repair row stands for the run that wrote it. */
function changedAfterCut(rows: readonly MinuteRow[], asOf: AsOf) {
  const changed = rows.filter((row) => row.partition !== REPAIR_PARTITION && !asOf.isBelowCut(row))
  return {
    keys: new Set(changed.map(({ key, minuteStartMs }) => `${key}|${minuteStartMs}`)),
    minutes: new Set(changed.map(({ minuteStartMs }) => minuteStartMs)),
  }
}

interface Pair {
  readonly left: MinuteAggregates
  readonly right: MinuteAggregates
}

/** Key by key; as sums over all keys where the live side has put keys together. */
function sameKeys(cut: Cut, live: Keys, history: Keys): Map<string, Pair> {
  const other = JSON.stringify(cut.dimensions.map(() => OTHER_KEY))
  if (cut.dimensions.length > 0 && live.has(other)) {
    const pair = { left: comparable([...live.values()]), right: comparable([...history.values()]) }
    return new Map([[ALL_KEYS, pair]])
  }
  const of = (side: Keys, key: string) => comparable([side.get(key) ?? EMPTY_AGGREGATES])
  const keys = new Set([...live.keys(), ...history.keys()])
  return new Map([...keys].map((key) => [key, { left: of(live, key), right: of(history, key) }]))
}

function comparable(list: readonly MinuteAggregates[]): MinuteAggregates {
  return { ...mergeAggregates(list), late: 0 }
}

/** Those of the differing minutes that `table` says now, in the terms of `MinuteDifference`. */
export async function readDiffering<Minute extends MinuteDifference>(
  session: WarehouseSession,
  cut: Cut,
  { table, differences }: { table: string; differences: readonly Minute[] },
): Promise<Map<Minute, MinuteAggregates>> {
  const byWindow = Map.groupBy(differences, ({ minuteMs }) =>
    Math.floor(minuteMs / RECONCILE_WINDOW_MS),
  )
  const found = new Map<Minute, MinuteAggregates>()
  for (const [window, asked] of byWindow) {
    const fromMs = window * RECONCILE_WINDOW_MS
    const range = { fromMs, toMs: fromMs + RECONCILE_WINDOW_MS }
    const minutes = await readHistory(session, cut, selectMinutes(cut, range, table))
    for (const difference of asked) {
      const minute: Keys = minutes.get(difference.minuteMs) ?? new Map()
      const all = difference.key === ALL_KEYS
      const list = all ? [...minute.values()] : [minute.get(difference.key) ?? EMPTY_AGGREGATES]
      found.set(difference, comparable(list))
    }
  }
  return found
}

function selectMinutes(cut: Cut, { fromMs, toMs }: TimeRange, table: string): Select {
  const columns = ['minute_ms', ...Object.values(DIMENSION_COLUMNS), ...AGGREGATE_COLUMNS]
  return {
    sql: `SELECT ${columns.join(', ')}
FROM ${table}
WHERE cut = @cut
  AND minute_date BETWEEN CAST(@from_date AS DATE) AND CAST(@to_date AS DATE)
  AND minute_ms >= @from_ms AND minute_ms < @to_ms`,
    parameters: {
      cut: cut.id,
      from_date: utcDate(fromMs),
      to_date: utcDate(toMs - 1),
      from_ms: fromMs,
      to_ms: toMs,
    },
  }
}

async function readHistory(session: WarehouseSession, cut: Cut, select: Select): Promise<Minutes> {
  const limits = { maxRows: RECONCILE_ROWS_MAX, timeoutMs: QUERY_TIMEOUT_MS }
  const minutes = new Map<number, Keys>()
  for (const row of await session.query(select, limits)) {
    const minuteMs = integerOf(row, 'minute_ms')
    const minute = minutes.get(minuteMs) ?? new Map<string, MinuteAggregates>()
    minutes.set(minuteMs, minute)
    minute.set(keyFromRow(row, cut), aggregatesFromRow(row))
  }
  return minutes
}

/** Ids of the minutes and keys that a row of `session_minutes` adds to, one of each cut. */
export function minuteIdsOf(row: Row, cuts: readonly Cut[]): MinuteId[] {
  const minuteMs = integerOf(row, 'minute_ms')
  return cuts.map((cut) => ({ cut: cut.id, key: keyFromRow(row, cut), minuteMs }))
}

/** A minute is whole only when it lies in the range from its start. */
export function wholeMinutes({ fromMs, toMs }: TimeRange): TimeRange {
  return {
    fromMs: Math.ceil(fromMs / MINUTE_MS) * MINUTE_MS,
    toMs: Math.floor(toMs / MINUTE_MS) * MINUTE_MS,
  }
}
