/**
 * What BigQuery does with the files of a load job and its stand-in does not: it refuses a REQUIRED
 * field without a value and a field that the schema does not know, and it takes the columns of
 * Parquet by their names. The stand-in takes them by position, so it is given files of its own,
 * written as the schema has the columns.
 */
import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync } from 'node:fs'
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
  readonly type: string
  readonly mode?: string
}

export interface LoadRefusal {
  readonly reason: string
  readonly message: string
  readonly location?: string
}

/** Why BigQuery would refuse the files, or the files that the stand-in is to load. */
export type LoadVerdict =
  { readonly refusal: LoadRefusal } | { readonly sourceUris: readonly string[] }

/** `root`: the folder that has the objects. */
export async function judgeLoad(root: string, load: LoadConfiguration): Promise<LoadVerdict> {
  const { sourceUris, sourceFormat = 'CSV', schema } = load
  const missing = sourceUris.find((uri) => !existsSync(pathOf(root, uri)))
  if (missing !== undefined) return refused('notFound', `Not found: URI ${missing}`)
  const reader = READERS[sourceFormat]
  if (schema === undefined || reader === undefined) return { sourceUris }
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  try {
    const files: FileOfLoad[] = []
    for (const uri of sourceUris) {
      const rows = reader(literal(pathOf(root, uri)))
      const found = await columnsOf(connection, rows)
      if (found === undefined)
        return refused('invalid', `Input file is not in ${sourceFormat} format.`, uri)
      const message = await misfitOf(connection, { load, fields: schema.fields, rows, found })
      if (message !== undefined) return refused('invalid', message, uri)
      files.push({ uri, rows, found })
    }
    if (sourceFormat !== 'PARQUET') return { sourceUris }
    return { sourceUris: await byPosition(connection, root, { files, fields: schema.fields }) }
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

/** Columns by name, with DuckDB's names of their types. */
type FoundColumns = ReadonlyMap<string, string>

interface FileOfLoad {
  readonly uri: string
  readonly rows: string
  readonly found: FoundColumns
}

const READERS: Readonly<Record<string, (path: string) => string>> = {
  NEWLINE_DELIMITED_JSON: (path) =>
    `read_json(${path}, format = 'newline_delimited', union_by_name = true, sample_size = -1)`,
  PARQUET: (path) => `read_parquet(${path}, hive_partitioning = false)`,
}

/** DuckDB's types, and those of Parquet under which BigQuery would speak of them. */
const TYPES: Readonly<
  Record<string, { readonly own: readonly string[]; readonly target: string }>
> = {
  STRING: { own: ['VARCHAR'], target: 'STRING' },
  INT64: { own: ['BIGINT', 'INTEGER', 'SMALLINT', 'TINYINT'], target: 'INT64' },
  FLOAT64: { own: ['DOUBLE', 'FLOAT'], target: 'DOUBLE' },
  BOOL: { own: ['BOOLEAN'], target: 'BOOL' },
  DATE: { own: ['DATE'], target: 'DATE' },
  TIMESTAMP: { own: ['TIMESTAMP', 'TIMESTAMP WITH TIME ZONE'], target: 'TIMESTAMP' },
}

interface Misfit {
  readonly load: LoadConfiguration
  readonly fields: readonly SchemaField[]
  readonly rows: string
  readonly found: FoundColumns
}

async function misfitOf(
  connection: DuckDBConnection,
  { load, fields, rows, found }: Misfit,
): Promise<string | undefined> {
  const unknown = [...found.keys()].find((name) => !fields.some((field) => field.name === name))
  if (unknown !== undefined && load.ignoreUnknownValues !== true)
    return `No such field: ${unknown}.`
  for (const { name, type, mode } of fields) {
    const given = found.get(name)
    const wanted = TYPES[type]
    const fits = given === undefined || wanted === undefined || wanted.own.includes(given)
    if (load.sourceFormat === 'PARQUET' && !fits)
      return `Parquet column '${name}' has type ${given} which does not match the target cpp_type ${wanted.target}.`
    if (mode === 'REQUIRED' && !(await isFilled(connection, rows, found, name)))
      return `Missing required field: ${name}.`
  }
  return undefined
}

/** Writes the rows anew where their columns are not as the schema has them. */
async function byPosition(
  connection: DuckDBConnection,
  root: string,
  { files, fields }: { files: readonly FileOfLoad[]; fields: readonly SchemaField[] },
): Promise<readonly string[]> {
  const names = fields.map(({ name }) => name).join()
  const uris: string[] = []
  for (const { uri, rows, found } of files) {
    if ([...found.keys()].join() === names) {
      uris.push(uri)
      continue
    }
    const values = fields.map(({ name, type }) =>
      found.has(name) ? quoted(name) : `CAST(NULL AS ${TYPES[type]?.own[0]}) AS ${quoted(name)}`,
    )
    const rewritten = `${bucketOf(uri)}/by-position/${randomUUID()}.parquet`
    mkdirSync(join(pathOf(root, rewritten), '..'), { recursive: true })
    await connection.run(
      `COPY (SELECT ${values.join(', ')} FROM ${rows}) TO ${literal(pathOf(root, rewritten))} (FORMAT parquet)`,
    )
    uris.push(rewritten)
  }
  return uris
}

/** `undefined` for what cannot be read as this format. */
async function columnsOf(
  connection: DuckDBConnection,
  rows: string,
): Promise<FoundColumns | undefined> {
  try {
    const described = await connection.runAndReadAll(`DESCRIBE SELECT * FROM ${rows}`)
    const columns = described.getRowObjects()
    return new Map(
      columns.map((row) => [String(row['column_name']), String(row['column_type'])] as const),
    )
  } catch {
    return undefined
  }
}

async function isFilled(
  connection: DuckDBConnection,
  rows: string,
  found: FoundColumns,
  name: string,
): Promise<boolean> {
  if (!found.has(name)) return false
  const counted = await connection.runAndReadAll(
    `SELECT 1 FROM ${rows} WHERE ${quoted(name)} IS NULL LIMIT 1`,
  )
  return counted.currentRowCount === 0
}

function refused(reason: string, message: string, location?: string): LoadVerdict {
  if (location === undefined) return { refusal: { reason, message } }
  const said = `Error while reading data, error message: ${message}`
  return { refusal: { reason, message: said, location } }
}

function pathOf(root: string, uri: string): string {
  return join(root, uri.replace(/^gs:\/\//, ''))
}

function bucketOf(uri: string): string {
  return uri.split('/').slice(0, 3).join('/')
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
