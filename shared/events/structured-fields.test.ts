import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type InnerList, type Item, parseDictionary } from './structured-fields.ts'

/** Members as plain data: `[kind, value]`, lists as arrays, parameters as a further object. */
function plain(member: Item | InnerList): unknown {
  const parameters = Object.fromEntries(
    [...member.parameters].map(([name, bare]) => [name, bare.value]),
  )
  const own = member.parameters.size > 0 ? [parameters] : []
  return member.kind === 'list'
    ? [member.items.map(plain), ...own]
    : [member.bare.kind, member.bare.value, ...own]
}

function read(text: string): Record<string, unknown> {
  const result = parseDictionary(text)
  if (!result.ok) throw new Error(`expected ${result.expected} at ${result.at}`)
  return Object.fromEntries([...result.dictionary].map(([key, member]) => [key, plain(member)]))
}

describe('parseDictionary', () => {
  it.each([
    ['', {}],
    ['  ', {}],
    ['a=1', { a: ['integer', 1] }],
    ['a=-0', { a: ['integer', -0] }],
    ['a=-12.345', { a: ['decimal', -12.345] }],
    ['a=999999999999999', { a: ['integer', 999_999_999_999_999] }],
    ['a="x"', { a: ['string', 'x'] }],
    [String.raw`a="q\"b\\"`, { a: ['string', 'q"b\\'] }],
    ['a="é🎬"', { a: ['string', 'é🎬'] }],
    ['a=ps', { a: ['token', 'ps'] }],
    ["a=*x!#$%&'*+-.^_`|~:/9", { a: ['token', "*x!#$%&'*+-.^_`|~:/9"] }],
    ['a', { a: ['boolean', true] }],
    ['a=?0', { a: ['boolean', false] }],
    ['a=:aGk=:', { a: ['bytes', 'aGk='] }],
    ['a=@1795217996', { a: ['date', 1_795_217_996] }],
    ['a=%"f%c3%bc"', { a: ['display', 'f%c3%bc'] }],
    [
      'a=1,b , c="x" ,\td=?1',
      {
        a: ['integer', 1],
        b: ['boolean', true],
        c: ['string', 'x'],
        d: ['boolean', true],
      },
    ],
    ['a=1,a=x', { a: ['token', 'x'] }],
    ['com.Example-x="y"', { 'com.Example-x': ['string', 'y'] }],
    ['a=()', { a: [[]] }],
    [
      'a=(1 "b" c)',
      {
        a: [
          [
            ['integer', 1],
            ['string', 'b'],
            ['token', 'c'],
          ],
        ],
      },
    ],
    [
      'a=( 5000;v  128;a )',
      {
        a: [
          [
            ['integer', 5000, { v: true }],
            ['integer', 128, { a: true }],
          ],
        ],
      },
    ],
    ['a=(1;x=2);y="z"; w', { a: [[['integer', 1, { x: 2 }]], { y: 'z', w: true }] }],
    ['a;x;x=3', { a: ['boolean', true, { x: 3 }] }],
    ['constructor=1', { constructor: ['integer', 1] }],
  ])('reads %j', (text, expected) => {
    expect(read(text)).toEqual(expected)
  })

  it.each([
    ['a=', 'a value', 2],
    ['=1', 'a key', 0],
    ['a=1,', 'a key after the comma', 4],
    ['a=1,,b=2', 'a key', 4],
    ['a=1 b=2', '","', 4],
    ['a="x', 'a closed string', 2],
    [String.raw`a="x\n"`, 'a closed string', 2],
    ['a="x\u0000"', 'a closed string', 2],
    ['a=(1', 'a blank or ")"', 4],
    ['a=(1"b")', 'a blank or ")"', 4],
    ['a=(', 'a value', 3],
    ['a=1.', 'a value', 2],
    ['a=1.2345', 'a value', 2],
    ['a=1234567890123456', 'a value', 2],
    ['a=1e5', '","', 3],
    ['a=?2', '?0 or ?1', 2],
    ['a=:x', 'a closed byte sequence', 2],
    ['a=@x', 'a date', 3],
    ['a;=1', 'the name of a parameter', 2],
    ['9a=1', 'a key', 0],
    ['__proto__=1', 'a key', 0],
    ['{"sid":"x"}', 'a key', 0],
    ['cid%3D%22x%22', '","', 3],
  ])('says what %j lacks', (text, expected, at) => {
    expect(parseDictionary(text)).toEqual({ ok: false, expected, at })
  })

  it('reads back any dictionary of items', () => {
    const item = fc.oneof(
      fc.integer({ min: -999_999_999_999_999, max: 999_999_999_999_999 }).map((value) => ({
        text: String(value),
        plain: ['integer', value],
      })),
      fc.stringMatching(/^[ -~é]{0,12}$/).map((value) => ({
        text: `"${value.replace(/[\\"]/g, String.raw`\$&`)}"`,
        plain: ['string', value],
      })),
      fc.stringMatching(/^[a-z*][a-z0-9:/]{0,8}$/).map((value) => ({
        text: value,
        plain: ['token', value],
      })),
    )
    const member = fc.oneof(
      item,
      fc.array(item, { maxLength: 4 }).map((items) => ({
        text: `(${items.map((each) => each.text).join(' ')})`,
        plain: [items.map((each) => each.plain)],
      })),
    )
    const members = fc.uniqueArray(
      fc.tuple(fc.stringMatching(/^[a-z*][a-z0-9_\-.*]{0,8}$/), member),
      {
        selector: ([key]) => key,
        maxLength: 8,
      },
    )
    fc.assert(
      fc.property(members, (list) => {
        const text = list.map(([key, value]) => `${key}=${value.text}`).join(', ')
        expect(read(text)).toEqual(
          Object.fromEntries(list.map(([key, value]) => [key, value.plain])),
        )
      }),
    )
  })

  it('has a verdict on any text, in time that grows with its length', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(fc.nat(0x10_ffff)).map((points) => String.fromCodePoint(...points)),
          fc
            .array(fc.constantFrom(...Array.from('ab19=,;()"\\?:@%.- \té')))
            .map((parts) => parts.join('')),
        ),
        (text) => {
          const result = parseDictionary(text)
          expect(result.ok ? 0 : result.at).toBeLessThanOrEqual(text.length)
        },
      ),
      { numRuns: 500 },
    )
    for (const piece of ['"\\\\', 'a;', '(', '%"%', '1', 'a=(1 '])
      expect(parseDictionary(`a=${piece.repeat(50_000)}`)).toBeDefined()
  })
})
