import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeContent,
  encodeContent,
  inOrder,
  metadataSchema,
  parseContentLine,
} from './content-record.ts'
import { CONTENT_LINE_MAX_BYTES } from './limits.ts'
import { anyContentId, anyVersion } from './testing/content-arbitrary.ts'

const parse = (line: unknown) =>
  parseContentLine(Buffer.from(typeof line === 'string' ? line : JSON.stringify(line)))
const FULL = {
  title: 'Pilot',
  contentType: 'vod',
  seriesId: 's-1',
  seriesTitle: 'A series',
  season: 1,
  episode: 1,
  genre: 'drama',
  provider: 'Studio',
  language: 'de-CH',
  durationMs: 2_700_000,
  releaseDate: '2026-02-28',
  labels: { rating: '12' },
}

describe('a line', () => {
  it('is a version with all its fields, or with the title alone, valid from always', () => {
    expect(parse({ contentId: 'm', validFrom: 5, ...FULL })).toEqual({
      contentId: 'm',
      version: { validFromMs: 5, ...FULL },
    })
    expect(parse({ contentId: 'm', title: 'T' })).toEqual({
      contentId: 'm',
      version: { validFromMs: 0, title: 'T' },
    })
  })

  it('names the time as epoch ms, or as RFC 3339 with its offset', () => {
    const timeOf = (validFrom: unknown) => parse({ contentId: 'm', title: 'T', validFrom })
    const atMs = Date.parse('2026-03-01T12:00:00Z')
    expect(timeOf('2026-03-01T13:00:00+01:00')).toMatchObject({ version: { validFromMs: atMs } })
    expect(timeOf(atMs)).toMatchObject({ version: { validFromMs: atMs } })
    for (const wrong of ['2026-03-01', '2026-03-01T12:00:00', -1, 1.5, '1960-01-01T00:00:00Z'])
      expect(timeOf(wrong)).toMatchObject({ error: { code: 'CONTENT_LINE_INVALID' } })
  })

  it('ends a content', () => {
    expect(parse({ contentId: 'm', deleted: true })).toEqual({ contentId: 'm', deleted: true })
    expect(parse({ contentId: 'm', deleted: true, title: 'T' })).toHaveProperty('error')
    expect(parse({ contentId: 'm', deleted: false })).toHaveProperty('error')
  })

  it.each([
    ['no JSON', '{"contentId":"m"', 'JSON', 'breaks off'],
    ['no object', '[]', 'object', '[]'],
    ['no title', { contentId: 'm' }, 'string', 'nothing'],
    ['an empty id', { contentId: '', title: 'T' }, 'at least 1', '""'],
    ['a long title', { contentId: 'm', title: 'x'.repeat(257) }, 'at most 256', '257 characters'],
    [
      'another type',
      { contentId: 'm', title: 'T', contentType: 'film' },
      '"live", "vod"',
      '"film"',
    ],
    ['an unknown field', { contentId: 'm', title: 'T', contenttype: 'vod' }, 'contenttype', ''],
    [
      'a day that is none',
      { contentId: 'm', title: 'T', releaseDate: '2026-02-30' },
      '',
      '2026-02-30',
    ],
    ['half a character', '{"contentId":"m","title":"\\ud800"}', 'well-formed Unicode', ''],
  ])('with %s is refused with what was expected and what came', (_, line, expected, received) => {
    const parsed = parse(line)
    if (!('error' in parsed)) throw new Error('it was taken')
    const { code, message } = parsed.error
    expect(code).toBe('CONTENT_LINE_INVALID')
    expect(message).toContain(`; expected `)
    expect(message).toContain(expected)
    expect(message).toContain(received)
    expect(message).not.toContain('\n')
  })

  it('is refused by its length before it is read', () => {
    const line = JSON.stringify({ contentId: 'm', title: 'T' })
    expect(parse(line.padEnd(CONTENT_LINE_MAX_BYTES))).not.toHaveProperty('error')
    expect(parse(line.padEnd(CONTENT_LINE_MAX_BYTES + 1))).toMatchObject({
      error: { code: 'CONTENT_LINE_TOO_LONG' },
    })
  })
})

describe('a record', () => {
  it('is read back as it was, and is the same bytes for equal contents', () => {
    fc.assert(
      fc.property(
        anyContentId,
        fc.array(anyVersion, { minLength: 1, maxLength: 8 }),
        (id, list) => {
          const content = { contentId: id, versions: inOrder(list) }
          const value = encodeContent(content)
          expect(decodeContent(id, value)).toEqual(content)
          const mixed = content.versions.map((version) =>
            Object.fromEntries(Object.entries(version).toReversed()),
          ) as unknown as typeof content.versions
          expect(Buffer.from(encodeContent({ versions: mixed, contentId: id }))).toEqual(
            Buffer.from(value),
          )
        },
      ),
    )
  })

  it('is none of another key, without versions, or of another shape', () => {
    const value = encodeContent({ contentId: 'm', versions: [{ validFromMs: 0, title: 'T' }] })
    expect(decodeContent('other', value)).toBeUndefined()
    expect(decodeContent(undefined, value)).toBeUndefined()
    for (const text of ['', '{}', '{"contentId":"m","versions":[]}', '\u0000'])
      expect(decodeContent('m', Buffer.from(text))).toBeUndefined()
  })

  it('of a later writer is read without the fields that are not known', () => {
    const versions = [{ validFromMs: 0, title: 'T', mood: 'gloomy' }]
    const value = Buffer.from(JSON.stringify({ contentId: 'm', versions, more: 1 }))
    expect(decodeContent('m', value)?.versions).toEqual([{ validFromMs: 0, title: 'T' }])
  })
})

it('has every field on the page that explains them', () => {
  const page = readFileSync(new URL('../../docs/content.md', import.meta.url), 'utf8')
  for (const field of ['contentId', 'validFrom', 'deleted', ...Object.keys(metadataSchema.shape)])
    expect(page).toMatch(new RegExp(`^\\| \`${field}\` `, 'm'))
  const lines = /```json\n([\s\S]*?)```/.exec(page)?.[1]?.trim().split('\n') ?? []
  expect(lines.length).toBeGreaterThan(3)
  for (const line of lines) expect(parse(line)).not.toHaveProperty('error')
})
