import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseJsonBytes } from '../json-text.ts'
import { eventSchema } from '../schema.ts'
import { eventText, mutated } from '../testing/frame-arbitrary.ts'
import { EVENT_PLAN, EventScanner } from './event-scanner.ts'
import { ODD } from './json-bytes.ts'
import type { FieldPlan, UnionPlan } from './plan.ts'

const utf8 = (text: string) => new TextEncoder().encode(text)

/** The event as the schema gives it, as text, so that the order of its fields counts. */
function byTheSchema(bytes: Uint8Array): string | undefined {
  const parsed = parseJsonBytes(bytes)
  const event = 'value' in parsed ? eventSchema.safeParse(parsed.value).data : undefined
  return event && JSON.stringify(event)
}

function byScanning(scanner: EventScanner, bytes: Uint8Array): string | undefined {
  const end = scanner.scan(bytes, 0)
  if (end === ODD) return undefined
  // What is behind the event's end is not the event's: the rest of the frame is judged by its own.
  return end === bytes.length ? JSON.stringify(scanner.event(bytes)) : byTheSchema(bytes)
}

describe('an event that is scanned', () => {
  it('is the event that the schema gives, field for field, or is left to the schema', () => {
    const scanner = new EventScanner()
    const texts = fc.oneof(eventText.map(utf8), mutated(eventText))
    let scanned = 0
    fc.assert(
      fc.property(texts, (bytes) => {
        const event = byScanning(scanner, bytes)
        if (event === undefined) return
        scanned += 1
        expect(event).toBe(byTheSchema(bytes))
      }),
      { numRuns: 10_000 },
    )
    expect(scanned).toBeGreaterThan(1_500)
  })

  it('that is valid and plain is not left to the schema', () => {
    const scanner = new EventScanner()
    fc.assert(
      fc.property(eventText, (text) => {
        const event = byTheSchema(utf8(text))
        const isPlain = event !== undefined && text === event && !text.includes('\\')
        expect(isPlain ? byScanning(scanner, utf8(text)) : event).toBe(event)
      }),
      { numRuns: 5_000 },
    )
  })
})

/** The plan with one field's check loosened. */
function loosened(name: string, loosen: (field: FieldPlan) => Partial<FieldPlan>): UnionPlan {
  const fields = EVENT_PLAN.fields.map((field) =>
    field.name === name ? { ...field, ...loosen(field) } : field,
  )
  return { ...EVENT_PLAN, fields }
}

const mutants: readonly (readonly [string, UnionPlan])[] = [
  ...EVENT_PLAN.fields.flatMap(({ name, kind, min, max }) => {
    if (kind === 'choice' || kind === 'flag') return []
    const mutant = (what: string, change: Partial<FieldPlan>) =>
      [`${name} ${what}`, loosened(name, () => change)] as const
    const above = mutant('above its maximum', { max: max + 1 })
    // Nothing below nought is plain.
    const below = min === 0 ? [] : [mutant('below its minimum', { min: 0 })]
    const broken = kind === 'integer' ? [mutant('with a fraction', { kind: 'number' })] : []
    return [above, ...below, ...broken]
  }),
  ...EVENT_PLAN.variants.map((variant, index) => {
    const variants = EVENT_PLAN.variants.with(index, { ...variant, required: 0 })
    return [`${variant.type} without what it requires`, { ...EVENT_PLAN, variants }] as const
  }),
  ...EVENT_PLAN.variants.slice(1).map(({ type }) => {
    const choices = EVENT_PLAN.discriminator.choices.map((each) => (each === type ? 'other' : each))
    const plan = loosened('type', () => ({ choices: choices.with(0, type) }))
    return [`${type} taken for another`, plan] as const
  }),
]

describe('the comparison with the schema', () => {
  const samples = fc
    .sample(eventText, { numRuns: 30_000, seed: 1 })
    .map(utf8)
    .map((bytes) => ({ bytes, expected: byTheSchema(bytes) }))

  it.each(mutants)('sees a scanner that takes %s', (_name, plan) => {
    const scanner = new EventScanner(plan)
    const seen = samples.some(({ bytes, expected }) => {
      const event = byScanning(scanner, bytes)
      return event !== undefined && event !== expected
    })
    expect(seen).toBe(true)
  })
})
