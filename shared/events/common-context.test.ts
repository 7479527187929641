import { expect, it } from 'vitest'
import { CommonContexts, wholeContext } from './common-context.ts'
import type { EnrichedContext } from './schema.ts'

const context: EnrichedContext = {
  sessionId: 's1',
  contentId: 'm',
  cdn: 'a',
  device: { type: 'tv' },
  labels: { x: '1' },
  viewerPseudonym: '0123456789abcdef0123456789abcdef',
}

it('gives each session its whole context back, its fields in their order', () => {
  const contexts = new CommonContexts()
  const { viewerPseudonym: _none, ...withoutViewer } = { ...context, sessionId: 's2' }
  for (const given of [context, withoutViewer]) {
    const whole = wholeContext(given.sessionId, contexts.keep(given))
    expect(JSON.stringify(whole)).toBe(JSON.stringify(given))
  }
})

it('shares what sessions have in common', () => {
  const contexts = new CommonContexts()
  const first = contexts.keep(context)
  const second = contexts.keep({ ...structuredClone(context), sessionId: 's2' })
  expect(second.common).toBe(first.common)
  expect(contexts.keep({ ...context, cdn: 'b' }).common).not.toBe(first.common)
})
