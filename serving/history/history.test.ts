import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { MinuteAggregates } from '../../shared/qoe/aggregates.ts'
import { DEFAULT_CUT_IDS, parseCut } from '../../shared/qoe/cuts.ts'
import { mergeAggregates } from '../../shared/qoe/merge.ts'
import { ManualClock } from '../../shared/runtime/clock.ts'
import { createTelemetryBase } from '../../shared/runtime/telemetry.ts'
import { tables } from '../../shared/warehouse/tables.ts'
import { warehouseErrors } from '../../shared/warehouse/warehouse-errors.ts'
import { DEFAULT_SERVING_LIMITS, type ServingLimits } from '../limits.ts'
import { aggregates } from '../testing/test-stores.ts'
import { controlRows, insert, qoeMinute, TestWarehouse } from '../testing/test-warehouse.ts'
import { History } from './history.ts'
import { parseSparse } from '../../shared/warehouse/minute-rows.ts'
import type { HistorySnapshot } from './snapshot.ts'
import { createHistoryTelemetry } from './telemetry.ts'

const MINUTE_MS = 60_000
const PANE_LIFE_MS = 90 * MINUTE_MS
const DAY_MS = 24 * 60 * MINUTE_MS
const BASE_MS = 20_000 * DAY_MS
const total = parseCut('total')
const ALL = { cut: total, by: [], where: new Map() }

let warehouse: TestWarehouse
let clock: ManualClock
let history: History
beforeEach(async () => {
  warehouse = await TestWarehouse.create()
  clock = new ManualClock()
  history = historyWith()
})
afterEach(() => {
  warehouse.hang = undefined
  history.stop()
  const { openSessions } = warehouse
  warehouse.close()
  if (openSessions > 0) throw new Error(`${openSessions} sessions were left open`)
})

function historyWith(limits: Partial<ServingLimits> = {}, partitions = 2): History {
  return new History({
    warehouse,
    partitions,
    paneLifeMs: PANE_LIFE_MS,
    limits: { ...DEFAULT_SERVING_LIMITS, ...limits },
    clock,
    telemetry: createHistoryTelemetry(createTelemetryBase('silent')),
  })
}

/** A watermark by which the minutes before `minute` are complete. */
const completeTo = (minute: number) => BASE_MS + PANE_LIFE_MS + minute * MINUTE_MS + 1
const minuteAt = (minute: number, plays: number) =>
  insert(tables.qoeMinute, qoeMinute(BASE_MS + minute * MINUTE_MS, { plays, events: 1 }))

/** The snapshot now; it is let go at once, as only the owner's hold matters here. */
async function acquired(): Promise<HistorySnapshot | undefined> {
  const snapshot = await history.acquire()
  snapshot?.release()
  return snapshot
}

const read = async (minutes: number, snapshot?: HistorySnapshot) => {
  const from = snapshot ?? (await acquired())
  if (from === undefined) throw new Error('no history')
  const range = { fromMs: BASE_MS, toMs: BASE_MS + minutes * MINUTE_MS }
  const found = await history.minutes.read(ALL, range, from, 5_000)
  return Array.from(
    { length: minutes },
    (_, minute) => found.get(BASE_MS + minute * MINUTE_MS)?.get('[]')?.plays,
  )
}

