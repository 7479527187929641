/** Where the tables of one warehouse are in BigQuery, and how names there are made. */
import { createHash } from 'node:crypto'
import { stagingDatasetOf, type BigQueryConfig } from './bigquery-config.ts'
import { literal, named } from './bigquery-statement.ts'
import type { ColumnSpec, ColumnType } from './table-spec.ts'

/** A moment of the warehouse's own clock, in microseconds. */
export type MomentUs = bigint

export class BigQueryPlace {
  readonly project: string
  readonly dataset: string
  readonly staging: string

  constructor(config: BigQueryConfig) {
    this.project = config.project
    this.dataset = config.dataset
    this.staging = stagingDatasetOf(config)
  }

  table(name: string): string {
    return named(this.project, this.dataset, name)
  }

  staged(name: string): string {
    return named(this.project, this.staging, name)
  }

  /** The rows that the table had then. */
  tableAt(name: string, momentUs: MomentUs): string {
    return `${this.table(name)} FOR SYSTEM_TIME AS OF ${momentSql(momentUs)}`
  }

  /** The id of a job that does this work for this warehouse; legible, and no other work's. */
  jobId(verb: string, name: string, ...work: readonly string[]): string {
    const hash = hashOf([this.project, this.dataset, this.staging, verb, name, ...work])
    const legible = `${verb}-${name}-${work[0] ?? ''}`.replaceAll(/[^\w-]/g, '_').slice(0, 200)
    return `backhaul-${legible}-${hash}`
  }
}

/** Tells texts apart in names, which may hold few characters. */
export function hashOf(parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 24)
}

/**
 * The version of a table, over its rows in `warehouse_tables`. There are two where two processes
 * have entered a new table at once, with a version each: both are one until the next write.
 */
export const versionSql = `STRING_AGG(DISTINCT version, '+' ORDER BY version)`

/** A value of each type, for columns that are compared where they are null. */
const ZEROS: Readonly<Record<ColumnType, string>> = {
  STRING: `''`,
  INT64: '0',
  FLOAT64: 'CAST(0 AS FLOAT64)',
  BOOL: 'FALSE',
  DATE: `DATE '1970-01-01'`,
  TIMESTAMP: `TIMESTAMP '1970-01-01 00:00:00+00'`,
}

/**
 * Whether rows `l` and `r` have the same values, null being a value. Of equalities alone, because
 * BigQuery joins by nothing else.
 */
export function sameSql(columns: readonly ColumnSpec[]): string {
  return columns
    .flatMap(({ name, type, required }) => {
      const [l, r] = [`l.${named(name)}`, `r.${named(name)}`]
      if (required) return [`${l} = ${r}`]
      const zero = ZEROS[type]
      return [
        `COALESCE(${l}, ${zero}) = COALESCE(${r}, ${zero})`,
        `(${l} IS NULL) = (${r} IS NULL)`,
      ]
    })
    .join(' AND ')
}

export function castSql({ name, type }: ColumnSpec): string {
  return `CAST(${named(name)} AS ${type}) AS ${named(name)}`
}

export function nullSql({ name, type }: Pick<ColumnSpec, 'name' | 'type'>): string {
  return `CAST(NULL AS ${type}) AS ${named(name)}`
}

export function columnsSql(columns: readonly ColumnSpec[]): string {
  return columns.map(({ name }) => named(name)).join(', ')
}

export function inDatesSql(column: string, dates: readonly string[]): string {
  if (dates.length === 0) return 'FALSE'
  return `${column} IN (${dates.map((date) => `DATE ${literal(date)}`).join(', ')})`
}

function momentSql(momentUs: MomentUs): string {
  const iso = new Date(Number(momentUs / 1_000n)).toISOString()
  const micros = `${momentUs % 1_000n}`.padStart(3, '0')
  return `TIMESTAMP '${iso.slice(0, 10)} ${iso.slice(11, 23)}${micros}+00:00'`
}
