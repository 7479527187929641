/**
 * A statement of the common subset (`duckdb-macros.ts`) in the few places where macros do not
 * reach: parameters (`@name`), a unit as the last argument (`, HOUR)`), and `[OFFSET(i)]`.
 */
import { DUCKDB_TYPES } from './duckdb-values.ts'
import { parameterType } from './parameter-type.ts'
import type { Select } from './warehouse.ts'

/** Before every parameter's name, which may be a word that DuckDB reserves. */
export const PARAMETER_PREFIX = 'p_'

const TOKENS =
  /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\/|@[A-Za-z_]\w*|,\s*(?:MILLISECOND|SECOND|MINUTE|HOUR|DAY|MONTH|QUARTER|YEAR)\s*\)|\[\s*OFFSET\s*\(/g

/**
 * The text as DuckDB reads it, without comments and a closing semicolon. A parameter has the type
 * of its value wherever it stands, as in BigQuery.
 */
export function duckDbText({ sql, parameters = {} }: Select): string {
  return sql.replace(TOKENS, (token) => translated(token, parameters)).replace(/[\s;]+$/, '')
}

function translated(token: string, parameters: NonNullable<Select['parameters']>): string {
  if (token.startsWith('--') || token.startsWith('/*')) return ' '
  if (token.startsWith('@')) {
    const name = token.slice(1)
    return `(CAST($${PARAMETER_PREFIX}${name} AS ${DUCKDB_TYPES[parameterType(parameters[name])]}))`
  }
  if (token.startsWith(',')) return `, '${token.slice(1, -1).trim()}')`
  // An index counts from 0 there and from 1 here.
  return token.startsWith('[') ? '[1 + (' : token
}

/** A name as SQL reads it, whatever is in it. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** A text as SQL reads it. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

export function quotedList(names: readonly string[]): string {
  return names.map(quoted).join(', ')
}
