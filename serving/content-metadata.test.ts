/** Content metadata in answers: joined when rows are read, on both sides of the boundary alike. */
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Catalogue } from '../shared/content/catalogue.ts'
import { contentErrors } from '../shared/content/content-errors.ts'
import { CONTENT_DIMENSIONS, contentValue } from '../shared/content/content-dimensions.ts'
import { inOrder, type ContentVersion } from '../shared/content/content-record.ts'
import type { ContentSource } from '../shared/content/content-source.ts'
import { anyVersion } from '../shared/content/testing/content-arbitrary.ts'
import type { MinuteAggregates } from '../shared/qoe/aggregates.ts'
import { parseCut } from '../shared/qoe/cuts.ts'
import { DEFAULT_FOLD_LIMITS, paneLifeOf } from '../shared/qoe/fold.ts'
import { mergeAggregates } from '../shared/qoe/merge.ts'
import { minuteAggregates } from '../shared/qoe/testing/aggregates-arbitrary.ts'
import { ManualClock } from '../shared/runtime/clock.ts'
import type { BackhaulError } from '../shared/runtime/errors.ts'
import { tables } from '../shared/warehouse/tables.ts'
import { qoeResponseSchema, topResponseSchema } from './api-schemas.ts'
import { groupKeys } from './series.ts'
import { gauge, startTestServing, stopTestServings } from './testing/test-serving.ts'
import { MemorySpeedStore, minuteRow, partitionRow } from './testing/test-stores.ts'
import { controlRows, insert, qoeMinute, TestWarehouse } from './testing/test-warehouse.ts'
import { TEST_EPOCH_MS, TestPartition } from './testing/test-partition.ts'

const MINUTE_MS = 60_000
const BASE_MS = 20_000 * 24 * 60 * MINUTE_MS
const at = (minute: number) => BASE_MS + minute * MINUTE_MS
const content = parseCut('content')
const cdnContent = parseCut('cdn+content')

/** A source that the test fills, and fails, by hand. */
class TestSource implements ContentSource {
  readonly catalogue = new Catalogue()
  failure: BackhaulError | undefined

  put(contentId: string, ...versions: readonly ContentVersion[]): this {
    this.catalogue.put({ contentId, versions: inOrder(versions) })
    return this
  }

  refresh(): Promise<void> {
    return this.failure === undefined ? Promise.resolve() : Promise.reject(this.failure)
  }
}

/** `news` changes its genre at minute 2; of `film` everything is known, of `new` nothing. */
function sourceOfAll(): TestSource {
  return new TestSource()
    .put(
      'news',
      { validFromMs: 0, title: 'News', contentType: 'live', genre: 'talk' },
      { validFromMs: at(2), title: 'News at two', contentType: 'live', genre: 'news' },
    )
    .put('film', {
      validFromMs: 0,
      title: 'Pilot',
      contentType: 'vod',
      genre: 'drama',
      season: 1,
      seriesId: 's-1',
      seriesTitle: 'A series',
      provider: 'Studio',
    })
}

let warehouse: TestWarehouse
beforeEach(async () => {
  warehouse = await TestWarehouse.create()
})
afterEach(async () => {
  await stopTestServings()
  warehouse.close()
})

interface Setup {
  readonly source?: TestSource | undefined
  /** Minutes before this one are in the history alone. */
  readonly boundary?: number
  /** How long ago the last of the minutes ended; long enough for the history when absent. */
  readonly minutesAgo?: number
}

const PLAYS = { news: 3, film: 5, new: 7, other: 11 } as const
const MINUTES = 4

