/** Rows of the table `qoe_minute` as aggregates and keys, in the shape that the speed side's rows have. */
import {
  COUNTER_NAMES,
  INSTANTS_PER_MINUTE,
  type CounterName,
  type MinuteAggregates,
} from '../qoe/aggregates.ts'
import { UNKNOWN_KEY, type Cut, type Dimension } from '../qoe/cuts.ts'
import { assert } from '../runtime/errors.ts'
import { bigintOf, integerOf, textOf } from './row-values.ts'
import type { Row } from './warehouse.ts'

export const DIMENSION_COLUMNS: Readonly<Record<Dimension, string>> = {
  content: 'content_id',
  cdn: 'cdn',
  deviceType: 'device_type',
  player: 'player_name',
  playerVersion: 'player_version',
  country: 'country',
}

const INSTANTS = Array.from({ length: INSTANTS_PER_MINUTE }, (_, instant) => instant)
const COUNTER_COLUMNS = COUNTER_NAMES.map((name) => [name, snakeCase(name)] as const)

/** Columns that hold aggregates. */
export const AGGREGATE_COLUMNS: readonly string[] = [
  ...COUNTER_COLUMNS.map(([, column]) => column),
  'bits_played',
  'startup_histogram',
  ...INSTANTS.map((instant) => `concurrent_plays_${instant}`),
  ...INSTANTS.map((instant) => `concurrent_viewers_${instant}`),
  'viewer_registers',
]

/** The row's key in its cut, canonical as the live side's. */
export function keyFromRow(row: Row, cut: Cut): string {
  return JSON.stringify(
    cut.dimensions.map((dimension) => textOf(row, DIMENSION_COLUMNS[dimension]) ?? UNKNOWN_KEY),
  )
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

/** The UTC day of a moment, `YYYY-MM-DD`. */
export function utcDate(epochMs: number): string {
  return new Date(epochMs).toISOString().slice(0, 10)
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}
