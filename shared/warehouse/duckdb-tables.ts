/** SQL texts over a table's files. */
import { literal, quoted } from './duckdb-statement.ts'
import { DUCKDB_TYPES } from './duckdb-values.ts'
import type { ColumnSpec } from './table-spec.ts'
import type { Manifest, TableFile } from './warehouse-manifest.ts'

/** A file of a table, and where DuckDB finds it. */
export interface PlacedFile {
  readonly file: TableFile
  readonly path: string
}

/**
 * A SELECT of all columns over `files`. Files written before a column was added lack it: files with
 * the same columns are read together, so that none is opened to learn what it holds. Folders are
 * named for the partition's date, by which a reader passes over whole files unopened.
 */
export function rowsSql(manifest: Manifest, files: readonly PlacedFile[]): string {
  const groups = Map.groupBy(files, ({ file }) => file.columns)
  if (groups.size === 0) return noRowsSql(manifest.columns)
  return [...groups]
    .map(([set, placed]) => {
      const held = new Set(manifest.columnSets[set])
      const columns = manifest.columns.map((column) =>
        held.has(column.name) ? quoted(column.name) : nullSql(column),
      )
      return `SELECT ${columns.join(', ')} FROM ${parquetSql(manifest, placed)}`
    })
    .join(' UNION ALL ')
}

/** A column of another name or type, with the value null. */
export function nullSql({ name, type }: ColumnSpec): string {
  return `CAST(NULL AS ${DUCKDB_TYPES[type]}) AS ${quoted(name)}`
}

export function castSql({ name, type }: ColumnSpec): string {
  return `CAST(${quoted(name)} AS ${DUCKDB_TYPES[type]}) AS ${quoted(name)}`
}

/** Joins rows `l` with rows `r` that have the same values, null being a value. */
export function sameSql(columns: readonly string[]): string {
  return columns
    .map((name) => `l.${quoted(name)} IS NOT DISTINCT FROM r.${quoted(name)}`)
    .join(' AND ')
}

export function pathsSql(paths: readonly string[]): string {
  return `[${paths.map(literal).join(', ')}]`
}

function noRowsSql(columns: readonly ColumnSpec[]): string {
  return `SELECT ${columns.map(nullSql).join(', ')} WHERE false`
}

function parquetSql({ partitionColumn }: Manifest, placed: readonly PlacedFile[]): string {
  const paths = pathsSql(placed.map(({ path }) => path))
  // A folder `a=b` on the way to the data would be taken for a column `a`.
  const byFolder = placed.every(({ file, path }) => !path.split(file.name)[0]?.includes('='))
  const options = byFolder
    ? `hive_partitioning = true, hive_types = {${literal(partitionColumn)}: DATE}`
    : 'hive_partitioning = false'
  return `read_parquet(${paths}, ${options})`
}
