/**
 * The columns of an event and of its session's context, derived from the event schema: a field
 * added there becomes a column here. Names are the fields' in snake_case, an object's fields behind
 * the object's name (`device.osVersion` → `device_os_version`); a map is kept as JSON text. Fields
 * of all event types share one row: each column is null where a type does not have it.
 *
 * `path` says where a column stands in the JSON of a record's value (`shared/log/record.ts`): under
 * `session` for the context, under one element of `events` for an event.
 */
import { z } from 'zod'
import { enrichedContextSchema, eventVariants } from '../events/schema.ts'
import { assert } from '../runtime/errors.ts'
import type { ColumnSpec, ColumnType } from './table-spec.ts'

export interface EventColumn extends ColumnSpec {
  readonly path: readonly string[]
  /** Whether the value is an object, kept as its JSON text. */
  readonly json: boolean
}

/** The part of JSON Schema that the event schema uses. */
interface JsonSchema {
  readonly type?: string
  readonly const?: unknown
  readonly description?: string
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
}

const TYPES: Readonly<Record<string, ColumnType>> = {
  integer: 'INT64',
  number: 'FLOAT64',
  string: 'STRING',
  boolean: 'BOOL',
  object: 'STRING',
}

/** Names that would be taken for a word of SQL, or would not say what they are. */
const NAMES: Readonly<Record<string, string>> = { at: 'at_ms' }
const TYPE_DESCRIPTION = 'Type of the event.'

/** Columns of the session's context: `session_id`, `content_id`, …, `device_type`, …, `labels`. */
export const contextColumns: readonly EventColumn[] = columnsOf(enrichedContextSchema, [])

/** Columns of the event itself: `seq`, `at_ms`, `type`, then the fields of all event types. */
export const eventColumns: readonly EventColumn[] = unionOfVariants()

/** The columns of an object schema's fields, in their order. */
export function columnsOf(schema: z.ZodType, path: readonly string[]): EventColumn[] {
  return fieldsOf(z.toJSONSchema(schema, { io: 'input' }) as JsonSchema, path, true)
}

function fieldsOf(
  schema: JsonSchema,
  path: readonly string[],
  outerRequired: boolean,
): EventColumn[] {
  return Object.entries(schema.properties ?? {}).flatMap(([field, value]) => {
    const here = [...path, field]
    const required = outerRequired && schema.required?.includes(field) === true
    if (value.properties !== undefined) return fieldsOf(value, here, required)
    const type = TYPES[value.type ?? '']
    assert(type !== undefined, `a column for the JSON type of ${here.join('.')}`)
    const description = value.const === undefined ? value.description : TYPE_DESCRIPTION
    assert(description !== undefined, `a description of ${here.join('.')}`)
    const json = value.type === 'object'
    return [{ name: columnName(here), type, required, description, path: here, json }]
  })
}

function columnName(path: readonly string[]): string {
  const snakeCase = path.join('_').replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
  return NAMES[snakeCase] ?? snakeCase
}

/** What every type requires is required; a name that the context has too is `event_…` here. */
function unionOfVariants(): EventColumn[] {
  const taken = new Set(contextColumns.map(({ name }) => name))
  const columns = new Map<string, EventColumn>()
  const everywhere = new Map<string, number>()
  for (const column of eventVariants.flatMap((variant) => columnsOf(variant, []))) {
    const name = taken.has(column.name) ? `event_${column.name}` : column.name
    const known = columns.get(name)
    assert(known === undefined || known.type === column.type, `one type for the column ${name}`)
    if (known === undefined) columns.set(name, { ...column, name })
    everywhere.set(name, (everywhere.get(name) ?? 0) + (column.required ? 1 : 0))
  }
  return [...columns.values()].map((column) => ({
    ...column,
    required: everywhere.get(column.name) === eventVariants.length,
  }))
}
