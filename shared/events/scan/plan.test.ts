import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { isWellFormed } from '../schema.ts'
import { planObject, planUnion } from './plan.ts'

const text = z.string()
const variant = (type: string, fields: z.ZodRawShape) =>
  z.object({ type: z.literal(type), ...fields })

describe('the plan of a schema', () => {
  it('holds every bound of a field, and what must be there', () => {
    const schema = z.object({
      seq: z.int().min(0).max(9),
      rate: z.number().min(0.5).optional(),
      name: text.min(1).max(4).regex(/^a/).refine(isWellFormed),
      kind: z.enum(['a', 'b']).optional(),
    })
    const { fields, required } = planObject(schema)
    expect(fields).toMatchObject([
      { name: 'seq', kind: 'integer', min: 0, max: 9, bit: 1 },
      { name: 'rate', kind: 'number', min: 0.5, bit: 2 },
      { name: 'name', kind: 'text', min: 1, max: 4, pattern: /^a/, bit: 4 },
      { name: 'kind', kind: 'choice', choices: ['a', 'b'], bit: 8 },
    ])
    expect(required).toBe(1 | 4)
  })

  it('gives the variants of a union one field for each name', () => {
    const { fields, variants } = planUnion(
      z.discriminatedUnion('type', [
        variant('one', { x: z.int().max(5), y: text }),
        variant('two', { x: z.int().max(5).optional() }),
      ]),
    )
    expect(fields.map(({ name }) => name)).toEqual(['type', 'x', 'y'])
    expect(variants).toMatchObject([
      { type: 'one', required: 7, allowed: 7 },
      { type: 'two', required: 1, allowed: 3 },
    ])
  })

  it.each([
    ['a check of its own', text.refine((value) => value !== 'x')],
    ['a check it has not met', text.startsWith('a').overwrite((value) => value.trim())],
    ['a kind it has not met', z.date()],
    ['another format of number', z.int32()],
    ['an exclusive bound', z.number().gt(5)],
    ['a default', text.default('x')],
    ['an object that refuses unknown fields', z.strictObject({ x: text })],
  ])('stops at %s, which would go unchecked', (_name, field) => {
    expect(() => planObject(z.object({ field }))).toThrow(
      /the scanner does not know|an object has fields and no more/,
    )
  })

  it('stops where a name means two things', () => {
    const union = z.discriminatedUnion('type', [
      variant('one', { x: z.int().max(5) }),
      variant('two', { x: z.int().max(6) }),
    ])
    expect(() => planUnion(union)).toThrow('the field x must mean the same')
  })
})