/** Four minutes of plays, the earlier ones in the history and the later ones in the speed store. */
async function serve({ source, boundary = 0, minutesAgo = 24 * 60 }: Setup) {
  const clock = new ManualClock(at(MINUTES + minutesAgo))
  const speed = new MemorySpeedStore()
  const rows = Array.from({ length: MINUTES }, (_, minute) =>
    Object.entries(PLAYS).map(([id, plays]) => ({ minute, id, values: { plays, events: plays } })),
  ).flat()
  await speed.putMinutes(
    rows
      .filter(({ minute }) => minute >= boundary)
      .flatMap(({ minute, id, values }) => {
        const row = { minuteStartMs: at(minute), aggregates: values }
        return [
          minuteRow({ ...row, cut: 'content', key: JSON.stringify([id]) }),
          minuteRow({
            ...row,
            cut: 'cdn+content',
            key: JSON.stringify([id === 'other' ? 'other' : 'a', id]),
          }),
        ]
      }),
  )
  await speed.putPartitions([partitionRow(clock.nowMs())])
  if (boundary > 0)
    await warehouse.write(
      insert(
        tables.qoeMinute,
        ...rows
          .filter(({ minute }) => minute < boundary)
          .flatMap(({ minute, id, values }) => [
            qoeMinute(at(minute), values, { cut: content, key: [id] }),
            qoeMinute(at(minute), values, {
              cut: cdnContent,
              key: [id === 'other' ? 'other' : 'a', id],
            }),
          ]),
      ),
      controlRows(1, [at(boundary) + 1 + paneLifeOf(DEFAULT_FOLD_LIMITS)]),
    )
  const { serving } = await startTestServing({
    speed,
    clock,
    ...(boundary > 0 ? { batch: { warehouse } } : {}),
    ...(source === undefined ? {} : { content: { source, refreshMs: 1_000 } }),
  })
  const ask = async (path: string) => (await fetch(`${serving.url}${path}`)).json()
  const range = `from=${at(0)}&to=${at(MINUTES)}`
  return {
    clock,
    serving,
    qoe: async (query: string) => qoeResponseSchema.parse(await ask(`/v1/qoe?${range}&${query}`)),
    top: async (query: string) => topResponseSchema.parse(await ask(`/v1/top?${range}&${query}`)),
    refusal: (query: string) => ask(`/v1/qoe?${range}&${query}`),
  }
}

/** Plays of each series by minute. */
const playsOf = ({ series }: Awaited<ReturnType<Awaited<ReturnType<typeof serve>>['qoe']>>) =>
  Object.fromEntries(
    series.map(({ key, buckets }) => [
      Object.values(key).join('/'),
      buckets.map(({ plays }) => plays),
    ]),
  )

