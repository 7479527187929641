/** Content metadata of every shape, for property tests. */
import fc from 'fast-check'
import type { ContentVersion } from '../content-record.ts'

const text = (maxLength: number) =>
  fc.string({ unit: 'binary', minLength: 1, maxLength }).filter((value) => value.isWellFormed())

/** Few ids, so that contents come again. */
export const anyContentId = fc.constantFrom('movie-1', 'movie-2', 'ch', 'ünï 😀', '__proto__')
/** Few times, so that versions meet at their borders. */
export const anyTimeMs = fc.integer({ min: 0, max: 6 }).map((step) => step * 1_000)

export const anyVersion: fc.Arbitrary<ContentVersion> = fc
  .record(
    {
      validFromMs: anyTimeMs,
      title: text(20),
      contentType: fc.constantFrom('live', 'vod'),
      seriesId: fc.constantFrom('s-1', 's-2'),
      seriesTitle: text(10),
      season: fc.integer({ min: 0, max: 10_000 }),
      genre: fc.constantFrom('drama', 'news', 'sport'),
      durationMs: fc.integer({ min: 0, max: 86_400_000 }),
      releaseDate: fc.constantFrom('1999-12-31', '2026-02-28'),
      labels: fc.dictionary(text(5), text(5), { maxKeys: 3, noNullPrototype: true }),
    },
    { requiredKeys: ['validFromMs', 'title'] },
  )
  .map(({ labels, ...version }) =>
    // A key of this name does not survive JSON as an own property.
    labels === undefined || Object.hasOwn(labels, '__proto__') ? version : { ...version, labels },
  )
