/** Content metadata in the history: as of the beginning of each part, and filled in by later runs. */
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Catalogue } from '../shared/content/catalogue.ts'
import { contentErrors } from '../shared/content/content-errors.ts'
import { inOrder, type ContentVersion } from '../shared/content/content-record.ts'
import type { ContentSource } from '../shared/content/content-source.ts'
import { anyVersion } from '../shared/content/testing/content-arbitrary.ts'
import { partitionOf } from '../shared/log/partitioner.ts'
import { encodeFrameRecord, encodeTick, FRAME_SCHEMA } from '../shared/log/record.ts'
import { TOPICS } from '../shared/log/topics.ts'
import { ManualClock } from '../shared/runtime/clock.ts'
import type { BackhaulError } from '../shared/runtime/errors.ts'
import { tables } from '../shared/warehouse/tables.ts'
import { warehouseErrors } from '../shared/warehouse/warehouse-errors.ts'
import type { Warehouse, WarehouseSession } from '../shared/warehouse/warehouse.ts'
import { BatchMachine, PARTITIONS, type Ports } from './testing/batch-machine.ts'

const T0 = Date.parse('2026-03-01T12:00:00Z')
const DAY_MS = 86_400_000
const TIMEOUT_MS = 120_000

let machine: BatchMachine
let clock: ManualClock
beforeEach(async () => {
  clock = new ManualClock(T0)
  machine = await BatchMachine.open({ clock })
})
afterEach(() => machine.close())

/** A source that the test fills by hand. */
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

const version = (validFromMs: number, title: string, more: Partial<ContentVersion> = {}) => ({
  validFromMs,
  title,
  ...more,
})

/** A session that begins at a time of its device's clock, which is right. */
async function play(sessionId: string, contentId: string | undefined, atMs: number): Promise<void> {
  const value = encodeFrameRecord({
    contextJson: Buffer.from(JSON.stringify({ sessionId, contentId })),
    sentAtMs: clock.nowMs(),
    receivedAtMs: clock.nowMs(),
    rejectedSeqs: [],
    events: [
      { seq: 0, type: 'playbackRequest', at: atMs },
      { seq: 1, type: 'playbackStart', at: atMs + 500 },
    ].map((event) => Buffer.from(JSON.stringify(event))),
  })
  const record = { key: sessionId, value, headers: { schema: FRAME_SCHEMA } }
  await machine.ports.log.append(TOPICS.events, partitionOf(sessionId, PARTITIONS), [record])
}

/** Lets time pass, so that a run has something to take. */
async function tick(): Promise<void> {
  await clock.advance(60_000)
  for (let partition = 0; partition < PARTITIONS; partition += 1)
    await machine.ports.log.append(TOPICS.events, partition, [encodeTick()])
}

async function titles(): Promise<Record<string, unknown>> {
  const rows = await machine.query(
    'SELECT session_id, catalogue_title FROM sessions ORDER BY session_id',
  )
  return Object.fromEntries(rows.map((row) => [row['session_id'], row['catalogue_title']]))
}

const dimension = () => machine.query('SELECT * FROM content ORDER BY content_id, valid_from_ms')