describe('the boundary of the history', () => {
  it('does not exist before every partition has been in a complete run', async () => {
    expect(await acquired()).toBeUndefined()
    await warehouse.write(controlRows(1, [completeTo(5)]))
    await clock.advance(DEFAULT_SERVING_LIMITS.historySnapshotMaxAgeMs + 1)
    expect(await acquired()).toBeUndefined()
    await warehouse.write(controlRows(2, [completeTo(5), completeTo(5)]))
    await clock.advance(DEFAULT_SERVING_LIMITS.historySnapshotMaxAgeMs + 1)
    expect((await acquired())?.run).toMatchObject({ run: 2, records: 20, events: 200 })
  })

  it('is the smallest watermark less the pane life, whole minutes, beyond its end', async () => {
    await warehouse.write(controlRows(1, [completeTo(5), completeTo(9)]))
    expect((await acquired())?.run.completeToMs).toBe(BASE_MS + 5 * MINUTE_MS)
    // A pane still takes events while the watermark stands at its end + pane life.
    await warehouse.write(controlRows(2, [completeTo(6) - 1, completeTo(9)]))
    await clock.advance(DEFAULT_SERVING_LIMITS.historySnapshotMaxAgeMs + 1)
    expect((await acquired())?.run.completeToMs).toBe(BASE_MS + 5 * MINUTE_MS)
  })

  it('stays where a partition was left that the last run could not take', async () => {
    await warehouse.write(controlRows(1, [completeTo(5), completeTo(5)]))
    await warehouse.write(controlRows(2, [completeTo(60)]))
    expect((await acquired())?.run).toMatchObject({
      run: 2,
      completeToMs: BASE_MS + 5 * MINUTE_MS,
      records: 10,
    })
  })

  it('covers a cut from its first minute on, and knows what is missing of one', async () => {
    const [cdn, country] = [parseCut('cdn'), parseCut('country')]
    const later = qoeMinute(BASE_MS + 3 * MINUTE_MS, {}, { cut: cdn, key: ['a'] })
    await warehouse.write(
      minuteAt(1, 1),
      insert(tables.qoeMinute, later),
      controlRows(1, [completeTo(5), completeTo(5)]),
    )
    const snapshot = await acquired()
    const at = (minute: number) => BASE_MS + minute * MINUTE_MS
    expect(snapshot?.covered(total)).toEqual({ fromMs: at(1), toMs: at(5) })
    expect(snapshot?.covered(cdn)).toEqual({ fromMs: at(3), toMs: at(5) })
    expect(snapshot?.covered(country)).toBeUndefined()
    const lacks = (cut: typeof cdn, from: number, to: number) =>
      snapshot?.lacks(cut, { fromMs: at(from), toMs: at(to) })
    expect([lacks(total, 0, 9), lacks(cdn, 2, 9), lacks(cdn, 3, 9), lacks(cdn, 0, 1)]).toEqual([
      false,
      true,
      false,
      false,
    ])
    expect([lacks(country, 2, 3), lacks(country, 5, 9)]).toEqual([true, false])
  })

  it('leaves to the live side what began before a log that had lost its beginning', async () => {
    const frame = { received_date: '2026-01-01', logged_at_ms: BASE_MS + 2 * MINUTE_MS }
    await warehouse.write(
      minuteAt(1, 1),
      insert(
        tables.frames,
        { ...frame, log_partition: 0 },
        { ...frame, log_partition: 1, logged_at_ms: BASE_MS + 7 * MINUTE_MS },
      ),
      controlRows(1, [completeTo(200), completeTo(200)], { first_offset: 17 }),
    )
    expect((await acquired())?.covered(total)?.fromMs).toBe(BASE_MS + 7 * MINUTE_MS + PANE_LIFE_MS)
  })
})

