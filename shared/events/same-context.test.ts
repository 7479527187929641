import fc from 'fast-check'
import { expect, it } from 'vitest'
import { CommonContexts } from './common-context.ts'
import { isSameContext } from './same-context.ts'
import type { EnrichedContext } from './schema.ts'

const word = fc.constantFrom('a', 'b')
const optional = { requiredKeys: [] }
const contexts: fc.Arbitrary<EnrichedContext> = fc.record(
  {
    sessionId: word,
    viewerPseudonym: word,
    cdn: word,
    autoplay: fc.boolean(),
    device: fc.record({ type: word, os: word }, optional),
    player: fc.record({ name: word }, optional),
    labels: fc.dictionary(fc.constantFrom('x', 'y', 'toString'), word),
  },
  { requiredKeys: ['sessionId'] },
)

/** The context as text, with all names in one order. */
function canonical(value: object): string {
  const members = Object.entries(value).map(([name, inner]: [string, unknown]) => {
    const text = typeof inner === 'object' && inner !== null ? canonical(inner) : inner
    return `${name}=${String(text)}`
  })
  return `{${members.sort().join()}}`
}

it('says whether two contexts say the same, whatever the order of their fields', () => {
  fc.assert(
    fc.property(contexts, contexts, (left, other) => {
      const kept = new CommonContexts()
      const right = { ...other, sessionId: left.sessionId }
      const isSame = canonical(left) === canonical(right)
      expect(isSameContext(left, kept.keep(right))).toBe(isSame)
      const turned = Object.fromEntries(Object.entries(left).toReversed()) as EnrichedContext
      expect(isSameContext(left, kept.keep(turned))).toBe(true)
      expect(isSameContext({ ...left }, kept.keep(left))).toBe(true)
    }),
    { numRuns: 2_000 },
  )
})
