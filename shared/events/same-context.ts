import { type EnrichedContext, enrichedContextSchema } from './schema.ts'

const FIELDS = Object.keys(enrichedContextSchema.shape) as (keyof EnrichedContext)[]

/** Whether two contexts say the same, whatever the order of their labels. */
export function isSameContext(left: EnrichedContext, right: EnrichedContext): boolean {
  return left === right || FIELDS.every((field) => isSameValue(left[field], right[field]))
}

type Flat = Readonly<Record<string, string | undefined>>

function isSameValue(
  left: EnrichedContext[keyof EnrichedContext],
  right: EnrichedContext[keyof EnrichedContext],
): boolean {
  if (left === right) return true
  if (typeof left !== 'object' || typeof right !== 'object') return false
  return isSameFlat(left, right)
}

function isSameFlat(left: Flat, right: Flat): boolean {
  const names = Object.keys(left)
  return (
    names.length === Object.keys(right).length &&
    names.every((name) => Object.hasOwn(right, name) && left[name] === right[name])
  )
}
