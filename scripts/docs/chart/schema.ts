/** A JSON schema, and the shapes that the chart's values are made of. */
export type Schema = Readonly<Record<string, unknown>>

/** A map of known keys: a misspelt one is refused. */
export function object(
  properties: Readonly<Record<string, Schema>>,
  required: readonly string[] = [],
): Schema {
  return {
    type: 'object',
    additionalProperties: false,
    ...(required.length === 0 ? {} : { required }),
    properties,
  }
}

export function listOf(items: Schema, more: Schema = {}): Schema {
  return { type: 'array', items, ...more }
}

export function integer(minimum: number, maximum: number): Schema {
  return { type: 'integer', minimum, maximum }
}

export function matching(pattern: string): Schema {
  return { type: 'string', pattern }
}

export function oneOf(...values: readonly (string | null)[]): Schema {
  return { enum: values }
}

/** `${name}` of `$defs`. */
export function ref(name: string): Schema {
  return { $ref: `#/$defs/${name}` }
}

export const text: Schema = { type: 'string' }
export const boolean: Schema = { type: 'boolean' }
/** What Kubernetes itself checks. */
export const anyObject: Schema = { type: 'object' }
export const anyList: Schema = { type: 'array', items: { type: 'object' } }
export const textMap: Schema = { type: 'object', additionalProperties: { type: 'string' } }
