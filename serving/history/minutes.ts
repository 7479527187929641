/** Minutes of a cut from the table `qoe_minute`, in the shape that the speed side's rows have. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { MinuteAggregates } from '../../shared/qoe/aggregates.ts'
import { DIMENSIONS, type Cut } from '../../shared/qoe/cuts.ts'
import { assert } from '../../shared/runtime/errors.ts'
import type { MergedMinute } from '../../shared/speed/row-merge.ts'
import {
  AGGREGATE_COLUMNS,
  aggregatesFromRow,
  DIMENSION_COLUMNS,
  keyFromRow,
  utcDate,
} from '../../shared/warehouse/minute-rows.ts'
import { integerOf } from '../../shared/warehouse/row-values.ts'
import type { ParameterValue, Row, Select } from '../../shared/warehouse/warehouse.ts'
import type { MinuteRange, Selection } from '../qoe-query.ts'

/** First minute of each cut in the history: a cut that was configured later begins later. */
export const CUT_BEGINNINGS: Select = {
  sql: `SELECT cut, MIN(minute_ms) AS first_minute_ms FROM qoe_minute GROUP BY cut`,
}

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
  const columns = ['minute_ms', ...Object.values(DIMENSION_COLUMNS), ...AGGREGATE_COLUMNS]
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
    const key = keyFromRow(row, cut)
    assert(!minute.has(key), `qoe_minute holds ${cut.id} ${key} at ${startMs} once`)
    minute.set(key, aggregatesFromRow(row))
  }
  return minutes
}
