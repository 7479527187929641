import type { CommonContext, KeptContext } from './common-context.ts'
import { canCompile, compile } from './scan/compile.ts'
import { type EnrichedContext, enrichedContextSchema } from './schema.ts'

const { sessionId: _sessionId, viewerPseudonym: _viewer, ...common } = enrichedContextSchema.shape
const FIELDS = Object.keys(common) as (keyof CommonContext)[]

/** Whether a context of the session says the same, whatever the order of its labels. */
export function isSameContext(context: EnrichedContext, kept: KeptContext): boolean {
  return context.viewerPseudonym === kept.viewerPseudonym && isSameCommon(context, kept.common)
}

/** Every frame is asked: where code may be generated, each field is read by its name and not by a variable. */
const isSameCommon = canCompile()
  ? compile<(left: CommonContext, right: CommonContext) => boolean>(
      `(left, right) => ${FIELDS.map((field) => sameSource(field)).join(' && ')}`,
      { isSameValue },
    )
  : (left: CommonContext, right: CommonContext) =>
      FIELDS.every((field) => isSameValue(left[field], right[field]))

function sameSource(field: string): string {
  return `(left.${field} === right.${field} || isSameValue(left.${field}, right.${field}))`
}

type Flat = Readonly<Record<string, string | undefined>>

function isSameValue(
  left: CommonContext[keyof CommonContext],
  right: CommonContext[keyof CommonContext],
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
