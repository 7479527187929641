/** Values of DuckDB as rows of the port, and which of its types fit which column. */
import {
  type DuckDBDataChunk,
  DuckDBDateValue,
  DuckDBDecimalValue,
  type DuckDBResult,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  DuckDBTypeId,
  type DuckDBValue,
} from '@duckdb/node-api'
import { assert } from '../runtime/errors.ts'
import type { ColumnType } from './table-spec.ts'
import type { Row, RowValue } from './warehouse.ts'
import { warehouseErrors } from './warehouse-errors.ts'

/** DuckDB's name of a column's type. */
export const DUCKDB_TYPES: Readonly<Record<ColumnType, string>> = {
  STRING: 'VARCHAR',
  INT64: 'BIGINT',
  FLOAT64: 'DOUBLE',
  BOOL: 'BOOLEAN',
  DATE: 'DATE',
  TIMESTAMP: 'TIMESTAMP',
}

const INTEGERS: readonly DuckDBTypeId[] = [
  DuckDBTypeId.TINYINT,
  DuckDBTypeId.SMALLINT,
  DuckDBTypeId.INTEGER,
  DuckDBTypeId.BIGINT,
  DuckDBTypeId.HUGEINT,
  DuckDBTypeId.UTINYINT,
  DuckDBTypeId.USMALLINT,
  DuckDBTypeId.UINTEGER,
  DuckDBTypeId.UBIGINT,
]

/** Types that a column takes without a cast in the select, as BigQuery would. */
const FITTING: Readonly<Record<ColumnType, readonly DuckDBTypeId[]>> = {
  STRING: [DuckDBTypeId.VARCHAR],
  INT64: INTEGERS,
  FLOAT64: [...INTEGERS, DuckDBTypeId.DOUBLE, DuckDBTypeId.FLOAT, DuckDBTypeId.DECIMAL],
  BOOL: [DuckDBTypeId.BOOLEAN],
  DATE: [DuckDBTypeId.DATE],
  TIMESTAMP: [DuckDBTypeId.TIMESTAMP, DuckDBTypeId.TIMESTAMP_TZ],
}

const COLUMN_TYPES = Object.keys(FITTING) as readonly ColumnType[]

/** A column of a select, as DuckDB says it. */
export interface SelectColumn {
  readonly name: string
  readonly typeId: DuckDBTypeId
  readonly typeName: string
}

export function fits(typeId: DuckDBTypeId, column: ColumnType): boolean {
  return typeId === DuckDBTypeId.SQLNULL || FITTING[column].includes(typeId)
}

/** The type that a column of a result has in rows; refuses one that no row can hold. */
export function columnType({ name, typeId, typeName }: SelectColumn): ColumnType {
  if (typeId === DuckDBTypeId.SQLNULL) return 'STRING'
  const found = COLUMN_TYPES.find((type) => type !== 'FLOAT64' && FITTING[type].includes(typeId))
  if (found !== undefined) return found
  if (FITTING.FLOAT64.includes(typeId)) return 'FLOAT64'
  throw warehouseErrors.create('WAREHOUSE_QUERY_INVALID', {
    expected: `columns of ${COLUMN_TYPES.join(', ')}`,
    received: `${name} of ${typeName}`,
  })
}

/** Turns a result's chunks into rows; refuses a column whose type no row can hold. */
export function rowReader(result: DuckDBResult): (chunk: DuckDBDataChunk) => Row[] {
  const names = result.columnNames()
  const twice = names.find((name, index) => names.indexOf(name) < index)
  if (twice !== undefined)
    throw warehouseErrors.create('WAREHOUSE_QUERY_INVALID', {
      expected: 'each column once',
      received: `${twice} twice`,
    })
  const convertersByColumn = names.map((name, index) => {
    const typeId = result.columnTypeId(index)
    columnType({ name, typeId, typeName: result.columnType(index).toString() })
    return converters.get(typeId)
  })
  return (chunk) =>
    chunk.getRows().map((values) => {
      const entries = names.map((name, index) => {
        const value = values[index]
        const convert = convertersByColumn[index]
        assert(convert !== undefined && value !== undefined, 'a value for every column')
        return [name, value === null ? null : convert(value)] as const
      })
      return Object.fromEntries(entries)
    })
}

type Converter = (value: DuckDBValue) => RowValue

const asItIs: Converter = (value) => value as string | number | boolean
const converters: ReadonlyMap<DuckDBTypeId, Converter> = new Map([
  ...INTEGERS.map((typeId) => [typeId, wholeNumber] as const),
  [DuckDBTypeId.VARCHAR, asItIs],
  [DuckDBTypeId.BOOLEAN, asItIs],
  [DuckDBTypeId.DOUBLE, asItIs],
  [DuckDBTypeId.FLOAT, asItIs],
  [DuckDBTypeId.DECIMAL, fraction],
  [DuckDBTypeId.DATE, day],
  [DuckDBTypeId.TIMESTAMP, epochMs],
  [DuckDBTypeId.TIMESTAMP_TZ, epochMs],
  [DuckDBTypeId.SQLNULL, () => null],
])

/** An INT64 is a bigint whatever width DuckDB found enough. */
function wholeNumber(value: DuckDBValue): RowValue {
  return BigInt(value as bigint | number)
}

function fraction(value: DuckDBValue): RowValue {
  assert(value instanceof DuckDBDecimalValue, 'a DECIMAL')
  return value.toDouble()
}

function day(value: DuckDBValue): RowValue {
  assert(value instanceof DuckDBDateValue, 'a DATE')
  return value.toString()
}

function epochMs(value: DuckDBValue): RowValue {
  assert(
    value instanceof DuckDBTimestampValue || value instanceof DuckDBTimestampTZValue,
    'a TIMESTAMP',
  )
  return Math.floor(Number(value.micros) / 1_000)
}
