/** Between the JSON objects of the log's records and the columns that were made from them. */
import type { EventColumn } from './event-columns.ts'
import type { Row } from './warehouse.ts'

/** The object that the columns were made from; what is null was absent. */
export function objectFromColumns(
  row: Row,
  columns: readonly EventColumn[],
): Record<string, unknown> {
  const object: Record<string, unknown> = {}
  for (const { name, path, json } of columns) {
    const value = row[name]
    if (value === null || value === undefined) continue
    let at = object
    for (const field of path.slice(0, -1)) at = (at[field] ??= {}) as Record<string, unknown>
    const plain = typeof value === 'bigint' ? Number(value) : value
    at[path.at(-1) ?? name] = json ? (JSON.parse(String(plain)) as unknown) : plain
  }
  return object
}

/** The columns' values of an object that the schema has accepted; what is absent is left out. */
export function columnsFromObject(
  object: object,
  columns: readonly EventColumn[],
): Record<string, string | number | boolean> {
  const values: Record<string, string | number | boolean> = {}
  for (const { name, path, json } of columns) {
    let value: unknown = object
    for (const field of path) value = (value as Record<string, unknown> | undefined)?.[field]
    if (value === undefined) continue
    values[name] = json ? JSON.stringify(value) : (value as string | number | boolean)
  }
  return values
}