describe('a snapshot of the history', () => {
  beforeEach(async () => {
    await warehouse.write(
      minuteAt(0, 1),
      minuteAt(1, 2),
      controlRows(1, [completeTo(2), completeTo(2)]),
    )
  })

  it('is shared, and costs no query while it is young', async () => {
    await Promise.all([acquired(), acquired(), acquired()])
    const before = warehouse.queries.length
    await acquired()
    await clock.advance(DEFAULT_SERVING_LIMITS.historyRefreshMs - 1)
    await acquired()
    expect(warehouse.queries.length).toBe(before)
    expect(warehouse.openSessions).toBe(1)
  })

  it('is kept by those who hold it, whatever run comes meanwhile', async () => {
    const held = await history.acquire()
    await warehouse.write(
      `UPDATE qoe_minute SET plays = 70`,
      controlRows(2, [completeTo(3), completeTo(3)]),
    )
    await clock.advance(DEFAULT_SERVING_LIMITS.historySnapshotMaxAgeMs + 1)
    const fresh = await acquired()
    expect([held?.run.run, fresh?.run.run]).toEqual([1, 2])
    expect(await read(2, held)).toEqual([1, 2])
    expect(await read(2, fresh)).toEqual([70, 70])
    expect(warehouse.openSessions).toBe(2)
    held?.release()
    await expect.poll(() => warehouse.openSessions).toBe(1)
  })

  it('keeps minutes in memory, by run: a late run that restates them is seen', async () => {
    expect(await read(2)).toEqual([1, 2])
    const before = warehouse.queries.length
    expect(await read(2)).toEqual([1, 2])
    expect(warehouse.queries.length).toBe(before)
    await warehouse.write(
      `UPDATE qoe_minute SET plays = plays + 10`,
      controlRows(2, [completeTo(2), completeTo(2)]),
    )
    expect(await read(2)).toEqual([1, 2])
    history.runEnded()
    await expect.poll(() => history.run?.run).toBe(2)
    expect(await read(2)).toEqual([11, 12])
  })

  it('is opened anew after its life, so that an erasure is seen without a run', async () => {
    expect(await read(2)).toEqual([1, 2])
    await warehouse.write(`UPDATE qoe_minute SET plays = 0`)
    await clock.advance(DEFAULT_SERVING_LIMITS.historySnapshotLifeMs + 1)
    expect(await read(2)).toEqual([0, 0])
  })

  it('never promises minutes that its session does not hold, however tables are read', async () => {
    // A run ends between the look at the control rows and the opening of the session.
    const open = warehouse.open.bind(warehouse)
    let opened = 0
    warehouse.open = async () => {
      if (++opened === 2)
        await warehouse.write(minuteAt(2, 3), controlRows(2, [completeTo(3), completeTo(3)]))
      return open()
    }
    const snapshot = await acquired()
    const minutes = ((snapshot?.run.completeToMs ?? 0) - BASE_MS) / MINUTE_MS
    expect(await read(minutes, snapshot)).not.toContain(undefined)
  })
})

describe('a warehouse that does not answer', () => {
  const down = warehouseErrors.create('WAREHOUSE_UNAVAILABLE')
  beforeEach(() => warehouse.write(minuteAt(0, 1), controlRows(1, [completeTo(1), completeTo(1)])))

  it('is said, left alone for a while, and asked again', async () => {
    warehouse.failure = down
    await expect(history.acquire()).rejects.toThrow(
      /SERVING_HISTORY_UNAVAILABLE.*WAREHOUSE_UNAVAILABLE/,
    )
    warehouse.failure = undefined
    await expect(history.acquire()).rejects.toThrow('SERVING_HISTORY_UNAVAILABLE')
    await clock.advance(DEFAULT_SERVING_LIMITS.historyRetryMs)
    expect((await acquired())?.run.run).toBe(1)
  })

  it('does not take away a snapshot that can still be read', async () => {
    await acquired()
    warehouse.failure = down
    await clock.advance(DEFAULT_SERVING_LIMITS.historyRefreshMs)
    expect((await acquired())?.run.run).toBe(1)
  })

  it('is waited for no longer than the limit, and asked once at a time', async () => {
    let answer: () => void = () => undefined
    warehouse.hang = new Promise((resolve) => (answer = resolve))
    const waiting = [history.acquire(), history.acquire()]
    await expect.poll(() => warehouse.queries.length).toBe(1)
    await clock.advance(DEFAULT_SERVING_LIMITS.historyTimeoutMs)
    for (const each of waiting) await expect(each).rejects.toThrow('SERVING_HISTORY_UNAVAILABLE')
    await clock.advance(DEFAULT_SERVING_LIMITS.historyRetryMs)
    const again = history.acquire()
    expect(warehouse.queries.length).toBe(1)
    answer()
    warehouse.hang = undefined
    ;(await again)?.release()
    expect(history.run?.run).toBe(1)
  })

  it('is asked a bounded number of queries at a time; the others wait their turn', async () => {
    history = historyWith({ historyQueriesInFlightMax: 2, historyQueriesWaitingMax: 3 })
    const snapshot = await acquired()
    let answer: () => void = () => undefined
    warehouse.hang = new Promise((resolve) => (answer = resolve))
    warehouse.mostAtOnce = 0
    const filter = { ...ALL, where: new Map([['cdn', new Set(['a'])]] as const) }
    const range = { fromMs: BASE_MS, toMs: BASE_MS + MINUTE_MS }
    const ask = async () => {
      if (snapshot === undefined) throw new Error('no history')
      return history.minutes.read(filter, range, snapshot, 5_000)
    }
    const five = Array.from({ length: 5 }, ask)
    await expect(ask()).rejects.toThrow('SERVING_HISTORY_BUSY')
    answer()
    warehouse.hang = undefined
    expect(await Promise.all(five)).toHaveLength(5)
    expect(warehouse.mostAtOnce).toBe(2)
  })
})

