import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Catalogue } from './catalogue.ts'
import { inOrder, type ContentVersion } from './content-record.ts'
import { anyContentId, anyTimeMs, anyVersion } from './testing/content-arbitrary.ts'

const version = (validFromMs: number, title = `from ${validFromMs}`): ContentVersion => ({
  validFromMs,
  title,
})
const LIMITS = { contentsMax: 2, versionsMax: 3, maxBytes: 1_000 }

describe('a catalogue', () => {
  it('says what holds at a time: from the moment of a version on, up to the next', () => {
    const catalogue = new Catalogue()
    catalogue.put({ contentId: 'm', versions: [version(1_000), version(2_000)] })
    const titles = [0, 999, 1_000, 1_999, 2_000, 9e15].map((atMs) => catalogue.at('m', atMs)?.title)
    expect(titles).toEqual([
      undefined,
      undefined,
      'from 1000',
      'from 1000',
      'from 2000',
      'from 2000',
    ])
    expect(catalogue.at('other', 1_000)).toBeUndefined()
  })

  it('answers as a list of all that was ever put and not ended since', () => {
    const put = fc.record({ id: anyContentId, versions: fc.array(anyVersion, { minLength: 1 }) })
    const step = fc.oneof(put, fc.record({ id: anyContentId, versions: fc.constant(undefined) }))
    fc.assert(
      fc.property(fc.array(step), anyContentId, anyTimeMs, (steps, id, atMs) => {
        const catalogue = new Catalogue()
        for (const { id: contentId, versions } of steps)
          if (versions === undefined) catalogue.delete(contentId)
          else catalogue.put({ contentId, versions: inOrder(versions) })
        // Of the last step of the content: the last listed of those that began latest.
        const last = steps.findLast((one) => one.id === id)?.versions ?? []
        const begun = last.filter(({ validFromMs }) => validFromMs <= atMs)
        const latestMs = Math.max(...begun.map(({ validFromMs }) => validFromMs))
        expect(catalogue.at(id, atMs)).toEqual(
          begun.findLast(({ validFromMs }) => validFromMs === latestMs),
        )
        const ids = new Set(steps.map((one) => one.id))
        const alive = [...ids].filter(
          (one) => steps.findLast((later) => later.id === one)?.versions !== undefined,
        )
        expect(catalogue.contents).toBe(alive.length)
        expect([...catalogue].reduce((sum, { versions }) => sum + versions.length, 0)).toBe(
          catalogue.versions,
        )
      }),
    )
  })

  it('refuses one content more than it may hold, and takes it once another has gone', () => {
    const catalogue = new Catalogue(LIMITS)
    expect(catalogue.put({ contentId: 'a', versions: [version(0)] })).toBe('kept')
    expect(catalogue.put({ contentId: 'b', versions: [version(0)] })).toBe('kept')
    expect(catalogue.put({ contentId: 'c', versions: [version(0)] })).toBe('full')
    expect(catalogue.put({ contentId: 'b', versions: [version(0, 'new')] })).toBe('kept')
    expect(catalogue.at('c', 0)).toBeUndefined()
    expect(catalogue.at('b', 0)?.title).toBe('new')
    catalogue.delete('a')
    expect(catalogue.put({ contentId: 'c', versions: [version(0)] })).toBe('kept')
    expect(catalogue).toMatchObject({ contents: 2, versions: 2 })
  })

  it('keeps the versions that hold from the latest times on', () => {
    const catalogue = new Catalogue(LIMITS)
    const versions = [1, 2, 3, 4].map((time) => version(time))
    expect(catalogue.put({ contentId: 'a', versions })).toBe('shortened')
    expect(catalogue.get('a')?.versions).toEqual(versions.slice(1))
    expect(catalogue.at('a', 1)).toBeUndefined()
  })

  it('refuses what does not fit its bytes, and keeps what it knew of the content', () => {
    const catalogue = new Catalogue(LIMITS)
    catalogue.put({ contentId: 'a', versions: [version(0, 'short')] })
    const { bytes } = catalogue
    expect(catalogue.put({ contentId: 'a', versions: [version(0, 'x'.repeat(1_000))] })).toBe(
      'full',
    )
    expect(catalogue.at('a', 0)?.title).toBe('short')
    expect(catalogue.bytes).toBe(bytes)
    catalogue.delete('a')
    expect(catalogue.bytes).toBe(0)
  })
})
