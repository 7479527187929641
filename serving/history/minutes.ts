/** Minutes of a cut from the table `qoe_minute`, in the shape that the speed side's rows have. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import {
  COUNTER_NAMES,
  INSTANTS_PER_MINUTE,
  type CounterName,
  type MinuteAggregates,
} from '../../shared/qoe/aggregates.ts'
import { DIMENSIONS, UNKNOWN_KEY, type Cut, type Dimension } from '../../shared/qoe/cuts.ts'
import { assert } from '../../shared/runtime/errors.ts'
import type { ParameterValue, Row, Select } from '../../shared/warehouse/warehouse.ts'
import type { MinuteRange, Selection } from '../qoe-query.ts'
import type { MergedMinute } from '../row-merge.ts'
import { bigintOf, integerOf, textOf } from './row-values.ts'

export const DIMENSION_COLUMNS: Readonly<Record<Dimension, string>> = {
  content: 'content_id',
  cdn: 'cdn',
  deviceType: 'device_type',
  player: 'player_name',
  playerVersion: 'player_version',
  country: 'country',
}

/** First minute of each cut in the history: a cut that was configured later begins later. */
export const CUT_BEGINNINGS: Select = {
  sql: `SELECT cut, MIN(minute_ms) AS first_minute_ms FROM qoe_minute GROUP BY cut`,
}

const INSTANTS = Array.from({ length: INSTANTS_PER_MINUTE }, (_, instant) => instant)
const COUNTER_COLUMNS = COUNTER_NAMES.map((name) => [name, snakeCase(name)] as const)
const VALUE_COLUMNS = [
  ...COUNTER_COLUMNS.map(([, column]) => column),
  'bits_played',
  'startup_histogram',
  ...INSTANTS.map((instant) => `concurrent_plays_${instant}`),
  ...INSTANTS.map((instant) => `concurrent_viewers_${instant}`),
  'viewer_registers',
]
/** Rows made into aggregates before other work gets its turn. */
const ROWS_PER_TURN = 500

/** Rows of one cut; those that the filter excludes are left out in the warehouse already. */
export function selectMinutes(
  selection: Pick<Selection, 'cut' | 'where'>,
  range: MinuteRange,
): Select {
  const parameters: Record<string, ParameterValue> = {
    cut: selection.cut.id,
    from_date: utcDate(range.fromMs),
    to_date: utcDate(range.toMs - 1),
    from_ms: range.fromMs,
    to_ms: range.toMs,
  }
  const conditions = [
    'cut = @cut',
    'minute_date BETWEEN CAST(@from_date AS DATE) AND CAST(@to_date AS DATE)',
    'minute_ms >= @from_ms AND minute_ms < @to_ms',
  ]
  for (const dimension of DIMENSIONS) {
    const accepted = selection.where.get(dimension)
    if (accepted === undefined) continue
    const column = DIMENSION_COLUMNS[dimension]
    const names = [...accepted].map((value, index) => {
      parameters[`${column}_${index}`] = value
      return `@${column}_${index}`
    })
    conditions.push(`${column} IN (${names.join(', ')})`)
  }
  const columns = ['minute_ms', ...Object.values(DIMENSION_COLUMNS), ...VALUE_COLUMNS]
  return {
    sql: `SELECT ${columns.join(', ')}\nFROM qoe_minute\nWHERE ${conditions.join('\n  AND ')}`,
    parameters,
  }
}

/** Minutes by start. Each (minute, key) is one row: the batch has added up all partitions. */
export async function minutesFromRows(
  rows: readonly Row[],
  cut: Cut,
): Promise<ReadonlyMap<number, MergedMinute>> {
  const minutes = new Map<number, Map<string, MinuteAggregates>>()
  for (const [index, row] of rows.entries()) {
    if (index % ROWS_PER_TURN === ROWS_PER_TURN - 1) await nextTurn()
    const startMs = integerOf(row, 'minute_ms')
    let minute = minutes.get(startMs)
    if (minute === undefined) minutes.set(startMs, (minute = new Map()))
    const key = JSON.stringify(
      cut.dimensions.map((dimension) => textOf(row, DIMENSION_COLUMNS[dimension]) ?? UNKNOWN_KEY),
    )
    assert(!minute.has(key), `qoe_minute holds ${cut.id} ${key} at ${startMs} once`)
    minute.set(key, aggregatesFromRow(row))
  }
  return minutes
}

/** The aggregates of one row of `qoe_minute`. */
export function aggregatesFromRow(row: Row): MinuteAggregates {
  const counters = {} as Record<CounterName, number>
  // Only the live side knows what came too late for it: the history holds no count of it.
  for (const [name, column] of COUNTER_COLUMNS)
    counters[name] = name === 'late' ? 0 : integerOf(row, column)
  const instants = (prefix: string) =>
    INSTANTS.map((instant) => integerOf(row, `${prefix}_${instant}`))
  return {
    ...counters,
    bitsPlayed: bigintOf(row, 'bits_played'),
    startupHistogram: parseSparse(textOf(row, 'startup_histogram'), 'startup_histogram'),
    concurrentPlays: instants('concurrent_plays'),
    concurrentViewers: instants('concurrent_viewers'),
    viewerRegisters: parseSparse(textOf(row, 'viewer_registers'), 'viewer_registers'),
  }
}

/** `17:3,134:1`, ascending; null or nothing when it is empty. */
export function parseSparse(
  text: string | undefined,
  column: string,
): readonly (readonly [number, number])[] {
  if (text === undefined || text === '') return []
  let previous = -1
  return text.split(',').map((pair) => {
    const match = /^(\d{1,7}):(\d{1,15})$/.exec(pair)
    assert(match !== null, `${column} holds pairs of integers, received ${pair.slice(0, 40)}`)
    const [index, count] = [Number(match[1]), Number(match[2])]
    assert(index > previous && count > 0, `${column} ascends and holds no zero`)
    previous = index
    return [index, count] as const
  })
}

export function utcDate(epochMs: number): string {
  return new Date(epochMs).toISOString().slice(0, 10)
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}
