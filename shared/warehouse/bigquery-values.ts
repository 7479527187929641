/** Values of BigQuery's REST API as rows of the port, and which of its types fit which column. */
import type { BigQueryField, Cell } from './bigquery-api.ts'
import type { ColumnType } from './table-spec.ts'
import type { ResultColumn, Row, RowValue } from './warehouse.ts'
import { warehouseErrors } from './warehouse-errors.ts'

/** The API's names of types, old ones and new ones. */
const TYPES: Readonly<Record<string, ColumnType>> = {
  STRING: 'STRING',
  INTEGER: 'INT64',
  INT64: 'INT64',
  FLOAT: 'FLOAT64',
  FLOAT64: 'FLOAT64',
  NUMERIC: 'FLOAT64',
  BIGNUMERIC: 'FLOAT64',
  BOOLEAN: 'BOOL',
  BOOL: 'BOOL',
  DATE: 'DATE',
  TIMESTAMP: 'TIMESTAMP',
  // Without a zone, which is UTC here.
  DATETIME: 'TIMESTAMP',
}

/** The type that a column has in rows; `undefined` for one that no row can hold. */
export function fieldType({ type, mode }: BigQueryField): ColumnType | undefined {
  return mode === 'REPEATED' ? undefined : TYPES[type.toUpperCase()]
}

/** Refuses what no row can hold, and a name that is there twice. */
export function resultColumns(fields: readonly BigQueryField[]): readonly ResultColumn[] {
  const names = fields.map(({ name }) => name)
  const twice = names.find((name, index) => names.indexOf(name) < index)
  if (twice !== undefined) throw invalid('each column once', `${twice} twice`)
  return fields.map((field) => {
    const type = fieldType(field)
    if (type === undefined)
      throw invalid('columns of the types of tables', `${field.name} of ${field.type}`)
    return { name: field.name, type }
  })
}

export function rowOf(columns: readonly ResultColumn[], values: readonly Cell[]): Row {
  return Object.fromEntries(
    columns.map(({ name, type }, index) => {
      const value = values[index]
      return [name, value === null || value === undefined ? null : valueOf(type, value)]
    }),
  )
}

function valueOf(type: ColumnType, text: string): RowValue {
  switch (type) {
    case 'STRING':
    case 'DATE':
      return text
    case 'INT64':
      return BigInt(text)
    case 'FLOAT64':
      return Number(text)
    case 'BOOL':
      return text === 'true'
    case 'TIMESTAMP':
      // Whole microseconds as they are asked for, or the text of a DATETIME.
      return /^-?\d+$/.test(text)
        ? Math.floor(Number(text) / 1_000)
        : Date.parse(text.endsWith('Z') ? text : `${text}Z`)
  }
}

function invalid(expected: string, received: string): Error {
  return warehouseErrors.create('WAREHOUSE_QUERY_INVALID', { expected, received })
}
