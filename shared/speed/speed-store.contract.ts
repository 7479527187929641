/** The contract of `SpeedStore` as tests; every adapter runs them. */
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { COUNTER_NAMES, MINUTE_MS, type MinuteAggregates } from '../qoe/aggregates.ts'
import type {
  MinuteRow,
  PartitionRow,
  PartSummary,
  PositionRow,
  RuleStateRow,
  SessionRow,
} from './rows.ts'
import type { MinuteQuery, SpeedStore, ViewerQuery } from './speed-store.ts'

/** One empty storage of an adapter. */
export interface SpeedStoreHarness {
  /** Opens the store on this storage; handles opened before are closed. */
  open(): Promise<SpeedStore>
  /** The store's time, by which rows expire. */
  nowMs(): number
  /** Lets the store's time pass. */
  pass(durationMs: number): Promise<void>
  dispose(): Promise<void>
}

const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
/** A full minute, far enough ahead that nothing expires by chance. */
const START_MS = 1_800_000_000_000
const LATE_MS = START_MS + 3_650 * DAY_MS

export function aggregates(overrides: Partial<MinuteAggregates> = {}): MinuteAggregates {
  const counters = Object.fromEntries(COUNTER_NAMES.map((name, index) => [name, index]))
  return {
    ...(counters as Pick<MinuteAggregates, (typeof COUNTER_NAMES)[number]>),
    bitsPlayed: 9_007_199_254_740_993n,
    startupHistogram: [
      [0, 1],
      [130, 2],
    ],
    concurrentPlays: [1, 2, 3, 4, 5, 6],
    concurrentViewers: [0, 1, 0, 1, 0, 1],
    viewerRegisters: [[4_095, 53]],
    ...overrides,
  }
}

const ORIGIN = { view: 'view-1', topicEpoch: 0, partition: 3, generation: 1 }
const VERSION = { stampUs: 1_000, lastOffset: 17, expiresAtMs: LATE_MS }

export function minuteRow(overrides: Partial<MinuteRow> = {}): MinuteRow {
  return {
    ...ORIGIN,
    ...VERSION,
    cut: 'cdn',
    key: '["a"]',
    minuteStartMs: START_MS,
    aggregates: aggregates(),
    ...overrides,
  }
}

const PART: PartSummary = {
  part: 0,
  contentId: 'movie-1',
  firstEventTimeMs: START_MS,
  lastEventTimeMs: START_MS + 5,
  state: 'ended',
  endReason: 'finish',
  attempt: 1,
  play: 1,
  ebvs: 0,
  ebvsLong: 0,
  vsf: 0,
  vpf: 0,
  endedPlay: 1,
  failed: 0,
  startupMs: 900,
  playerStartupMs: undefined,
  stallCount: 1,
  stallMs: 20,
  playingMs: 300,
  watchedMs: 1_220,
  mediaUs: 300_000,
  ratedMediaUs: 300_000,
  bitsPlayed: 12_345_678_901_234_567_890n,
  events: 8,
}

export function sessionRow(overrides: Partial<SessionRow> = {}): SessionRow {
  return {
    ...ORIGIN,
    ...VERSION,
    sessionId: 'session-1',
    incarnation: 0,
    contextJson: '{"sessionId":"session-1","contentTitle":"Ünïcode ✓"}',
    parts: [PART, { ...PART, part: 1, endReason: undefined, state: 'playing' }],
    quality: {
      lost: 1,
      duplicates: 2,
      late: 3,
      amended: 4,
      afterClose: 5,
      rejected: 6,
      repairs: { state: 1, backwards: 2, context: 3, clamped: 4 },
    },
    closed: false,
    clockOffsetMs: -250,
    firstReceivedAtMs: START_MS,
    lastLoggedAtMs: START_MS + 900,
    positionCount: 130,
    ...overrides,
  }
}

export function positionRow(overrides: Partial<PositionRow> = {}): PositionRow {
  return {
    ...ORIGIN,
    ...VERSION,
    sessionId: 'session-1',
    incarnation: 0,
    rowNumber: 0,
    positions: [
      { offset: 4, loggedAtMs: START_MS },
      { offset: 9, loggedAtMs: START_MS + 1 },
    ],
    ...overrides,
  }
}