describe('a cut by metadata', () => {
  it.each([
    ['live', 0],
    ['across the boundary, before a change of the metadata', 1],
    ['across the boundary, at the change', 2],
    ['in the history', 4],
  ])('is the sum of the contents that had the value at the minute, %s', async (_, boundary) => {
    const { qoe } = await serve({ source: sourceOfAll(), boundary })
    const found = await qoe('by=genre')
    expect(playsOf(found)).toEqual({
      talk: [3, 3, 0, 0],
      news: [0, 0, 3, 3],
      drama: [5, 5, 5, 5],
      unknown: [7, 7, 7, 7],
      other: [11, 11, 11, 11],
    })
    expect(found.series.at(-1)).toMatchObject({ key: { genre: 'other' }, other: true })
    expect(found).toMatchObject({ cut: 'content', content: { contents: 2, stale: false } })
    const sources = found.series[0]?.buckets.map(({ source }) => source)
    expect(sources?.filter((source) => source === 'history')).toHaveLength(boundary)
  })

  it('goes with dimensions of cuts, and filters', async () => {
    const { qoe } = await serve({ source: sourceOfAll(), boundary: 2 })
    expect(playsOf(await qoe('by=cdn,contentType'))).toEqual({
      'a/live': [3, 3, 3, 3],
      'a/vod': [5, 5, 5, 5],
      'a/unknown': [7, 7, 7, 7],
      'other/other': [11, 11, 11, 11],
    })
    expect(playsOf(await qoe('by=content&where=contentType:live'))).toEqual({ news: [3, 3, 3, 3] })
    expect(playsOf(await qoe('by=series&where=genre:drama&where=genre:news'))).toEqual({
      's-1': [5, 5, 5, 5],
      unknown: [0, 0, 3, 3],
    })
    expect(playsOf(await qoe('where=genre:nobody'))).toEqual({ '': [0, 0, 0, 0] })
  })

  it('gives titles of contents and series', async () => {
    const { qoe, top } = await serve({ source: sourceOfAll() })
    const titles = (await qoe('by=content')).series.map(({ key, title }) => [key['content'], title])
    expect(titles).toEqual([
      ['new', undefined],
      ['film', 'Pilot'],
      ['news', 'News at two'],
      ['other', undefined],
    ])
    const { items } = await top('by=series&metric=plays')
    expect(items.map(({ key, title, value }) => [key['series'], title, value])).toEqual([
      ['unknown', undefined, 40],
      ['s-1', 'A series', 20],
    ])
  })

  it('fills in what was unknown once the metadata comes, in closed minutes too', async () => {
    const source = sourceOfAll()
    const { qoe } = await serve({ source, boundary: 2 })
    expect(playsOf(await qoe('by=contentType'))).toHaveProperty('unknown')
    source.put('new', { validFromMs: at(1), title: 'New', contentType: 'vod' })
    expect(playsOf(await qoe('by=contentType'))).toMatchObject({
      unknown: [7, 0, 0, 0],
      vod: [5, 12, 12, 12],
    })
    source.catalogue.delete('film')
    expect(playsOf(await qoe('by=contentType'))).toMatchObject({ vod: [0, 7, 7, 7] })
  })

  it('is followed live', async () => {
    const source = sourceOfAll()
    const { serving } = await serve({ source, minutesAgo: 1 })
    const socket = new WebSocket(`${serving.url.replace('http', 'ws')}/v1/live`)
    try {
      const update = await new Promise<unknown>((resolve, reject) => {
        socket.onerror = () => reject(new Error('the connection failed'))
        socket.onmessage = ({ data }) => resolve(JSON.parse(String(data)))
        const subscribe = { id: 'x', by: ['genre'], where: ['contentType:vod'], minutes: 10 }
        socket.onopen = () => socket.send(JSON.stringify({ subscribe }))
      })
      expect(update).toMatchObject({
        update: { content: { contents: 2 }, series: [{ key: { genre: 'drama' } }] },
      })
    } finally {
      socket.close()
    }
  })

  it('is refused where there is no metadata, and a cut by content is not', async () => {
    const { qoe, refusal } = await serve({})
    expect(await refusal('by=genre')).toMatchObject({ status: 400, code: 'SERVING_CONTENT_ABSENT' })
    expect(await refusal('where=series:s-1')).toMatchObject({ code: 'SERVING_CONTENT_ABSENT' })
    const found = await qoe('by=content')
    expect(found.series).toHaveLength(4)
    expect(found.content).toBeUndefined()
  })

  it('says how old the metadata is, counts what fails, and goes on with the last good', async () => {
    const source = sourceOfAll()
    const { qoe, clock, serving } = await serve({ source })
    source.failure = contentErrors.create('CONTENT_FILE_REFUSED')
    const asOfMs = clock.nowMs()
    await clock.advance(70_000)
    const found = await qoe('by=genre')
    expect(found.content).toEqual({ contents: 2, asOfMs, stale: true })
    expect(playsOf(found)).toMatchObject({ drama: [5, 5, 5, 5] })
    const metrics = await (await fetch(`${serving.url}/metrics`)).text()
    expect(metrics).toMatch(/serving_content_failures_total\{code="CONTENT_FILE_REFUSED"\} [1-9]/)
    expect(await gauge(serving, 'serving_content_contents')).toBe(2)
    expect(await gauge(serving, 'serving_content_as_of_ms')).toBe(asOfMs)
    source.failure = undefined
    await clock.advance(1_000)
    expect((await qoe('by=genre')).content).toMatchObject({ stale: false })
  })
})

