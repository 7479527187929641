import type { ColumnType } from './table-spec.ts'
import type { ParameterValue } from './warehouse.ts'

/** The type that a parameter of this value has, as the port says. */
export function parameterType(value: ParameterValue | undefined): ColumnType {
  if (typeof value === 'boolean') return 'BOOL'
  if (typeof value === 'number') return Number.isSafeInteger(value) ? 'INT64' : 'FLOAT64'
  return typeof value === 'bigint' ? 'INT64' : 'STRING'
}