export function partitionRow(overrides: Partial<PartitionRow> = {}): PartitionRow {
  return {
    ...ORIGIN,
    ...VERSION,
    appliedOffset: 10,
    narrowOffset: 9,
    wideOffset: 8,
    sessionOffset: 7,
    watermarkMs: START_MS,
    lastLoggedAtMs: START_MS + 2_000,
    narrowWatermarkMs: START_MS - 1,
    wideWatermarkMs: START_MS - 2,
    generationStartMs: START_MS - 3,
    ...overrides,
  }
}

function ruleStateRow(overrides: Partial<RuleStateRow> = {}): RuleStateRow {
  return {
    view: 'view-1',
    ruleId: 'stalled-time-by-cdn',
    stampUs: START_MS * 1_000,
    expiresAtMs: LATE_MS,
    stateJson: '{"keys":{"[\\"Ünïcode ✓\\"]":{"breaching":1}}}',
    ...overrides,
  }
}

const QUERY: MinuteQuery = {
  view: ORIGIN.view,
  cut: 'cdn',
  fromMs: START_MS,
  toMs: START_MS + 60 * MINUTE_MS,
  limit: 10_000,
}

export function describeSpeedStore(
  name: string,
  createHarness: () => Promise<SpeedStoreHarness>,
): void {
  describe(`${name} keeps the speed store contract`, () => {
    let harness: SpeedStoreHarness
    let store: SpeedStore

    beforeEach(async () => {
      harness = await createHarness()
      store = await harness.open()
    })
    afterEach(async () => {
      await store.close()
      await harness.dispose()
    })

    const reopen = async (): Promise<void> => {
      await store.close()
      store = await harness.open()
    }
    const minutes = async (query: Partial<MinuteQuery> = {}): Promise<MinuteRow[]> =>
      (await store.readMinutes({ ...QUERY, ...query })).toSorted(byMinuteAndKey)

    describe('minutes', () => {
      it('come back as they were written, also after the store was opened anew', async () => {
        const rows = [
          minuteRow(),
          minuteRow({ key: '["ü","é\\n"]', lastOffset: 0, stampUs: 2 ** 52 }),
          minuteRow({
            partition: -1,
            generation: 0,
            aggregates: aggregates({ startupHistogram: [], viewerRegisters: [] }),
          }),
        ]
        await store.putMinutes(rows)
        const expected = rows.toSorted(byMinuteAndKey)
        expect(await minutes()).toEqual(expected)
        await reopen()
        expect(await minutes()).toEqual(expected)
      })

      it('are found by view, cut and time, the end of the time not included', async () => {
        const at = (minute: number, overrides: Partial<MinuteRow> = {}) =>
          minuteRow({ minuteStartMs: START_MS + minute * MINUTE_MS, ...overrides })
        const wanted = [at(0), at(1), at(1, { key: '["b"]' }), at(2)]
        await store.putMinutes([
          ...wanted,
          at(-1),
          at(3),
          at(1, { cut: 'total', key: '[]' }),
          at(1, { view: 'view-2' }),
        ])
        const found = await minutes({ toMs: START_MS + 3 * MINUTE_MS })
        expect(found).toEqual(wanted.toSorted(byMinuteAndKey))
        expect(await minutes({ fromMs: START_MS + 1 })).not.toContainEqual(at(0))
        expect(await minutes({ toMs: START_MS })).toEqual([])
        expect(await minutes({ cut: 'content' })).toEqual([])
      })

      it('of every partition, epoch and generation are found side by side', async () => {
        const rows = [
          minuteRow({ partition: 0 }),
          minuteRow({ partition: 1 }),
          minuteRow({ partition: 1, generation: 2 }),
          minuteRow({ partition: 1, topicEpoch: 1 }),
        ]
        await store.putMinutes(rows)
        expect(await minutes()).toHaveLength(4)
        expect(await minutes()).toEqual(expect.arrayContaining(rows))
      })

      it('of a repair, partition −1, are found and decided like those of any partition', async () => {
        const repaired = minuteRow({ partition: -1, generation: 0, stampUs: 5 })
        const later = minuteRow({ partition: -1, minuteStartMs: START_MS + MINUTE_MS })
        const rows = [
          repaired,
          later,
          minuteRow({ partition: 0 }),
          minuteRow({ partition: 65_534 }),
        ]
        await store.putMinutes(rows)
        await store.putMinutes([{ ...repaired, stampUs: 4, lastOffset: 0 }])
        await store.putPartitions([partitionRow({ partition: -1 })])
        const expected = rows.toSorted(byMinuteAndKey)
        expect(await minutes()).toEqual(expected)
        expect(await minutes({ keys: ['["a"]'] })).toEqual(expected)
        expect(await minutes({ fromMs: START_MS + 1 })).toEqual([later])
        const replaced = { ...repaired, stampUs: 6, lastOffset: 99 }
        await store.putMinutes([replaced])
        await reopen()
        expect((await minutes()).filter(({ partition }) => partition === -1)).toEqual([
          replaced,
          later,
        ])
        expect(await store.readPartitions('view-1')).toEqual([partitionRow({ partition: -1 })])
      })

      it('can be asked for by keys, few or many', async () => {
        const keys = range(40).map((index) => `["k${index}"]`)
        const rows = range(5).flatMap((minute) =>
          keys.map((key) => minuteRow({ key, minuteStartMs: START_MS + minute * MINUTE_MS })),
        )
        await store.putMinutes(rows)
        for (const asked of [keys.slice(7, 9), keys.slice(1), [...keys, '["absent"]'], []]) {
          const expected = rows.filter(({ key }) => asked.includes(key))
          expect(await minutes({ keys: asked })).toEqual(expected.toSorted(byMinuteAndKey))
        }
      })

      it('are found by keys over a very long time', async () => {
        const rows = [
          minuteRow(),
          minuteRow({ minuteStartMs: START_MS + 90 * DAY_MS, key: '["b"]' }),
        ]
        await store.putMinutes([...rows, minuteRow({ key: '["c"]' })])
        const found = await minutes({ toMs: START_MS + 91 * DAY_MS, keys: ['["a"]', '["b"]'] })
        expect(found).toEqual(rows)
      })

      it('beyond the limit refuse the query; exactly the limit is answered', async () => {
        await store.putMinutes(range(11).map((partition) => minuteRow({ partition })))
        expect(await minutes({ limit: 11 })).toHaveLength(11)
        const tooMany = store.readMinutes({ ...QUERY, limit: 10 })
        await expect(tooMany).rejects.toMatchObject({ code: 'SPEED_QUERY_TOO_LARGE' })
      })

      it('are read whole however many there are, in one call or several', async () => {
        const rows = range(1_500).map((index) =>
          minuteRow({
            key: `["k${index % 50}"]`,
            minuteStartMs: START_MS + Math.floor(index / 50) * MINUTE_MS,
          }),
        )
        await store.putMinutes(rows)
        expect(await minutes()).toHaveLength(1_500)
        expect(await minutes({ keys: ['["k3"]', '["k4"]'] })).toHaveLength(60)
      })
    })

    describe('the write stamp', () => {
      it('keeps a row from being replaced by one of a lower stamp', async () => {
        const newer = minuteRow({ stampUs: 2_000, lastOffset: 2 })
        const older = minuteRow({ stampUs: 1_999, lastOffset: 1 })
        await store.putMinutes([newer])
        await store.putMinutes([older])
        expect(await minutes()).toEqual([newer])
        await store.putSessions([sessionRow({ stampUs: 9, closed: true })], [])
        await store.putSessions([sessionRow({ stampUs: 8 })], [])
        expect(await store.readSession('view-1', 'session-1')).toMatchObject([{ closed: true }])
        await store.putPartitions([partitionRow({ stampUs: 9 })])
        await store.putPartitions([partitionRow({ stampUs: 8, appliedOffset: 1 })])
        expect(await store.readPartitions('view-1')).toEqual([partitionRow({ stampUs: 9 })])
      })

      it('lets the same row be written again, which changes nothing', async () => {
        await store.putMinutes([minuteRow()])
        await store.putMinutes([minuteRow(), minuteRow()])
        expect(await minutes()).toEqual([minuteRow()])
      })

      it('decides whatever the order of the writes and however they overlap', async () => {
        const writes = fc.array(fc.tuple(fc.nat({ max: 3 }), fc.integer({ min: 1, max: 20 })), {
          minLength: 1,
          maxLength: 12,
        })
        let view = 0
        await fc.assert(
          fc.asyncProperty(writes, async (pairs) => {
            view += 1
            const rows = pairs.map(([partition, stampUs]) =>
              minuteRow({ view: `${view}`, partition, stampUs, lastOffset: stampUs }),
            )
            await Promise.all(rows.map((row) => store.putMinutes([row])))
            const highest = new Map<number, number>()
            for (const [partition, stampUs] of pairs)
              highest.set(partition, Math.max(stampUs, highest.get(partition) ?? 0))
            const found = await minutes({ view: `${view}` })
            expect(new Map(found.map((row) => [row.partition, row.stampUs]))).toEqual(highest)
          }),
          { numRuns: 20 },
        )
      })
    })

    describe('sessions', () => {
      it('come back as they were written, every incarnation, partition and generation', async () => {
        const rows = [
          sessionRow(),
          sessionRow({ incarnation: 1 }),
          sessionRow({ partition: 4 }),
          sessionRow({ generation: 2 }),
        ]
        await store.putSessions(rows, [])
        await store.putSessions(
          [sessionRow({ view: 'view-2' }), sessionRow({ sessionId: 's2' })],
          [],
        )
        await reopen()
        const found = await store.readSession('view-1', 'session-1')
        expect(found).toHaveLength(4)
        expect(found).toEqual(expect.arrayContaining(rows))
        expect(await store.readSession('view-1', 'absent')).toEqual([])
      })

      it('have positions in the order of their rows, paged', async () => {
        const rows = range(5).map((rowNumber) => positionRow({ rowNumber }))
        const other = positionRow({ incarnation: 1, positions: [] })
        await store.putSessions([sessionRow()], [...rows.toReversed(), other])
        const [session] = await store.readSession('view-1', 'session-1')
        if (session === undefined) throw new Error('the session was written')
        expect(await store.readPositions(session, 0, 100)).toEqual(rows)
        expect(await store.readPositions(session, 2, 2)).toEqual(rows.slice(2, 4))
        expect(await store.readPositions(session, 5, 2)).toEqual([])
        expect(await store.readPositions({ ...session, incarnation: 1 }, 0, 9)).toEqual([other])
      })

      it('stand with their positions at the latest when they are seen, in large writes too', async () => {
        const sessions = range(400).map((index) => sessionRow({ sessionId: `s${index}` }))
        const positions = sessions.map(({ sessionId }) => positionRow({ sessionId }))
        const writing = store.putSessions(sessions, positions)
        let ended = false
        void writing.then(() => (ended = true))
        do {
          for (const session of await store.readRecentSessions('view-1', 5))
            expect(await store.readPositions(session, 0, 1)).toHaveLength(1)
          await new Promise(setImmediate)
        } while (!ended)
        await writing
        expect(await store.readRecentSessions('view-1', 1_000)).toHaveLength(400)
      })

      it('are listed newest first by start of arrival', async () => {
        const at = (index: number) =>
          sessionRow({ sessionId: `s${index}`, firstReceivedAtMs: START_MS + index })
        await store.putSessions([at(2), at(0), at(3), at(1)], [])
        await store.putSessions([sessionRow({ view: 'view-2' })], [])
        expect(await store.readRecentSessions('view-1', 3)).toEqual([at(3), at(2), at(1)])
        expect(await store.readRecentSessions('view-1', 10)).toHaveLength(4)
      })

      it('are listed once, at their latest start of arrival', async () => {
        const moved = sessionRow({ firstReceivedAtMs: START_MS - 5, stampUs: 2_000 })
        await store.putSessions([sessionRow()], [])
        await store.putSessions([moved], [])
        expect(await store.readRecentSessions('view-1', 10)).toEqual([moved])
      })
    })

    describe('sessions of a viewer', () => {
      const [ANNA, BERT] = ['a'.repeat(32), 'b'.repeat(32)]
      const of = (viewerPseudonym: string, overrides: Partial<SessionRow> = {}) =>
        sessionRow({ contextJson: JSON.stringify({ viewerPseudonym }), ...overrides })
      const at = (index: number, viewer = ANNA, overrides: Partial<SessionRow> = {}) =>
        of(viewer, {
          sessionId: `s${index}`,
          firstReceivedAtMs: START_MS + index * HOUR_MS,
          ...overrides,
        })
      const read = (viewerPseudonym: string, query: Partial<ViewerQuery> = {}) =>
        store.readViewerSessions({
          view: 'view-1',
          viewerPseudonym,
          fromMs: START_MS - 30 * DAY_MS,
          toMs: START_MS + 30 * DAY_MS,
          limit: 100,
          ...query,
        })

      it('are found newest first, within the range and the limit, those of others not', async () => {
        const rows = [at(50), at(0), at(20), at(19)]
        await store.putSessions(rows, [])
        await store.putSessions([at(7, BERT), sessionRow({ sessionId: 'nobody’s' })], [])
        await store.putSessions([at(8, ANNA, { view: 'view-2' })], [])
        await reopen()
        expect(await read(ANNA)).toEqual([at(50), at(20), at(19), at(0)])
        expect(await read(ANNA, { limit: 2 })).toEqual([at(50), at(20)])
        const [fromMs, toMs] = [at(19).firstReceivedAtMs, at(50).firstReceivedAtMs]
        expect(await read(ANNA, { fromMs, toMs })).toEqual([at(20), at(19)])
        expect(await read(ANNA, { fromMs: fromMs + 1, toMs: fromMs + 1 })).toEqual([])
        expect(await read(BERT)).toEqual([at(7, BERT)])
        expect(await read('c'.repeat(32))).toEqual([])
      })

      it('are all there when they began at once, whatever they are rows of', async () => {
        const rows = [
          ...range(30).map((index) => of(ANNA, { sessionId: `s${index}` })),
          of(ANNA, { incarnation: 1 }),
          of(ANNA, { partition: 4, generation: 2, topicEpoch: 1 }),
        ]
        await store.putSessions(rows, [])
        const found = await read(ANNA)
        expect(found).toHaveLength(rows.length)
        expect(found).toEqual(expect.arrayContaining(rows))
        expect(await read(ANNA, { limit: 7 })).toEqual(found.slice(0, 7))
      })

      it('are found as their rows say now: the start of arrival, and the viewer of the latest part', async () => {
        const moved = at(-1, ANNA, { sessionId: 's1', stampUs: 2_000 })
        await store.putSessions([at(1)], [])
        await store.putSessions([at(1), moved], [])
        await store.putSessions([at(1)], [])
        expect(await read(ANNA)).toEqual([moved])
        const parts = [PART, { ...PART, part: 1 }, { ...PART, part: 2 }]
        const taken = at(-1, BERT, { sessionId: 's1', stampUs: 3_000, parts })
        await store.putSessions([taken], [])
        expect([await read(ANNA), await read(BERT)]).toEqual([[], [taken]])
        const left = { ...taken, stampUs: 4_000, contextJson: '{}', parts: [...parts, PART] }
        await store.putSessions([left], [])
        expect([await read(ANNA), await read(BERT)]).toEqual([[], []])
      })

      it('are gone when they are deleted, and there again when they are written again', async () => {
        await store.putSessions([at(1), at(2)], [])
        await store.deleteSession('view-1', 's1')
        expect(await read(ANNA)).toEqual([at(2)])
        const again = at(1, ANNA, { stampUs: 5_000 })
        await store.putSessions([again], [])
        expect(await read(ANNA)).toEqual([at(2), again])
      })

      it('are those of all rows with the viewer, however rows were written', async () => {
        const writes = fc.array(
          fc.record({
            sessionId: fc.constantFrom('s1', 's2', 's3'),
            stampUs: fc.integer({ min: 1, max: 9 }),
            call: fc.nat({ max: 2 }),
          }),
          { minLength: 1, maxLength: 12 },
        )
        let run = 0
        await fc.assert(
          fc.asyncProperty(writes, async (made) => {
            const view = `by-viewer-${(run += 1)}`
            // Who watches, and since when, follows from the stamp: equal stamps mean equal bytes.
            const rows = made.map(({ sessionId, stampUs, call }) => {
              const viewer = [ANNA, BERT, ''][stampUs % 3] ?? ''
              const firstReceivedAtMs = START_MS - Math.floor(stampUs / 4)
              const parts = [{ ...PART, part: stampUs }]
              const contextJson = viewer === '' ? '{}' : of(viewer).contextJson
              const row = { view, sessionId, stampUs, contextJson, firstReceivedAtMs, parts }
              return { call, row: sessionRow(row) }
            })
            const calls = Map.groupBy(rows, ({ call }) => call)
            await Promise.all(
              [...calls.values()].map((call) =>
                store.putSessions(
                  call.map(({ row }) => row),
                  [],
                ),
              ),
            )
            const all = await store.readSessions(view, { limit: 10 })
            for (const viewer of [ANNA, BERT]) {
              const expected = all.filter(({ contextJson }) => contextJson.includes(viewer))
              const found = await read(viewer, { view })
              expect(found.toSorted(bySession)).toEqual(expected.toSorted(bySession))
            }
          }),
          { numRuns: 20 },
        )
      })
    })

    describe('a deleted session', () => {
      const everyOrigin = [
        { incarnation: 0 },
        { incarnation: 1 },
        { partition: -1 },
        { partition: 4, generation: 2, topicEpoch: 1 },
      ]
      const sessions = (sessionId: string, view = 'view-1') =>
        everyOrigin.map((origin) => sessionRow({ ...origin, sessionId, view }))
      const positionsOf = (rows: readonly SessionRow[], count: number) =>
        rows.flatMap(({ sessionId, view, incarnation, partition, generation, topicEpoch }) =>
          range(count).map((rowNumber) =>
            positionRow({
              sessionId,
              view,
              incarnation,
              partition,
              generation,
              topicEpoch,
              rowNumber,
            }),
          ),
        )

      it('is gone with all its rows, positions and its place among the recent ones', async () => {
        const [gone, stays, elsewhere] = [
          sessions('gone'),
          sessions('stays'),
          sessions('gone', 'view-2'),
        ]
        for (const rows of [gone, stays, elsewhere])
          await store.putSessions(rows, positionsOf(rows, 3))
        await store.deleteSession('view-1', 'gone')
        await reopen()
        expect(await store.readSession('view-1', 'gone')).toEqual([])
        for (const row of gone) expect(await store.readPositions(row, 0, 10)).toEqual([])
        const recent = await store.readRecentSessions('view-1', 100)
        expect(recent.map(({ sessionId }) => sessionId)).toEqual(everyOrigin.map(() => 'stays'))
        for (const row of [...stays, ...elsewhere])
          expect(await store.readPositions(row, 0, 10)).toHaveLength(3)
        expect(await store.readSession('view-2', 'gone')).toHaveLength(everyOrigin.length)
      })

      it('is gone however many rows it has, and a second deletion finds nothing', async () => {
        const [row = sessionRow()] = sessions('long')
        await store.putSessions([row], positionsOf([row], 1_200))
        await store.deleteSession('view-1', 'long')
        expect(await store.readPositions(row, 0, 10)).toEqual([])
        await store.deleteSession('view-1', 'long')
        await store.deleteSession('view-1', 'absent')
      })

      it('takes with it what was written before, and nothing of what is written after', async () => {
        const before = store.putSessions([sessionRow()], [positionRow()])
        const deleting = store.deleteSession('view-1', 'session-1')
        await Promise.all([before, deleting])
        expect(await store.readSession('view-1', 'session-1')).toEqual([])
        const again = sessionRow({ stampUs: 5_000, firstReceivedAtMs: START_MS + 1 })
        await store.putSessions([again], [])
        expect(await store.readSession('view-1', 'session-1')).toEqual([again])
        expect(await store.readRecentSessions('view-1', 10)).toEqual([again])
        expect(await store.readPositions(again, 0, 10)).toEqual([])
      })
    })

    it('deletes minutes, progress and rule states of a view, and nothing of another', async () => {
      const rowsOf = (view: string) =>
        ['total', 'cdn', 'content'].flatMap((cut) =>
          [0, 1, 70].map((minute) =>
            minuteRow({
              view,
              cut,
              minuteStartMs: START_MS + minute * MINUTE_MS,
              stampUs: (START_MS + minute * MINUTE_MS) * 1_000 + 9,
            }),
          ),
        )
      for (const view of ['view-1', 'view-2']) {
        await store.putMinutes(rowsOf(view))
        await store.putPartitions([partitionRow({ view }), partitionRow({ view, generation: 9 })])
        await store.putRuleStates([ruleStateRow({ view })])
      }
      const minutes = {
        cuts: ['total', 'cdn', 'content'],
        fromMs: START_MS,
        toMs: START_MS + 2 * HOUR_MS,
      }
      await store.deleteView('view-1', minutes)
      await store.deleteView('view-1', minutes)
      await reopen()
      for (const [view, left] of [
        ['view-1', 0],
        ['view-2', 3],
      ] as const) {
        for (const cut of minutes.cuts) {
          const query = { view, ...minutes, cut, limit: 100 }
          expect(await store.readMinutes(query)).toHaveLength(left)
        }
        expect(await store.readPartitions(view)).toHaveLength(left === 0 ? 0 : 2)
        expect(await store.readRuleStates(view)).toHaveLength(left === 0 ? 0 : 1)
      }
    })

    describe('pages of sessions', () => {
      const allPages = async (view: string, limit: number): Promise<SessionRow[][]> => {
        const pages: SessionRow[][] = []
        let afterSessionId: string | undefined
        for (;;) {
          const after = afterSessionId === undefined ? {} : { afterSessionId }
          const page = await store.readSessions(view, { ...after, limit })
          if (page.length === 0) return pages
          pages.push(page)
          afterSessionId = page.at(-1)?.sessionId
        }
      }

      it('hold every session of the view once, with all its rows', async () => {
        const rows = range(1_300).flatMap((index) =>
          range(1 + (index % 3)).map((incarnation) =>
            sessionRow({ sessionId: `s${index}`, incarnation }),
          ),
        )
        await store.putSessions(rows, [])
        await store.putSessions([sessionRow({ view: 'view-2', sessionId: 'other' })], [])
        for (const limit of [1_300, 500, 7]) {
          const pages = await allPages('view-1', limit)
          for (const page of pages.slice(0, -1))
            expect(new Set(page.map(({ sessionId }) => sessionId)).size).toBe(limit)
          expect(pages.flat().toSorted(bySession)).toEqual(rows.toSorted(bySession))
        }
        expect((await allPages('view-2', 10)).flat()).toMatchObject([{ sessionId: 'other' }])
        expect(await allPages('absent', 10)).toEqual([])
      })

      it('go on after a session that was deleted meanwhile', async () => {
        await store.putSessions(
          range(20).map((index) => sessionRow({ sessionId: `s${index}` })),
          [],
        )
        const first = await store.readSessions('view-1', { limit: 8 })
        const last = first.at(-1)?.sessionId ?? ''
        await store.deleteSession('view-1', last)
        const rest = await store.readSessions('view-1', { afterSessionId: last, limit: 100 })
        const ids = [...first, ...rest].map(({ sessionId }) => sessionId)
        expect(new Set(ids).size).toBe(20)
        expect(rest).toHaveLength(12)
      })
    })

    it('keeps partition rows apart by view', async () => {
      const rows = [partitionRow(), partitionRow({ partition: 0 }), partitionRow({ generation: 9 })]
      await store.putPartitions([...rows, partitionRow({ view: 'view-2' })])
      const found = await store.readPartitions('view-1')
      expect(found).toHaveLength(3)
      expect(found).toEqual(expect.arrayContaining(rows))
      expect(await store.readPartitions('view-3')).toEqual([])
    })

    it('keeps one state a rule and view, also after the store was opened anew', async () => {
      const rows = [ruleStateRow(), ruleStateRow({ ruleId: 'other' })]
      await store.putRuleStates([...rows, ruleStateRow({ view: 'view-2' })])
      await reopen()
      const found = await store.readRuleStates('view-1')
      expect(found).toHaveLength(2)
      expect(found).toEqual(expect.arrayContaining(rows))
      expect(await store.readRuleStates('view-3')).toEqual([])
    })

    it('keeps the state of a rule of the highest stamp, however large', async () => {
      const newest = ruleStateRow({ stampUs: 9, stateJson: JSON.stringify('x'.repeat(500_000)) })
      await store.putRuleStates([ruleStateRow({ stampUs: 8 })])
      await store.putRuleStates([newest])
      await store.putRuleStates([ruleStateRow({ stampUs: 7 })])
      expect(await store.readRuleStates('view-1')).toEqual([newest])
    })

    it('does not read rows past their time, nor count them', async () => {
      const soon = { expiresAtMs: harness.nowMs() + 2_000 }
      await store.putMinutes([minuteRow(), minuteRow({ key: '["b"]', ...soon })])
      const viewer = { view: 'view-1', viewerPseudonym: 'a'.repeat(32), limit: 9 }
      const contextJson = JSON.stringify({ viewerPseudonym: viewer.viewerPseudonym })
      await store.putSessions(
        [sessionRow({ ...soon, contextJson }), sessionRow({ sessionId: 's2', contextJson })],
        [positionRow({ sessionId: 's2' }), positionRow({ sessionId: 's2', rowNumber: 1, ...soon })],
      )
      await store.putPartitions([partitionRow(soon)])
      await store.putRuleStates([ruleStateRow(soon)])
      expect(await minutes()).toHaveLength(2)
      expect(await store.readPartitions('view-1')).toHaveLength(1)
      await harness.pass(2_001)
      expect(await minutes({ limit: 1 })).toEqual([minuteRow()])
      expect(await store.readSession('view-1', 'session-1')).toEqual([])
      expect(await store.readRecentSessions('view-1', 10)).toMatchObject([{ sessionId: 's2' }])
      const ofViewer = { ...viewer, fromMs: START_MS, toMs: START_MS + 1 }
      expect(await store.readViewerSessions(ofViewer)).toMatchObject([{ sessionId: 's2' }])
      expect(await store.readPositions(sessionRow({ sessionId: 's2' }), 0, 9)).toHaveLength(1)
      expect(await store.readPartitions('view-1')).toEqual([])
      expect(await store.readRuleStates('view-1')).toEqual([])
      expect(await store.readSessions('view-1', { limit: 9 })).toMatchObject([{ sessionId: 's2' }])
    })

    it('refuses calls after it was closed', async () => {
      await store.close()
      const closed = { code: 'SPEED_CLOSED' }
      await expect(store.putMinutes([minuteRow()])).rejects.toMatchObject(closed)
      await expect(store.readMinutes(QUERY)).rejects.toMatchObject(closed)
      await expect(store.readSession('v', 's')).rejects.toMatchObject(closed)
      await expect(store.readPartitions('v')).rejects.toMatchObject(closed)
      await expect(store.readRuleStates('v')).rejects.toMatchObject(closed)
      await expect(store.putRuleStates([ruleStateRow()])).rejects.toMatchObject(closed)
      await expect(store.readSessions('v', { limit: 1 })).rejects.toMatchObject(closed)
      const viewer = { view: 'v', viewerPseudonym: 'p', fromMs: 0, toMs: 1, limit: 1 }
      await expect(store.readViewerSessions(viewer)).rejects.toMatchObject(closed)
      await expect(store.deleteSession('v', 's')).rejects.toMatchObject(closed)
      const none = { cuts: ['total'], fromMs: 0, toMs: 1 }
      await expect(store.deleteView('v', none)).rejects.toMatchObject(closed)
    })
  })
}

function bySession(a: SessionRow, b: SessionRow): number {
  return a.sessionId < b.sessionId
    ? -1
    : a.sessionId > b.sessionId
      ? 1
      : a.incarnation - b.incarnation
}

function byMinuteAndKey(a: MinuteRow, b: MinuteRow): number {
  return (
    a.minuteStartMs - b.minuteStartMs ||
    (a.key < b.key ? -1 : a.key > b.key ? 1 : 0) ||
    a.partition - b.partition
  )
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index)
}