describe('a part of a session', () => {
  it(
    'carries what held when it began, to the millisecond, and nothing where nothing is known',
    async () => {
      await clock.advance(60_000)
      await play('before', 'a', T0 + 9_999)
      await play('at', 'a', T0 + 10_000)
      await play('after', 'a', T0 + 20_000)
      await play('earlier', 'b', T0 + 9_999)
      await play('unknown', 'c', T0 + 10_000)
      await play('without', undefined, T0 + 10_000)
      const source = new TestSource()
        .put(
          'a',
          version(0, 'Working title', { contentType: 'vod' }),
          version(T0 + 10_000, 'A', {
            contentType: 'vod',
            season: 2,
            durationMs: 5_400_000,
            releaseDate: '2026-03-01',
            labels: { rating: '12' },
          }),
        )
        .put('b', version(T0 + 10_000, 'B'))
      await machine.run({ content: source })
      expect(await titles()).toEqual({
        before: 'Working title',
        at: 'A',
        after: 'A',
        earlier: null,
        unknown: null,
        without: null,
      })
      const [row] = await machine.query("SELECT * FROM sessions WHERE session_id = 'at'")
      expect(row).toMatchObject({
        catalogue_valid_from_ms: BigInt(T0 + 10_000),
        catalogue_content_type: 'vod',
        catalogue_season: 2n,
        catalogue_duration_ms: 5_400_000n,
        catalogue_release_date: '2026-03-01',
        catalogue_labels: '{"rating":"12"}',
        catalogue_genre: null,
      })
      expect(await dimension()).toMatchObject([
        { content_id: 'a', valid_from_ms: 0n, valid_to_ms: BigInt(T0 + 10_000), run: 1n },
        { content_id: 'a', valid_to_ms: null, valid_from_year: '2026-01-01', title: 'A' },
        { content_id: 'b', valid_from_ms: BigInt(T0 + 10_000), valid_to_ms: null },
      ])
    },
    TIMEOUT_MS,
  )

  it(
    'is filled in, changed and emptied by the next run, and only where it must be',
    async () => {
      await clock.advance(60_000)
      await play('s-a', 'a', T0)
      await play('s-b', 'b', T0)
      const source = new TestSource().put('a', version(0, 'A'))
      await machine.run({ content: source })
      expect(await titles()).toEqual({ 's-a': 'A', 's-b': null })
      const [untouched] = await machine.query("SELECT * FROM sessions WHERE session_id = 's-a'")
      const minutes = await machine.query('SELECT * FROM qoe_minute ORDER BY cut, minute_ms')

      // Late metadata, of a content that was played before it came.
      source.put('b', version(0, 'B'))
      await tick()
      await machine.run({ content: source })
      expect(await titles()).toEqual({ 's-a': 'A', 's-b': 'B' })

      // A version that began before the session did, and then the end of the other content.
      source.put('b', version(0, 'B'), version(T0, 'B, as restored'))
      await tick()
      await machine.run({ content: source })
      expect(await titles()).toEqual({ 's-a': 'A', 's-b': 'B, as restored' })
      expect(await machine.query("SELECT * FROM sessions WHERE session_id = 's-a'")).toEqual([
        untouched,
      ])
      // Nothing is said of its beginning any more.
      source.put('b', version(T0 + DAY_MS, 'B, a day later'))
      await tick()
      await machine.run({ content: source })
      expect(await titles()).toEqual({ 's-a': 'A', 's-b': null })
      source.put('b', version(0, 'B')).catalogue.delete('b')
      await tick()
      await machine.run({ content: source })
      expect(await titles()).toEqual({ 's-a': 'A', 's-b': null })
      expect((await dimension()).map((row) => row['content_id'])).toEqual(['a'])
      expect(await machine.query('SELECT * FROM qoe_minute ORDER BY cut, minute_ms')).toEqual(
        minutes,
      )
    },
    TIMEOUT_MS,
  )

  it(
    'keeps the last good when the source cannot be read, or holds nothing yet',
    async () => {
      await clock.advance(60_000)
      await play('s-a', 'a', T0)
      const source = new TestSource().put('a', version(0, 'A'))
      await machine.run({ content: source })
      source.failure = contentErrors.create('CONTENT_FILE_UNREADABLE')
      await play('s-later', 'a', clock.nowMs())
      await machine.run({ content: source })
      const metrics = await machine.telemetry.registry.metrics()
      expect(metrics).toContain('batch_content_failures_total{code="CONTENT_FILE_UNREADABLE"} 1')
      await play('s-started-anew', 'a', clock.nowMs())
      await machine.run({ content: new TestSource() })
      await play('s-none', 'a', clock.nowMs())
      await machine.run()
      expect(new Set(Object.values(await titles()))).toEqual(new Set(['A']))
      expect(await dimension()).toHaveLength(1)
    },
    TIMEOUT_MS,
  )

  it(
    'says what the metadata says at last, also when a run was cut off before it was done',
    async () => {
      await clock.advance(60_000)
      await play('s-a', 'a', T0)
      await play('s-b', 'b', T0)
      const source = new TestSource().put('a', version(0, 'A'))
      await machine.run({ content: source })
      source
        .put('a', version(0, 'A for a moment'), version(T0 + DAY_MS, 'A tomorrow'))
        .put('b', version(0, 'B for a moment'))
      await play('s-new', 'b', clock.nowMs())
      await expect(machine.run({ content: source, wrap: failingOnContent })).rejects.toThrow(
        /WAREHOUSE_UNAVAILABLE/,
      )
      expect(await titles()).toMatchObject({ 's-a': 'A for a moment', 's-new': 'B for a moment' })
      // What was said meanwhile is taken back before the next try.
      source.put('a', version(T0 + DAY_MS, 'A tomorrow')).catalogue.delete('b')
      await clock.advance(1_000)
      await machine.run({ content: source })
      expect(await titles()).toEqual({ 's-a': null, 's-b': null, 's-new': null })
      expect(await dimension()).toMatchObject([{ content_id: 'a', title: 'A tomorrow' }])
      expect((await dimension()).map((row) => row['content_hash'])).not.toContain('')
    },
    TIMEOUT_MS,
  )

  it(
    'agrees with a look-up in all versions that were ever given',
    async () => {
      await clock.advance(60_000)
      const ids = ['a', 'b', 'c']
      for (const id of ids)
        for (let second = 0; second < 7; second += 1)
          await play(`${id}-${second}`, id, T0 + second * 1_000)
      const [given = []] = fc.sample(
        fc.array(fc.tuple(fc.constantFrom(...ids), anyVersion), { minLength: 8, maxLength: 12 }),
        { numRuns: 1, seed: 5 },
      )
      const source = new TestSource()
      for (const [id, list] of Map.groupBy(given, ([contentId]) => contentId))
        source.put(id, ...list.map(([, one]) => ({ ...one, validFromMs: T0 + one.validFromMs })))
      await machine.run({ content: source })
      const expected = ids.flatMap((id) =>
        Array.from({ length: 7 }, (_, second) => {
          const begun = given.filter(
            ([of, { validFromMs }]) => of === id && validFromMs <= second * 1_000,
          )
          const latestMs = Math.max(...begun.map(([, { validFromMs }]) => validFromMs))
          const found = begun.findLast(([, { validFromMs }]) => validFromMs === latestMs)
          return [`${id}-${second}`, found?.[1].title ?? null]
        }),
      )
      expect(await titles()).toEqual(Object.fromEntries(expected))
    },
    TIMEOUT_MS,
  )
})

/** A warehouse that cannot write the table of content metadata, which is the last of the facts. */
function failingOnContent(ports: Ports): Ports {
  // The first of a run marks what has changed.
  let writes = 0
  const open = async (): Promise<WarehouseSession> => {
    const session = await ports.warehouse.open()
    return new Proxy(session, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target)
        if (typeof value !== 'function') return value
        return (...args: readonly unknown[]) => {
          const [request] = args as [{ table?: string } | undefined]
          if (name === 'replaceRows' && request?.table === tables.content.name && ++writes === 2)
            throw warehouseErrors.create('WAREHOUSE_UNAVAILABLE')
          return Reflect.apply(value, target, args) as unknown
        }
      },
    })
  }
  const warehouse: Warehouse = {
    ensureTables: (specs) => ports.warehouse.ensureTables(specs),
    open,
    close: () => ports.warehouse.close(),
  }
  return { ...ports, warehouse }
}
