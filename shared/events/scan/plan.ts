/**
 * What the scanner checks, taken from the zod schemas once at start: tables of fields with their
 * kinds and bounds, so that the schema stays the single source. Every construct the schema uses is
 * known here by name; one that is not stops the start, because skipping a check would let wrong
 * events into the log.
 */
import type { z } from 'zod'
import { assert } from '../../runtime/errors.ts'
import { hasFewLabels, isWellFormed, LABELS_MAX } from '../schema.ts'

/**
 * `integer` is a whole number in plain digits and `number` one that may have a fraction; `choice` is
 * one of a few texts, and `texts` an object of texts under names of the sender's own.
 */
type Kind = 'integer' | 'number' | 'text' | 'choice' | 'flag' | 'object' | 'texts'

export interface FieldPlan {
  readonly name: string
  /** Place among the fields of its plan. */
  readonly index: number
  /** `1 << index`. */
  readonly bit: number
  readonly kind: Kind
  /** Least value of a number, least length of a text in characters. */
  readonly min: number
  readonly max: number
  readonly pattern: RegExp | undefined
  readonly choices: readonly string[]
  readonly object: ObjectPlan | undefined
}

export interface ObjectPlan {
  readonly fields: readonly FieldPlan[]
  /** Bits of the fields that must be there. */
  readonly required: number
}

/** All variants of a discriminated union in one plan: a name means the same in each of them. */
export interface UnionPlan extends ObjectPlan {
  readonly discriminator: FieldPlan
  /** By the index of the discriminator's choice. */
  readonly variants: readonly VariantPlan[]
}

export interface VariantPlan {
  readonly type: string
  /** Bits of the fields that must be there. */
  readonly required: number
  /** Bits of the fields it has; others are unknown to it. */
  readonly allowed: number
  /** Its fields in the schema's order. */
  readonly fields: readonly FieldPlan[]
}

/** More would not fit into the bits of one small integer. */
const FIELDS_MAX = 30

type ZodType = z.core.$ZodTypes

export function planObject(schema: z.core.$ZodType): ObjectPlan {
  const { def } = internalsOf(schema)
  assert(def.type === 'object', `expected an object schema, received ${def.type}`)
  assert(def.catchall === undefined && !def.checks?.length, 'an object has fields and no more')
  const fields = new Fields()
  let required = 0
  for (const [name, member] of Object.entries(def.shape)) {
    const { field, isRequired } = fields.add(name, member)
    if (isRequired) required |= field.bit
  }
  return { fields: fields.list(), required }
}

/** The plan of a union of objects told apart by a literal member. */
export function planUnion(schema: z.core.$ZodType): UnionPlan {
  const { def } = internalsOf(schema)
  assert(def.type === 'union', `expected a union schema, received ${def.type}`)
  const name = (def as z.core.$ZodDiscriminatedUnionDef).discriminator
  const shapes = def.options.map((option) => {
    const variant = internalsOf(option).def
    assert(variant.type === 'object', 'every variant of the union must be an object')
    assert(variant.catchall === undefined && !variant.checks?.length, 'a variant is its fields')
    return variant.shape
  })
  const types = shapes.map((shape) => literalOf(shape[name]))
  const fields = new Fields()
  const discriminator = fields.addPlan(name, { ...BLANK, kind: 'choice', choices: types })
  const variants = shapes.map((shape, index): VariantPlan => {
    const added = Object.entries(shape).map(([own, member]) =>
      own === name ? { field: discriminator, isRequired: true } : fields.add(own, member),
    )
    return {
      type: types[index] ?? '',
      required: bitsOf(added.filter(({ isRequired }) => isRequired)),
      allowed: bitsOf(added),
      fields: added.map(({ field }) => field),
    }
  })
  return { fields: fields.list(), required: 0, discriminator, variants }
}

function bitsOf(added: readonly { readonly field: FieldPlan }[]): number {
  return added.reduce((bits, { field }) => bits | field.bit, 0)
}

/** What a field's value must be, without the field. */
type ValuePlan = Pick<FieldPlan, 'kind' | 'min' | 'max' | 'pattern' | 'choices' | 'object'>

const BLANK: ValuePlan = {
  kind: 'flag',
  min: Number.NEGATIVE_INFINITY,
  max: Number.POSITIVE_INFINITY,
  pattern: undefined,
  choices: [],
  object: undefined,
}

class Fields {
  readonly #byName = new Map<string, { field: FieldPlan; value: ValuePlan }>()