describe('grouping by metadata', () => {
  const ids = ['a', 'b', 'c', 'other'] as const
  const row = fc.record({
    minute: fc.integer({ min: 0, max: 5 }),
    id: fc.constantFrom(...ids),
    values: minuteAggregates,
  })

  it('merges exactly the rows whose content had the value at the minute, however they lie', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(row, { selector: ({ minute, id }) => `${minute} ${id}`, maxLength: 20 }),
        fc.array(fc.tuple(fc.constantFrom(...ids), anyVersion), { maxLength: 10 }),
        fc.constantFrom(...CONTENT_DIMENSIONS),
        (rows, known, dimension) => {
          const catalogue = new Catalogue()
          for (const [contentId, list] of Map.groupBy(known, ([id]) => id))
            catalogue.put({ contentId, versions: inOrder(list.map(([, version]) => version)) })
          const minutes = new Map<number, Map<string, MinuteAggregates>>()
          for (const { minute, id, values } of rows) {
            const startMs = minute * 1_000
            const keys = minutes.get(startMs) ?? new Map<string, MinuteAggregates>()
            minutes.set(startMs, keys.set(JSON.stringify([id]), values))
          }
          const view = { at: catalogue.at.bind(catalogue), state: () => NO_STATE }
          const selection = { cut: content, by: [dimension], where: new Map(), content: view }
          const groups = groupKeys(minutes, selection, 100)
          // The other way round: every row asks all versions that were ever given.
          const valueOf = ({ id, minute }: (typeof rows)[number]) => {
            if (id === 'other') return 'other'
            const begun = known.flatMap(([of, version]) =>
              of === id && version.validFromMs <= minute * 1_000 ? version : [],
            )
            const latestMs = Math.max(...begun.map(({ validFromMs }) => validFromMs))
            const version = begun.findLast(({ validFromMs }) => validFromMs === latestMs)
            return contentValue(dimension, version)
          }
          const expected = [...Map.groupBy(rows, valueOf)].map(([value, own]) => [
            value,
            new Map(
              [...Map.groupBy(own, ({ minute }) => minute * 1_000)].map(([startMs, list]) => [
                startMs,
                mergeAggregates(list.map(({ values }) => values)),
              ]),
            ),
          ])
          expect(
            new Map(groups.map((group) => [group.key[dimension], asMerged(group.minutes)])),
          ).toEqual(new Map(expected as [string, Map<number, MinuteAggregates>][]))
        },
      ),
      { numRuns: 60 },
    )
  })
})

const NO_STATE = { contents: 0, asOfMs: null, stale: false }

/** A row alone is handed on as it is; the oracle merges it. */
function asMerged(minutes: ReadonlyMap<number, MinuteAggregates>): Map<number, MinuteAggregates> {
  return new Map([...minutes].map(([startMs, values]) => [startMs, mergeAggregates([values])]))
}

describe('a session', () => {
  const T0 = TEST_EPOCH_MS

  it('has the metadata of its content as of its beginning, each part its own', async () => {
    const source = new TestSource().put(
      'movie-1',
      { validFromMs: 0, title: 'Working title' },
      { validFromMs: T0, title: 'As it began' },
      { validFromMs: T0 + 1, title: 'Later' },
    )
    const partition = new TestPartition().frame({
      loggedAtMs: T0 + 7_000,
      events: [{ seq: 0, type: 'playbackRequest', at: T0 }],
    })
    const { summary } = await partition.show('', {}, source.catalogue)
    expect(summary.content).toEqual({ validFromMs: T0, title: 'As it began' })
    const unknown = await partition.show('', {}, new Catalogue())
    expect(unknown.summary).not.toHaveProperty('content')
  })
})
