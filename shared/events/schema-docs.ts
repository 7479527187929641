/** What the documentation says of the event schema, derived from it. */
import { z } from 'zod'
import {
  epochMsSchema,
  enrichedContextSchema,
  eventSchema,
  eventVariants,
  sessionContextSchema,
} from './schema.ts'

/** The part of JSON Schema that the event schema uses. */
interface JsonSchema {
  readonly type?: string
  readonly description?: string
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly pattern?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly maxProperties?: number
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: JsonSchema | boolean
  readonly propertyNames?: JsonSchema
}

const frameSchema = z
  .object({
    v: z.literal(1).describe('Protocol version.'),
    frame: z
      .int()
      .min(0)
      .optional()
      .describe('Counts from 0 on a WebSocket connection without gaps; absent over HTTP.'),
    sentAt: epochMsSchema.describe('Device clock at this transmission.'),
    session: sessionContextSchema,
    events: z.array(eventSchema).min(1),
  })
  .describe('One frame of playback.v1: a session’s context and some of its events.')

/**
 * JSON Schema 2020-12 of a frame. Its definitions hold the context as sent, the context as it
 * stands in the log, and each event by the name of its type.
 */
export function eventJsonSchema(): Readonly<Record<string, unknown>> {
  const { $schema, ...frame } = jsonSchemaOf(frameSchema)
  const definitions: Record<string, unknown> = {
    sessionContext: withoutDialect(sessionContextSchema),
    loggedContext: withoutDialect(enrichedContextSchema),
  }
  for (const variant of eventVariants) definitions[typeOf(variant)] = withoutDialect(variant)
  const refer = (name: string) => ({ $ref: `#/$defs/${name}` })
  return {
    $schema,
    title: 'playback.v1',
    ...frame,
    properties: {
      ...frame.properties,
      session: refer('sessionContext'),
      events: {
        type: 'array',
        minItems: 1,
        items: { oneOf: eventVariants.map((variant) => refer(typeOf(variant))) },
      },
    },
    $defs: definitions,
  }
}

/** Markdown: the fields of the context, then each event type with its own fields. */
export function eventTables(): string {
  const context = fieldTable(withoutDialect(sessionContextSchema), [])
  const common = fieldTable(withoutDialect(eventVariants[0]), ['type', 'playheadMs'])
  const events = eventVariants.flatMap((variant) => {
    const schema = withoutDialect(variant)
    const own = fieldTable(schema, ['seq', 'at', 'type'])
    return ['', `### \`${typeOf(variant)}\``, '', schema.description ?? '', ...own]
  })
  return [
    '# Events',
    '',
    'Generated from the event schema. Times are integer epoch milliseconds, durations integer',
    'milliseconds. Unknown fields are kept and ignored, unknown event types rejected.',
    '',
    '## Session context',
    ...context,
    '',
    '## Events',
    '',
    'Every event has its `type` and:',
    ...common,
    ...events,
    '',
  ].join('\n')
}

function jsonSchemaOf(schema: z.ZodType) {
  return z.toJSONSchema(schema, { io: 'input', target: 'draft-2020-12' })
}

function withoutDialect(schema: z.ZodType): JsonSchema {
  const { $schema: _dialect, ...rest } = jsonSchemaOf(schema)
  return rest as JsonSchema
}

function typeOf(variant: (typeof eventVariants)[number]): string {
  return variant.shape.type.value
}

function fieldTable(schema: JsonSchema, leftOut: readonly string[]): string[] {
  const rows = fieldRows(schema, '', leftOut)
  if (rows.length === 0) return []
  return ['', '| field | type | bounds | meaning |', '|---|---|---|---|', ...rows]
}

/** Fields of an object within are named `outer.inner`. */
function fieldRows(schema: JsonSchema, prefix: string, leftOut: readonly string[] = []): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    if (leftOut.includes(name)) return []
    const path = `${prefix}${name}`
    if (field.properties !== undefined) return fieldRows(field, `${path}.`)
    const mark = schema.required?.includes(name) === true ? '' : '?'
    const cells = [
      `\`${path}\`${mark}`,
      typeText(field),
      boundsText(field),
      field.description ?? '',
    ]
    return [`| ${cells.join(' | ')} |`]
  })
}

function typeText(field: JsonSchema): string {
  if (field.enum !== undefined) return 'text'
  if (typeof field.additionalProperties === 'object') return 'object of text'
  const names: Readonly<Record<string, string>> = { string: 'text', integer: 'whole number' }
  const type = field.type ?? ''
  return names[type] ?? type
}

function boundsText(field: JsonSchema): string {
  if (field.enum !== undefined) return field.enum.map((value) => `\`${value}\``).join(', ')
  if (field.pattern !== undefined) return `\`${field.pattern}\``
  if (field.maxLength !== undefined) return `${field.minLength ?? 0}–${field.maxLength} characters`
  if (typeof field.additionalProperties === 'object') {
    const names = boundsText(field.propertyNames ?? {})
    const values = boundsText(field.additionalProperties)
    return `at most ${field.maxProperties}; names ${names}, values ${values}`
  }
  if (field.maximum === undefined) return ''
  return `${groupDigits(field.minimum ?? 0)}–${groupDigits(field.maximum)}`
}

function groupDigits(value: number): string {
  return value.toLocaleString('en-US')
}