  add(name: string, member: z.core.$ZodType): { field: FieldPlan; isRequired: boolean } {
    const { def } = internalsOf(member)
    const isRequired = def.type !== 'optional'
    const value = planValue(isRequired ? member : def.innerType)
    return { field: this.addPlan(name, value), isRequired }
  }

  addPlan(name: string, value: ValuePlan): FieldPlan {
    const known = this.#byName.get(name)
    if (known !== undefined) {
      const isSame = JSON.stringify(textual(known.value)) === JSON.stringify(textual(value))
      assert(isSame, `the field ${name} must mean the same in every variant of the union`)
      return known.field
    }
    const index = this.#byName.size
    assert(index < FIELDS_MAX, `at most ${FIELDS_MAX} fields`)
    const field = { name, index, bit: 1 << index, ...value }
    this.#byName.set(name, { field, value })
    return field
  }

  list(): FieldPlan[] {
    return Array.from(this.#byName.values(), ({ field }) => field)
  }
}

function textual(value: ValuePlan): object {
  return { ...value, pattern: String(value.pattern) }
}

function planValue(schema: z.core.$ZodType): ValuePlan {
  const { def } = internalsOf(schema)
  if (def.type === 'number')
    return bounded({ ...BLANK, kind: isWhole(def) ? 'integer' : 'number' }, def.checks)
  if (def.type === 'string') return bounded({ ...BLANK, kind: 'text', min: 0 }, def.checks)
  if (def.type === 'record')
    return { ...bounded(BLANK, def.checks), kind: 'texts', object: planTexts(def) }
  // None of the others may be refined.
  if (def.checks !== undefined && def.checks.length > 0) throw unknown('a refinement of its own')
  if (def.type === 'boolean') return BLANK
  if (def.type === 'object') return { ...BLANK, kind: 'object', object: planObject(schema) }
  if (def.type === 'enum')
    return { ...BLANK, kind: 'choice', choices: Object.values(def.entries).map(String) }
  throw unknown(`a schema of the type ${def.type}`)
}

/** A record's name and value stand as the two fields of an object. */
function planTexts({ keyType, valueType }: z.core.$ZodRecordDef): ObjectPlan {
  const fields = new Fields()
  const key = fields.add('key', keyType).field
  const value = fields.add('value', valueType).field
  assert(key.kind === 'text' && value.kind === 'text', 'a record must be of texts')
  return { fields: fields.list(), required: 0 }
}

function isWhole(def: z.core.$ZodNumberDef): boolean {
  const { format } = def as { readonly format?: string }
  if (format !== undefined && format !== 'safeint')
    throw unknown(`a number of the format ${format}`)
  return format === 'safeint'
}

function bounded(plan: ValuePlan, checks: ZodType['_zod']['def']['checks'] = []): ValuePlan {
  return checks.reduce(
    (before, check) => narrowed(before, (check as z.core.$ZodChecks)._zod.def),
    plan,
  )
}

type CheckDef = z.core.$ZodChecks['_zod']['def'] | z.core.$ZodCustomDef

function narrowed(plan: ValuePlan, def: CheckDef): ValuePlan {
  if (def.check === 'min_length') return { ...plan, min: Math.max(plan.min, def.minimum) }
  if (def.check === 'max_length') return { ...plan, max: Math.min(plan.max, def.maximum) }
  if (def.check === 'greater_than' && def.inclusive)
    return { ...plan, min: Math.max(plan.min, Number(def.value)) }
  if (def.check === 'less_than' && def.inclusive)
    return { ...plan, max: Math.min(plan.max, Number(def.value)) }
  if (def.check === 'string_format' && def.pattern !== undefined && plan.pattern === undefined)
    return { ...plan, pattern: def.pattern }
  if (def.check === 'custom') return customised(plan, def.fn)
  throw unknown(`the check ${def.check} as it stands`)
}

function customised(plan: ValuePlan, check: unknown): ValuePlan {
  // Text without escapes that is valid UTF-8 is well-formed.
  if (check === isWellFormed) return plan
  if (check === hasFewLabels) return { ...plan, max: LABELS_MAX }
  throw unknown('a refinement of its own')
}

function literalOf(schema: z.core.$ZodType | undefined): string {
  const def = schema && internalsOf(schema).def
  assert(def?.type === 'literal' && def.values.length === 1, 'a discriminator must be one literal')
  return String(def.values[0])
}

function internalsOf(schema: z.core.$ZodType): ZodType['_zod'] {
  return (schema as ZodType)._zod
}

function unknown(what: string): Error {
  return new Error(`the scanner does not know ${what}: teach it, or leave it out of the schema`)
}
