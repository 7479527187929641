/** Scans one event after another by the schema's union, and makes the event of the last scan. */
import { eventSchema, type PlaybackEvent } from '../schema.ts'
import { compile, compileScan, type Scan } from './compile.ts'
import { scannedBy, textOf, type Scanned } from './field-values.ts'
import { ODD } from './json-bytes.ts'
import { planUnion, type FieldPlan, type UnionPlan, type VariantPlan } from './plan.ts'

const INT32_MAX = 2 ** 31 - 1

type Make = (bytes: Uint8Array) => PlaybackEvent

export const EVENT_PLAN = planUnion(eventSchema)

export class EventScanner {
  readonly #plan: UnionPlan
  readonly #scanned: Scanned
  readonly #scan: Scan
  readonly #seqIndex: number
  readonly #typeIndex: number
  /** What makes an event, by its variant and the bits of the fields that it has. */
  readonly #makes: readonly Map<number, Make>[]

  constructor(plan: UnionPlan = EVENT_PLAN) {
    this.#plan = plan
    this.#scanned = scannedBy(plan)
    this.#scan = compileScan(plan, this.#scanned)
    this.#seqIndex = plan.fields.findIndex(({ name }) => name === 'seq')
    this.#typeIndex = plan.discriminator.index
    this.#makes = plan.variants.map(() => new Map<number, Make>())
  }

  /** End of the event at `start`, which is valid then, or `ODD`. */
  scan(bytes: Uint8Array, start: number): number {
    const end = this.#scan(bytes, start)
    if (end === ODD) return ODD
    const required = this.#plan.variants[this.variantIndex]?.required ?? 0
    return (this.#scanned.seen & required) === required ? end : ODD
  }

  get seq(): number {
    return this.#scanned.numbers[this.#seqIndex] ?? 0
  }

  get variantIndex(): number {
    return this.#scanned.numbers[this.#typeIndex] ?? 0
  }

  /** The event last scanned, as the schema gives it: known fields alone, in the schema's order. */
  event(bytes: Uint8Array): PlaybackEvent {
    const { variantIndex } = this
    const variant = this.#plan.variants[variantIndex]
    const makes = this.#makes[variantIndex]
    if (variant === undefined || makes === undefined) throw new Error('assertion failed: no event')
    const seen = this.#scanned.seen & variant.allowed
    let make = makes.get(seen)
    if (make === undefined) {
      make = this.#compileMake(variant, seen)
      makes.set(seen, make)
    }
    return make(bytes)
  }

  /** One literal for each set of fields: its objects share one shape. */
  #compileMake(variant: VariantPlan, seen: number): Make {
    const members = variant.fields
      .filter(({ bit }) => (seen & bit) !== 0)
      .map((field) => {
        const isType = field.index === this.#typeIndex
        const value = isType ? JSON.stringify(variant.type) : valueSource(field)
        return `${JSON.stringify(field.name)}: ${value}`
      })
    const { numbers, textStarts, textEnds } = this.#scanned
    const text = (bytes: Uint8Array, index: number) =>
      textOf(bytes, textStarts[index] ?? 0, textEnds[index] ?? 0)
    const choices = this.#plan.fields.map((field) => field.choices)
    return compile(`(b) => ({ ${members.join(', ')} })`, { numbers, text, choices })
  }
}

function valueSource({ index, kind, max }: FieldPlan): string {
  if (kind === 'text') return `text(b, ${index})`
  if (kind === 'choice') return `choices[${index}][numbers[${index}]]`
  if (kind === 'flag') return `numbers[${index}] === 1`
  // What fits 32 bits is known to be whole by this, and stands in the event without an object of its own.
  return kind === 'integer' && max <= INT32_MAX ? `numbers[${index}] | 0` : `numbers[${index}]`
}
