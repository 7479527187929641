/**
 * Many rows that the batch itself makes, put into a scratch table: as lines of JSON of one width in one
 * text, which a statement cuts apart again. A parameter for each value, as `insert-values.ts` has it,
 * takes milliseconds a row.
 */
import type { Select, WarehouseSession } from '../shared/warehouse/warehouse.ts'
import { scratchValues, type ScratchValues, type ValueRow } from './insert-values.ts'
import { LINES_MAX_CHARS, LINES_PER_STATEMENT } from './limits.ts'

/** Makes a scratch table of the rows; of none, an empty one. */
export async function scratchLines(
  session: WarehouseSession,
  { scratch, columns, rows }: ScratchValues,
): Promise<void> {
  await scratchValues(session, { scratch, columns, rows: [] })
  for (const lines of chunksOf(rows)) await session.append(scratch, selectOf(columns, lines))
}

/** Lines of one statement: bounded in number, and in the length of all as long as the longest. */
function* chunksOf(rows: readonly ValueRow[]): Generator<string[]> {
  let lines: string[] = []
  let width = 0
  for (const row of rows) {
    const line = JSON.stringify(row)
    const wider = Math.max(width, line.length)
    const isFull =
      lines.length === LINES_PER_STATEMENT || wider * (lines.length + 1) > LINES_MAX_CHARS
    if (isFull && lines.length > 0) {
      yield lines
      lines = []
      width = 0
    }
    lines.push(line)
    width = Math.max(width, line.length)
  }
  if (lines.length > 0) yield lines
}

/** Three of them number the lines; counting up by a recursive WITH would take longer than all the rest. */
const DIGITS = Array.from({ length: 10 }, (_, digit) => `SELECT ${digit} AS digit`).join(
  ' UNION ALL ',
)

function selectOf(columns: ScratchValues['columns'], lines: readonly string[]): Select {
  // Cut by characters, of which one beyond the basic plane has two units in a string here.
  const lengths = lines.map((line) => Array.from(line).length)
  const width = Math.max(...lengths)
  const text = lines.map((line, index) => line + ' '.repeat(width - (lengths[index] ?? 0))).join('')
  const values = columns.map(
    ({ name, type }) => `CAST(JSON_VALUE(line, '$.${name}') AS ${type}) AS ${name}`,
  )
  return {
    sql: `WITH digits AS (
        ${DIGITS}
      ),
      places AS (
        SELECT place
        FROM (
          SELECT 100 * a.digit + 10 * b.digit + c.digit AS place
          FROM digits AS a CROSS JOIN digits AS b CROSS JOIN digits AS c
        ) AS numbered
        WHERE place < CAST(@lines AS INT64)
      ),
      cut_apart AS (
        SELECT SUBSTR(@text, place * CAST(@width AS INT64) + 1, CAST(@width AS INT64)) AS line
        FROM places
      )
      SELECT ${values.join(', ')}
      FROM cut_apart`,
    parameters: { text, width, lines: lines.length },
  }
}
