/**
 * Prints the client's types from the event schema, through JSON Schema. The client is published
 * alone and cannot import the schema; this keeps the two from drifting apart.
 */
import { z } from 'zod'
import { eventVariants, sessionContextSchema } from '../../shared/events/schema.ts'

/** The part of JSON Schema that the event schema uses. */
interface JsonSchema {
  readonly type?: string
  readonly description?: string
  readonly const?: string
  readonly enum?: readonly string[]
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: JsonSchema | boolean
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  string: 'string',
  integer: 'number',
  number: 'number',
  boolean: 'boolean',
}

const HEADER = `/**
 * Generated from shared/events/schema.ts by scripts/docs/client-types.ts; edit the schema
 * instead. Times are epoch milliseconds of the device's clock, durations milliseconds.
 */
`

/** The text of `client/protocol-types.ts`, formatted as prettier leaves it. */
export function clientTypes(): string {
  const events = eventVariants.map((variant) => {
    const schema = jsonSchema(variant)
    const type = schema.properties?.['type']?.const
    if (type === undefined) throw new Error('an event variant has no literal type')
    return { name: `${type.charAt(0).toUpperCase()}${type.slice(1)}Event`, schema }
  })
  return [
    HEADER,
    interfaceText('SessionContext', jsonSchema(sessionContextSchema)),
    ...events.map(({ name, schema }) => interfaceText(name, schema)),
    `export type PlaybackEvent =\n${events.map(({ name }) => `  | ${name}`).join('\n')}\n`,
    "export type PlaybackEventType = PlaybackEvent['type']\n",
  ].join('\n')
}

function jsonSchema(schema: z.ZodType): JsonSchema {
  return z.toJSONSchema(schema, { io: 'input' }) as JsonSchema
}

function interfaceText(name: string, schema: JsonSchema): string {
  return `export interface ${name} {\n${fieldLines(schema, '  ')}\n}\n`
}

function fieldLines(schema: JsonSchema, indent: string): string {
  return Object.entries(schema.properties ?? {})
    .flatMap(([name, field]) => {
      const optional = !(schema.required ?? []).includes(name)
      const doc = field.description === undefined ? [] : [`${indent}/** ${field.description} */`]
      const type = typeText(field, indent)
      const line = optional ? `${name}?: ${type} | undefined` : `${name}: ${type}`
      return [...doc, `${indent}readonly ${line}`]
    })
    .join('\n')
}

function typeText(schema: JsonSchema, indent: string): string {
  if (schema.const !== undefined) return `'${schema.const}'`
  if (schema.enum !== undefined) return schema.enum.map((value) => `'${value}'`).join(' | ')
  if (schema.type === 'object') return objectText(schema, indent)
  const name = schema.type === undefined ? undefined : TYPE_NAMES[schema.type]
  if (name === undefined)
    throw new Error(`a JSON Schema type without a TypeScript name: ${schema.type}`)
  return name
}

function objectText(schema: JsonSchema, indent: string): string {
  if (typeof schema.additionalProperties === 'object')
    return `Readonly<Record<string, ${typeText(schema.additionalProperties, indent)}>>`
  const inner = fieldLines(schema, `${indent}  `)
  return `{\n${inner}\n${indent}}`
}
