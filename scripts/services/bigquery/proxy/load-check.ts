/**
 * What BigQuery refuses about the files of a load job and its stand-in takes: a REQUIRED field without
 * a value, a field that the schema does not know. The stand-in takes columns of Parquet by their
 * position and BigQuery by their name, so another order than the schema's is refused, too.
 */
import { join } from 'node:path'
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'

export interface LoadConfiguration {
  readonly sourceUris: readonly string[]
  readonly sourceFormat?: string
  readonly ignoreUnknownValues?: boolean
  readonly schema?: { readonly fields: readonly SchemaField[] }
}

interface SchemaField {
  readonly name: string
  readonly mode?: string
}

/** Why BigQuery would refuse the files, which are under `root`; `undefined` where it would not. */
export async function refusalOf(
  root: string,
  load: LoadConfiguration,
): Promise<string | undefined> {
  const { sourceUris, sourceFormat = 'CSV', schema } = load
  const reader = READERS[sourceFormat]
  if (schema === undefined || reader === undefined) return undefined
  const paths = sourceUris.map((uri) => literal(join(root, uri.replace(/^gs:\/\//, ''))))
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  try {
    const rows = reader(`[${paths.join(', ')}]`)
    const found = await namesOf(connection, rows)
    const unknown = found.find((name) => !schema.fields.some((field) => field.name === name))
    if (unknown !== undefined && load.ignoreUnknownValues !== true)
      return `No such field: ${unknown}.`
    if (sourceFormat === 'PARQUET' && isOutOfOrder(found, schema.fields))
      return 'The stand-in for BigQuery needs the schema in the order of the columns in the files.'
    for (const { name, mode } of schema.fields)
      if (mode === 'REQUIRED' && !(await isFilled(connection, rows, found, name)))
        return `Missing required field: ${name}.`
    return undefined
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

const READERS: Readonly<Record<string, (paths: string) => string>> = {
  NEWLINE_DELIMITED_JSON: (paths) =>
    `read_json(${paths}, format = 'newline_delimited', union_by_name = true, sample_size = -1)`,
  PARQUET: (paths) => `read_parquet(${paths})`,
}

function isOutOfOrder(found: readonly string[], fields: readonly SchemaField[]): boolean {
  return found.some((name, index) => fields[index]?.name !== name)
}

async function namesOf(connection: DuckDBConnection, rows: string): Promise<string[]> {
  const described = await connection.runAndReadAll(`DESCRIBE SELECT * FROM ${rows}`)
  return described.getRowObjects().map((row) => String(row['column_name']))
}

async function isFilled(
  connection: DuckDBConnection,
  rows: string,
  found: readonly string[],
  name: string,
): Promise<boolean> {
  if (!found.includes(name)) return false
  const column = `"${name.replaceAll('"', '""')}"`
  const counted = await connection.runAndReadAll(
    `SELECT 1 FROM ${rows} WHERE ${column} IS NULL LIMIT 1`,
  )
  return counted.currentRowCount === 0
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
