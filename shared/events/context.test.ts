import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { ContextTable } from './context-table.ts'
import { type ContextOverrides, createContextEnricher } from './context.ts'
import { createPseudonymiser, parseKeyring } from './identity.ts'
import { enrichedContextSchema, type SessionContext, sessionContextSchema } from './schema.ts'

const pseudonymiser = createPseudonymiser(
  parseKeyring(`k1:${Buffer.alloc(32, 1).toString('base64')}`),
)

function enricherFor(cacheEntriesMax = 10) {
  let computed = 0
  const counting = {
    ...pseudonymiser,
    pseudonym: (viewerId: string) => {
      computed += 1
      return pseudonymiser.pseudonym(viewerId)
    },
  }
  const enricher = createContextEnricher({ pseudonymiser: counting, cacheEntriesMax })
  return {
    enricher,
    computed: () => computed,
    enrich(text: string, overrides: ContextOverrides = {}) {
      const context = sessionContextSchema.parse(JSON.parse(text))
      const contextBytes = new TextEncoder().encode(text)
      return new TextDecoder().decode(enricher.enrich({ contextBytes, context }, overrides))
    },
  }
}

const pseudonym = (viewerId: string) => pseudonymiser.pseudonym(viewerId)

describe('an enriched context', () => {
  it('has the viewer’s pseudonym in place of the viewer', () => {
    expect(enricherFor().enrich('{"viewerId":"ann","sessionId":"s"}')).toBe(
      `{"sessionId":"s","viewerPseudonym":"${pseudonym('ann')}"}`,
    )
  })

  it('has no viewer when nobody names one, whatever the client calls itself', () => {
    const forged = `{"sessionId":"s","viewerPseudonym":"${'0'.repeat(32)}"}`
    expect(enricherFor().enrich(forged)).toBe('{"sessionId":"s"}')
  })

  it('takes viewer and country from trusted sources before the client’s own', () => {
    const { enrich } = enricherFor()
    const text = '{"sessionId":"s","viewerId":"ann","country":"FR"}'
    expect(enrich(text, { viewerId: 'bob', country: 'de' })).toBe(
      `{"sessionId":"s","country":"DE","viewerPseudonym":"${pseudonym('bob')}"}`,
    )
    expect(enrich(text, { viewerId: '', country: 'unknown' })).toBe(
      `{"sessionId":"s","country":"FR","viewerPseudonym":"${pseudonym('ann')}"}`,
    )
  })

  it('has the schema’s fields in the schema’s order, labels by name, and no others', () => {
    const text =
      '{"labels":{"b":"2","a":"1"},"x":1,"device":{"os":"o","y":1,"type":"tv"},"sessionId":"s"}'
    expect(enricherFor().enrich(text)).toBe(
      '{"sessionId":"s","device":{"type":"tv","os":"o"},"labels":{"a":"1","b":"2"}}',
    )
  })

  it('is valid, and the same for every order of the client’s fields', () => {
    const contexts = fc.record<SessionContext>(
      {
        sessionId: fc.string({ minLength: 1, maxLength: 64, unit: 'grapheme-ascii' }),
        contentId: fc.constant('movie-1'),
        viewerId: fc.constantFrom('ann', 'bob'),
        country: fc.constantFrom('DE', 'FR'),
        labels: fc.dictionary(fc.stringMatching(/^[a-z0-9]{1,5}$/), fc.constant('x'), {
          maxKeys: 8,
        }),
        autoplay: fc.boolean(),
      },
      { requiredKeys: ['sessionId'] },
    )
    fc.assert(
      fc.property(contexts, (context) => {
        const { enrich } = enricherFor()
        const labels = context.labels && {
          labels: Object.fromEntries(Object.entries(context.labels).reverse()),
        }
        const turned = { ...Object.fromEntries(Object.entries(context).reverse()), ...labels }
        const line = enrich(JSON.stringify(context))
        expect(enrich(JSON.stringify(turned))).toBe(line)
        expect(JSON.stringify(enrichedContextSchema.parse(JSON.parse(line)))).toBe(line)
      }),
    )
  })
})

describe('the cache of contexts', () => {
  const contextOf = (sessionId: string) => `{"sessionId":"${sessionId}","viewerId":"ann"}`

  it('computes a context once for each way it is overridden', () => {
    const { enrich, computed, enricher } = enricherFor()
    for (let round = 0; round < 3; round += 1) {
      enrich(contextOf('s'))
      enrich(contextOf('s'), { viewerId: 'bob' })
      enrich(contextOf('s'), { country: 'DE' })
      enrich(contextOf('s'), { viewerId: 'bob', country: 'DE' })
    }
    expect([computed(), enricher.cacheSize]).toEqual([4, 4])
  })

  it('holds at most as many contexts as it may, the latest ones', () => {
    const { enrich, computed, enricher } = enricherFor(3)
    for (const id of ['a', 'b', 'c', 'd']) enrich(contextOf(id))
    expect([computed(), enricher.cacheSize]).toEqual([4, 3])
    enrich(contextOf('d'))
    expect(computed()).toBe(4)
    enrich(contextOf('a'))
    expect([computed(), enricher.cacheSize]).toEqual([5, 3])
  })

  it('keeps no viewer id', () => {
    const remember = vi.spyOn(ContextTable.prototype, 'add')
    const { enrich } = enricherFor()
    const line = enrich('{"sessionId":"s","viewerId":"ann@example.org"}', {
      viewerId: 'bob@example.org',
    })
    expect(line).not.toContain('example.org')
    const kept = JSON.stringify(remember.mock.calls, (_name, value: unknown) =>
      value instanceof Uint8Array ? new TextDecoder().decode(value) : value,
    )
    remember.mockRestore()
    expect(kept).toContain('viewerPseudonym')
    expect(kept).not.toContain('example.org')
  })
})
