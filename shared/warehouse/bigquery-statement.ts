/**
 * A statement of the common subset (`duckdb-macros.ts`) as BigQuery reads it. Names of tables stay
 * as they are: each table that the statement speaks of becomes a WITH of its name in front of it,
 * over the table's full name and the moment of the session. So no place of a name in the text has to
 * be understood, and a WITH of the statement's own may have a table's name. Strings and comments are
 * those of the subset; what begins others in BigQuery is refused, because it would hide what follows.
 */
import { parameterType } from './parameter-type.ts'
import type { ParameterValue, Select } from './warehouse.ts'
import { warehouseErrors } from './warehouse-errors.ts'

const TOKENS = /'(?:[^']|'')*'|--[^\n]*|\/\*[\s\S]*?\*\/|@[A-Za-z_]\w*|[A-Za-z_]\w*|['"`#]|\/\*/g
/** Of the tokens, those that the subset does not have: other quotes and comments, or without an end. */
const FOREIGN: ReadonlySet<string> = new Set([`'`, '"', '`', '#', '/*'])

/** A statement taken apart. */
export interface Statement {
  readonly text: string
  /** What it names, in lower case: tables, columns, functions and keywords alike. */
  readonly words: ReadonlySet<string>
}

export interface QueryParameter {
  readonly name: string
  readonly parameterType: { readonly type: string }
  readonly parameterValue: { readonly value: string }
}

/** Throws `WAREHOUSE_QUERY_INVALID` unless it is one SELECT, all of whose parameters have a value. */
export function statementOf({ sql, parameters = {} }: Select): Statement {
  const words = new Set<string>()
  const text = sql
    .replace(TOKENS, (token) => {
      if (FOREIGN.has(token))
        throw invalid('names without quotes, text in single quotes, comments by -- or /* */', token)
      if (token.startsWith('--') || token.startsWith('/*')) return ' '
      if (token.startsWith(`'`)) return literal(token.slice(1, -1).replaceAll(`''`, `'`))
      if (token.startsWith('@')) assertGiven(token.slice(1), parameters)
      else words.add(token.toLowerCase())
      return token
    })
    .trim()
  const alone = text.replace(/[\s;]+$/, '')
  if (statementsOf(alone) > 1) throw invalid('one statement', `${statementsOf(alone)}`)
  if (!/^\(*\s*(SELECT|WITH)\b/i.test(alone))
    throw invalid('a SELECT', alone.split(/\s/, 1)[0] || 'nothing')
  return { text: alone, words }
}

/** Puts a WITH for each table in front of the statement; `sources` are names and their SELECTs. */
export function withTables({ text }: Statement, sources: ReadonlyMap<string, string>): string {
  const own = [...sources].filter(([name]) => !definesIt(text, name))
  if (own.length === 0) return text
  const tables = own.map(([name, source]) => `\`${name}\` AS (${source})`).join(',\n')
  const theirs = /^WITH(\s+RECURSIVE)?\b/i.exec(text)
  if (theirs === null) return `WITH ${tables}\n${text}`
  return `${theirs[0]} ${tables},\n${text.slice(theirs[0].length).trimStart()}`
}

/** The parameters that the statement uses. */
export function queryParameters(
  { text }: Statement,
  parameters: Select['parameters'] = {},
): readonly QueryParameter[] {
  const used = new Set(tokensOf(text).filter((token) => token.startsWith('@')))
  return Object.entries(parameters)
    .filter(([name]) => used.has(`@${name}`))
    .map(([name, value]) => ({
      name,
      parameterType: { type: parameterType(value) },
      parameterValue: { value: `${value}` },
    }))
}

/** A text as BigQuery reads it. */
export function literal(text: string): string {
  const escaped = text
    .replaceAll('\\', '\\\\')
    .replaceAll(`'`, `\\'`)
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
  return `'${escaped}'`
}

/** A name, or a path of names, as BigQuery reads it. */
export function named(...path: readonly string[]): string {
  return `\`${path.join('.')}\``
}

/** BigQuery's strings escape by backslash, so they are other tokens than before. */
function tokensOf(text: string): readonly string[] {
  return text.match(/'(?:[^'\\]|\\.)*'|@[A-Za-z_]\w*|;/g) ?? []
}

function statementsOf(text: string): number {
  return 1 + tokensOf(text).filter((token) => token === ';').length
}

function definesIt(text: string, name: string): boolean {
  return new RegExp(`\\b${name}\\s+AS\\s*\\(`, 'i').test(text)
}

function assertGiven(name: string, parameters: Readonly<Record<string, ParameterValue>>): void {
  if (parameters[name] === undefined) throw invalid(`a value of the parameter @${name}`, 'none')
}

function invalid(expected: string, received: string): Error {
  return warehouseErrors.create('WAREHOUSE_QUERY_INVALID', { expected, received })
}
