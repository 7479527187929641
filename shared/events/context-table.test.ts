import { hash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ContextTable } from './context-table.ts'

const digestOf = (text: string) => hash('sha256', text, 'binary')
const utf8 = (text: string) => new TextEncoder().encode(text)

function tableOf(entriesMax: number) {
  const table = new ContextTable(entriesMax)
  return {
    table,
    add: (name: string, text: string) => table.add(digestOf(name), utf8(text)),
    find(name: string) {
      const found = table.find(digestOf(name))
      return found && new TextDecoder().decode(found)
    },
  }
}

describe('a table of contexts', () => {
  it('finds what was added by its digest, and nothing by another', () => {
    const { add, find } = tableOf(4)
    add('a', '{"sessionId":"a"}')
    add('b', '{"sessionId":"b"}')
    expect([find('a'), find('b'), find('c')]).toEqual([
      '{"sessionId":"a"}',
      '{"sessionId":"b"}',
      undefined,
    ])
  })

  it('lends bytes of which a slice stays what it was when all is written over', () => {
    const table = new ContextTable(1)
    table.add(digestOf('a'), utf8('kept'))
    const kept = table.find(digestOf('a'))?.slice()
    for (let lap = 0; lap < 3; lap++) table.add(digestOf(`b${lap}`), new Uint8Array(60_000))
    expect(new TextDecoder().decode(kept)).toBe('kept')
  })

  it('tells digests apart that begin alike', () => {
    const table = new ContextTable(4)
    const digest = digestOf('a')
    for (let at = 0; at < 16; at++) {
      const other = `${digest.slice(0, at)}${digest[at] === 'x' ? 'y' : 'x'}${digest.slice(at + 1)}`
      table.add(digest, utf8('a'))
      expect(table.find(other), `byte ${at}`).toBeUndefined()
    }
  })

  it('keeps the latest entries, all of them while their bytes have room', () => {
    const sizes = fc.array(fc.nat(7_000), { maxLength: 60 })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), sizes, (entriesMax, added) => {
        const { add, find, table } = tableOf(entriesMax)
        const texts = added.map((size, index) => `${index}:${'x'.repeat(size)}`)
        for (const [index, text] of texts.entries()) {
          add(`${index}`, text)
          const latest = texts.slice(Math.max(0, index + 1 - entriesMax), index + 1)
          expect(latest.map((_, at) => find(`${index + 1 - latest.length + at}`))).toEqual(latest)
          expect(table.size).toBe(latest.length)
        }
      }),
    )
  })

  it('never gives the bytes of another, however full its bytes are and whatever comes again', () => {
    const added = fc.array(fc.tuple(fc.nat(12), fc.nat(30_000)), { maxLength: 60 })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), added, (entriesMax, additions) => {
        const { add, find, table } = tableOf(entriesMax)
        const latest = new Map<string, string>()
        for (const [index, [name, size]] of additions.entries()) {
          const text = `${index}:${'x'.repeat(size)}`
          add(`${name}`, text)
          latest.set(`${name}`, text)
          expect(find(`${name}`)).toBe(text)
          expect(table.size).toBeLessThanOrEqual(entriesMax)
          for (const [each, known] of latest) expect([known, undefined]).toContain(find(each))
        }
      }),
    )
  })

  it('does not keep what is larger than all its room', () => {
    const { add, find, table } = tableOf(2)
    add('small', 'x')
    add('large', 'x'.repeat(70_000))
    expect([find('small'), find('large'), table.size]).toEqual(['x', undefined, 1])
  })
})
