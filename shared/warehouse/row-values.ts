/** Reading values of warehouse rows: a value of another type is a defect of the table, never guessed. */
import { assert, describeValue } from '../runtime/errors.ts'
import type { Row, RowValue } from './warehouse.ts'

/** An INT64 that fits a double exactly. */
export function integerOf(row: Row, column: string): number {
  const value = optionalIntegerOf(row, column)
  assert(value !== undefined, `${column} holds a value`)
  return value
}

/** The same of a nullable column. */
export function optionalIntegerOf(row: Row, column: string): number | undefined {
  const value = valueOf(row, column)
  if (value === null) return undefined
  const integer = typeof value === 'bigint' ? Number(value) : value
  assert(
    Number.isSafeInteger(integer),
    `${column} holds an integer below 2^53, received ${describeValue(value)}`,
  )
  return integer as number
}

export function bigintOf(row: Row, column: string): bigint {
  const value = valueOf(row, column)
  assert(
    typeof value === 'bigint' || Number.isSafeInteger(value),
    `${column} holds an integer, received ${describeValue(value)}`,
  )
  return BigInt(value as bigint | number)
}

/** Text, or `undefined` for null. */
export function textOf(row: Row, column: string): string | undefined {
  const value = valueOf(row, column)
  assert(
    value === null || typeof value === 'string',
    `${column} holds text, received ${describeValue(value)}`,
  )
  return value ?? undefined
}

function valueOf(row: Row, column: string): RowValue {
  const value = row[column]
  assert(value !== undefined, `the row has a column ${column}`)
  return value
}