describe('what a caller asks', () => {
  it.each([`b' OR '1'='1`, `b'); DROP TABLE qoe_minute; --`, String.raw`b\' OR 1=1 --`])(
    'is a value to the warehouse, never a part of the statement: %s',
    async (text) => {
      const cut = parseCut('cdn')
      await warehouse.write(
        insert(tables.qoeMinute, qoeMinute(BASE_MS, { plays: 1, events: 1 }, { cut, key: ['b'] })),
        controlRows(1, [completeTo(5), completeTo(5)]),
      )
      const snapshot = await acquired()
      if (snapshot === undefined) throw new Error('no history')
      const range = { fromMs: BASE_MS, toMs: BASE_MS + MINUTE_MS }
      const rowsWhere = async (value: string) => {
        const where = new Map([['cdn', new Set([value])]] as const)
        const minutes = await history.minutes.read({ cut, where }, range, snapshot, 5_000)
        return [...minutes.values()].flatMap((rows) => [...rows]).length
      }
      expect(await rowsWhere(text)).toBe(0)
      expect(await rowsWhere('b')).toBe(1)
      for (const { sql } of warehouse.queries) expect(sql).not.toContain(text)
    },
  )
})

describe('rows of the history', () => {
  const natural = fc.integer({ min: 0, max: 2 ** 40 })
  const instants = fc.array(fc.nat(5_000), { minLength: 6, maxLength: 6 })
  const pairs = (valueMax: number) =>
    fc
      .uniqueArray(fc.tuple(fc.nat(4_095), fc.integer({ min: 1, max: valueMax })), {
        selector: ([index]) => index,
        maxLength: 8,
      })
      .map((list) => list.toSorted(([a], [b]) => a - b))
  const anyAggregates = fc.record({
    plays: natural,
    startupSumMs: natural,
    mediaUs: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
    bitsPlayed: fc.bigInt({ min: 0n, max: 2n ** 62n }),
    startupHistogram: pairs(1_000),
    viewerRegisters: pairs(53),
    concurrentPlays: instants,
    concurrentViewers: instants,
  })

  it('become the same aggregates that the speed side has, in every cut', async () => {
    for (const id of DEFAULT_CUT_IDS) {
      const cut = parseCut(id)
      const expected = new Map<string, MinuteAggregates>()
      for (const [index, values] of fc.sample(anyAggregates, { numRuns: 8, seed: 7 }).entries()) {
        const key = cut.dimensions.map((dimension) => `${dimension}-${index}`)
        const kept = cut.viewers ? values : { ...values, viewerRegisters: [] }
        if (cut.dimensions.length === 0 && index > 0) continue
        expected.set(JSON.stringify(key), aggregates(kept))
        await warehouse.write(insert(tables.qoeMinute, qoeMinute(BASE_MS, values, { cut, key })))
      }
      await warehouse.write(controlRows(1, [completeTo(1), completeTo(1)]))
      const snapshot = await acquired()
      const range = { fromMs: BASE_MS, toMs: BASE_MS + MINUTE_MS }
      const found =
        snapshot && (await history.minutes.read({ cut, where: new Map() }, range, snapshot, 5_000))
      expect(found?.get(BASE_MS)).toEqual(expected)
      expect(mergeAggregates(found?.get(BASE_MS)?.values() ?? [])).toEqual(
        mergeAggregates(expected.values()),
      )
      history.stop()
      await warehouse.write('DELETE FROM batch_runs', 'DELETE FROM qoe_minute')
      history = historyWith()
    }
  })

  it('are refused when a structure is not canonical', () => {
    for (const text of ['1', '2:1,1:1', '1:0', '1:1,1:2', 'a:1', '1:1,'])
      expect(() => parseSparse(text, 'column')).toThrow('assertion failed')
    expect(parseSparse('', 'column')).toEqual([])
    expect(parseSparse('3:1,70:12', 'column')).toEqual([
      [3, 1],
      [70, 12],
    ])
  })
})
