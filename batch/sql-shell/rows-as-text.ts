/** Rows of a query as text: aligned for people, CSV and JSON lines for programs. */
import type { ResultColumn, Row, RowValue } from '../../shared/warehouse/warehouse.ts'

export type RowFormat = 'aligned' | 'json' | 'csv'

export interface Result {
  readonly columns: readonly ResultColumn[]
  readonly rows: readonly Row[]
}

/** Without a line break at the end; empty when there is nothing to say. */
export function rowsAsText(result: Result, format: RowFormat): string {
  switch (format) {
    case 'aligned':
      return aligned(result)
    case 'json':
      return result.rows.map((row) => jsonLine(result.columns, row)).join('\n')
    case 'csv':
      return csv(result)
  }
}

const RIGHT: readonly string[] = ['INT64', 'FLOAT64']
/** What would move the cursor of a terminal, or turn text around. */
const CONTROLS = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu

function aligned({ columns, rows }: Result): string {
  const cells = rows.map((row) => columns.map((column) => shown(row[column.name], column)))
  const titles = columns.map(({ name }) => printable(name))
  const widths = titles.map((title, index) =>
    [title, ...cells.map((line) => line[index] ?? '')].reduce(
      (width, cell) => Math.max(width, charactersOf(cell)),
      0,
    ),
  )
  const line = (texts: readonly string[], right: readonly boolean[]): string =>
    texts
      .map((text, index) => padded(text, widths[index] ?? 0, right[index] === true))
      .join(' | ')
      .trimEnd()
  const left = columns.map(() => false)
  const right = columns.map(({ type }) => RIGHT.includes(type))
  return [
    line(titles, left),
    widths.map((width) => '-'.repeat(width)).join('-+-'),
    ...cells.map((texts) => line(texts, right)),
    `(${rows.length} ${rows.length === 1 ? 'row' : 'rows'})`,
  ].join('\n')
}

function shown(value: RowValue | undefined, column: ResultColumn): string {
  const text = plain(value, column)
  return text === null ? 'NULL' : printable(text)
}

/** Clients wrote what is in the tables: none of it may reach the terminal as a command. */
function printable(text: string): string {
  return text.replace(CONTROLS, (character) => {
    const code = character.codePointAt(0) ?? 0
    return `\\u${code.toString(16).padStart(4, '0')}`
  })
}

function padded(text: string, width: number, right: boolean): string {
  const blanks = ' '.repeat(Math.max(0, width - charactersOf(text)))
  return right ? `${blanks}${text}` : `${text}${blanks}`
}

const segmenter = new Intl.Segmenter()

function charactersOf(text: string): number {
  return /^[ -~]*$/.test(text) ? text.length : [...segmenter.segment(text)].length
}

function jsonLine(columns: readonly ResultColumn[], row: Row): string {
  const fields = columns.map((column) => {
    const value = row[column.name]
    const text = plain(value, column)
    // An INT64 keeps all its digits; readers that have doubles only must ask for text.
    const raw =
      text === null
        ? 'null'
        : typeof value === 'bigint' || typeof value === 'boolean' || isNumber(value, column)
          ? text
          : JSON.stringify(text)
    return `${JSON.stringify(column.name)}:${raw}`
  })
  return `{${fields.join(',')}}`
}

function isNumber(value: RowValue | undefined, { type }: ResultColumn): boolean {
  return typeof value === 'number' && Number.isFinite(value) && type !== 'TIMESTAMP'
}

/** RFC 4180; null is empty, an empty text is quoted. */
function csv({ columns, rows }: Result): string {
  const quoted = (text: string) =>
    text === '' || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
  const lines = rows.map((row) =>
    columns.map((column) => {
      const text = plain(row[column.name], column)
      return text === null ? '' : quoted(text)
    }),
  )
  return [columns.map(({ name }) => quoted(name)), ...lines].map((line) => line.join()).join('\n')
}

function plain(value: RowValue | undefined, { type }: ResultColumn): string | null {
  if (value === null || value === undefined) return null
  if (type === 'TIMESTAMP' && typeof value === 'number') return instant(value)
  return String(value)
}

/** Times beyond JavaScript's are shown as epoch ms. */
function instant(epochMs: number): string {
  const date = new Date(epochMs)
  return Number.isNaN(date.getTime()) ? `${epochMs} ms` : date.toISOString()
}
