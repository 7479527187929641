import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseCut } from '../shared/qoe/cuts.ts'
import { ManualClock } from '../shared/runtime/clock.ts'
import { seededRandom, type Random } from '../shared/runtime/random.ts'
import { tables } from '../shared/warehouse/tables.ts'
import { warehouseErrors } from '../shared/warehouse/warehouse-errors.ts'
import { qoeResponseSchema, statusResponseSchema, topResponseSchema } from './api-schemas.ts'
import { DEFAULT_SERVING_LIMITS, type ServingLimits } from './limits.ts'
import { eventually, startTestServing, stopTestServings } from './testing/test-serving.ts'
import { MemorySpeedStore, minuteRow, partitionRow } from './testing/test-stores.ts'
import { controlRows, insert, qoeMinute, TestWarehouse } from './testing/test-warehouse.ts'

const MINUTE_MS = 60_000
/** Pane life of the default limits, in whole minutes. */
const PANE_LIFE_MINUTES = 91
const BASE_MS = 20_000 * 24 * 60 * MINUTE_MS
const cdn = parseCut('cdn')
const CDNS = ['a', 'b'] as const
const PATIENT = {
  requestTimeoutMs: 120 * MINUTE_MS,
  historyTimeoutMs: 60 * MINUTE_MS,
  liveHistoryTimeoutMs: 60 * MINUTE_MS,
}
const at = (minute: number) => BASE_MS + minute * MINUTE_MS

let warehouse: TestWarehouse
beforeEach(async () => {
  warehouse = await TestWarehouse.create()
})
afterEach(async () => {
  warehouse.hang = undefined
  await stopTestServings()
  warehouse.close()
})

/** A speed store whose answers take turns, as those of a real one do. */
class SlowSpeedStore extends MemorySpeedStore {
  override async readMinutes(...args: Parameters<MemorySpeedStore['readMinutes']>) {
    await nextTurn()
    return super.readMinutes(...args)
  }
}

/**
 * Playback by minute, as both sides write it: the speed side its newest minutes growing, a batch
 * run all minutes up to its cut, the newest of them in part, and at last its control rows.
 */
class World {
  readonly speed = new SlowSpeedStore()
  readonly clock = new ManualClock(at(0))
  /** Plays of CDN `a` by minute; those of `b` are twice as many. */
  readonly plays: number[] = []
  /** What a minute may be answered as, while a run that restates it is under way. */
  readonly restated = new Map<number, number>()
  boundary = 0
  #run = 0
  #runListener: () => void = () => undefined

  async serve(limits: Partial<ServingLimits> = {}) {
    const { serving } = await startTestServing({
      speed: this.speed,
      clock: this.clock,
      batch: { warehouse, onRun: (listener) => (this.#runListener = listener) },
      limits,
    })
    return serving
  }

  /** Plays of the newest minute go on; time passes. */
  async play(minutes: number, random: Random): Promise<void> {
    for (let count = 0; count < minutes; count++) {
      this.plays.push(0)
      for (let step = 0; step < 3; step++) {
        const minute = this.plays.length - 1
        this.plays[minute] = (this.plays[minute] ?? 0) + 1 + Math.floor(random.next() * 5)
        await this.#writeMinute(minute)
        await nextTurn()
      }
      await this.clock.advance(MINUTE_MS)
      await this.speed.putPartitions([partitionRow(this.clock.nowMs())])
    }
  }

  async #writeMinute(minute: number): Promise<void> {
    const plays = this.plays[minute] ?? 0
    const row = (key: string, count: number, cut: string) =>
      minuteRow({
        minuteStartMs: at(minute),
        cut,
        key,
        aggregates: { plays: count, events: count },
      })
    await this.speed.putMinutes([
      row('[]', plays * 3, 'total'),
      row('["a"]', plays, 'cdn'),
      row('["b"]', plays * 2, 'cdn'),
    ])
  }

  /** A run: facts first, in two steps, then the control rows. `restate` is a minute of the past. */
  async runBatch(restate: number | undefined): Promise<void> {
    const cutMs = this.clock.nowMs()
    const cutMinute = this.plays.length
    const from = this.boundary
    if (restate !== undefined) this.restated.set(restate, (this.plays[restate] ?? 0) + 7)
    const rows = (minute: number, plays: number) => [
      qoeMinute(at(minute), { plays: plays * 3, events: plays * 3 }),
      ...CDNS.map((key, index) => {
        const count = plays * (index + 1)
        return qoeMinute(at(minute), { plays: count, events: count }, { cut: cdn, key: [key] })
      }),
    ]
    const touched = Array.from({ length: cutMinute - from }, (_, index) => from + index)
    const half = Math.ceil(touched.length / 2)
    for (const minutes of [touched.slice(0, half), touched.slice(half)])
      await warehouse.write(
        `DELETE FROM qoe_minute WHERE minute_ms IN (${[-1, ...minutes.map(at)].join(', ')})`,
        ...minutes.map((minute) => {
          // The last minutes before the cut are in the history in part only.
          const share = minute > cutMinute - 3 ? 0.5 : 1
          const plays = Math.floor((this.plays[minute] ?? 0) * share)
          return insert(tables.qoeMinute, ...rows(minute, plays))
        }),
      )
    if (restate !== undefined)
      await warehouse.write(
        `DELETE FROM qoe_minute WHERE minute_ms = ${at(restate)}`,
        insert(tables.qoeMinute, ...rows(restate, this.restated.get(restate) ?? 0)),
      )
    await warehouse.write(controlRows(++this.#run, [cutMs]))
    this.boundary = Math.max(0, Math.floor((cutMs - at(0)) / MINUTE_MS) - PANE_LIFE_MINUTES)
    this.#runListener()
  }

  /** The run is over for everybody; the speed side forgets what was history before it. */
  settle(forgetBefore: number): void {
    for (const [minute, plays] of this.restated) this.plays[minute] = plays
    this.restated.clear()
    for (const [name, row] of this.speed.minutes)
      if (row.minuteStartMs < at(forgetBefore)) this.speed.minutes.delete(name)
  }

  get run(): number {
    return this.#run
  }
}

async function getJson(url: string): Promise<unknown> {
  const response = await fetch(url)
  if (!response.ok) throw new Error(await response.text())
  return response.json()
}

describe('live and history', () => {
  it(
    'answers every question exactly while batch and live both move',
    { timeout: 120_000 },
    async () => {
      const random = seededRandom(11)
      const world = new World()
      await world.play(PANE_LIFE_MINUTES + 10, random)
      await world.runBatch(undefined)
      // The test moves the clock by minutes while questions are under way.
      const serving = await world.serve(PATIENT)
      let fromHistory = 0
      let asked = 0
      for (let round = 0; round < 6; round++) {
        const before = [...world.plays]
        const closed = before.length
        const restate = round % 3 === 2 ? Math.floor(random.next() * world.boundary) : undefined
        const forgetBefore = world.boundary
        const moving = [world.runBatch(restate), world.play(4, random)]
        const check = async (query: string, factor: number) => {
          const url = `${serving.url}/v1/qoe?from=${at(0)}&to=${at(closed)}&${query}`
          const answer = qoeResponseSchema.parse(await getJson(url))
          expect(answer.degraded).toBeUndefined()
          const step = answer.stepMs / MINUTE_MS
          for (const { startMs, plays, source, complete } of answer.series[0]?.buckets ?? []) {
            asked++
            if (source === 'history') fromHistory++
            expect(source === 'speed' || complete).toBe(true)
            const first = (startMs - at(0)) / MINUTE_MS
            const minutes = Array.from({ length: step }, (_, index) => first + index)
            const expected = minutes.reduce((sum, minute) => sum + (before[minute] ?? 0), 0)
            const late = minutes.map((minute) => {
              const restated = world.restated.get(minute)
              return restated === undefined ? 0 : restated - (before[minute] ?? 0)
            })
            const lateSum = late.reduce((sum, plays) => sum + plays, 0)
            expect([expected * factor, (expected + lateSum) * factor]).toContain(plays)
          }
          return answer
        }
        // Questions come at every moment of the run, and some by several at once.
        const questions: Promise<unknown>[] = []
        for (let turn = 0; turn < 10; turn++) {
          questions.push(check('step=1m', 3), check('by=cdn&where=cdn:b', 2))
          if (turn % 3 === 0) questions.push(check('step=1m&series=1&by=cdn', 2))
          await nextTurn()
        }
        await Promise.all([...questions, ...moving])
        await eventually(() => fromHistory > 0)
        await expect
          .poll(async () => {
            const status = statusResponseSchema.parse(await getJson(`${serving.url}/v1/status`))
            return status.batch.lastRun?.run
          })
          .toBe(world.run)
        world.settle(forgetBefore)
      }
      expect(asked).toBeGreaterThan(10_000)
      expect(fromHistory).toBeGreaterThan(1_000)
    },
  )

  it('reads the history once, and the speed store for the rest', async () => {
    const world = new World()
    await world.play(PANE_LIFE_MINUTES + 10, seededRandom(3))
    await world.runBatch(undefined)
    const serving = await world.serve()
    await getJson(`${serving.url}/v1/status`)
    const before = warehouse.queries.length
    world.speed.minuteQueries.length = 0
    const url = `${serving.url}/v1/qoe?by=cdn&from=${at(0)}&to=${at(101)}`
    const answer = qoeResponseSchema.parse(await getJson(url))
    expect(answer.historyToMs).toBe(at(world.boundary))
    expect(warehouse.queries.length - before).toBe(1)
    expect(world.speed.minuteQueries).toMatchObject([{ fromMs: at(world.boundary), toMs: at(101) }])
    const sources = answer.series[0]?.buckets.map(({ source }) => source) ?? []
    expect(sources.filter((source) => source === 'history')).toHaveLength(world.boundary)
    expect(sources.lastIndexOf('history')).toBe(world.boundary - 1)
    expect(answer.series[0]?.buckets[0]).toMatchObject({ asOfMs: at(101), complete: true })
  })

  it('slides a window over the boundary', async () => {
    const world = new World()
    await world.play(PANE_LIFE_MINUTES + 10, seededRandom(3))
    await world.runBatch(undefined)
    // What the history has is no longer on the live side: both must be read.
    world.settle(world.boundary)
    const serving = await world.serve()
    const first = world.boundary - 3
    const url = `${serving.url}/v1/qoe?step=2m&window=5m&from=${at(first)}&to=${at(first + 10)}`
    const answer = qoeResponseSchema.parse(await getJson(url))
    expect(answer).toMatchObject({ stepMs: 2 * MINUTE_MS, windowMs: 5 * MINUTE_MS })
    const buckets = answer.series[0]?.buckets ?? []
    expect(buckets.length).toBeGreaterThanOrEqual(5)
    for (const { startMs, plays, source } of buckets) {
      const end = (startMs - at(0)) / MINUTE_MS + 2
      const window = world.plays.slice(Math.max(0, end - 5), end)
      expect(plays).toBe(window.reduce((sum, minute) => sum + minute, 0) * 3)
      expect(source).toBe(end > world.boundary ? 'speed' : 'history')
    }
    expect(new Set(buckets.map(({ source }) => source)).size).toBe(2)
  })

  it('ranks keys over both sides', async () => {
    const world = new World()
    await world.play(PANE_LIFE_MINUTES + 10, seededRandom(3))
    await world.runBatch(undefined)
    world.settle(world.boundary)
    const serving = await world.serve()
    const url = `${serving.url}/v1/top?by=cdn&from=${at(0)}&to=${at(101)}`
    const top = topResponseSchema.parse(await getJson(url))
    const sum = world.plays.reduce((all, plays) => all + plays, 0)
    expect(top.items.map(({ key, value }) => [key['cdn'], value])).toEqual([
      ['b', sum * 2],
      ['a', sum],
    ])
  })

  it('never asks the history for what cannot be in it', async () => {
    const world = new World()
    await world.play(5, seededRandom(3))
    const serving = await world.serve()
    await getJson(`${serving.url}/v1/qoe?from=${world.clock.nowMs() - 60 * MINUTE_MS}`)
    expect(warehouse.queries).toEqual([])
  })
})

describe('an answer without the history it needs', () => {
  const range = `from=${at(0)}&to=${at(101)}`
  const sumOf = (world: World) => world.plays.reduce((all, plays) => all + plays, 0)
  async function world101() {
    const world = new World()
    await world.play(PANE_LIFE_MINUTES + 10, seededRandom(3))
    await world.runBatch(undefined)
    return { world, serving: await world.serve() }
  }

  it('is made of what the speed store has, and says why, when the warehouse is down', async () => {
    const { world, serving } = await world101()
    warehouse.failure = warehouseErrors.create('WAREHOUSE_UNAVAILABLE')
    const answer = qoeResponseSchema.parse(await getJson(`${serving.url}/v1/qoe?${range}`))
    expect(answer.degraded).toMatchObject([{ code: 'SERVING_HISTORY_UNAVAILABLE' }])
    expect(answer.series[0]?.summary.plays).toBe(sumOf(world) * 3)
    expect(new Set(answer.series[0]?.buckets.map(({ source }) => source))).toEqual(
      new Set(['speed']),
    )
    const status = statusResponseSchema.parse(await getJson(`${serving.url}/v1/status`))
    expect(status).toMatchObject({
      batch: { lastRun: null },
      degraded: [{ code: 'SERVING_HISTORY_UNAVAILABLE' }],
    })
  })

  it('is made so too when it fails between the boundary and the minutes', async () => {
    const { world, serving } = await world101()
    await getJson(`${serving.url}/v1/status`)
    warehouse.failure = new Error('secret detail')
    const text = await (await fetch(`${serving.url}/v1/qoe?${range}`)).text()
    expect(text).not.toContain('secret')
    const answer = qoeResponseSchema.parse(JSON.parse(text))
    expect(answer.degraded).toMatchObject([{ code: 'SERVING_HISTORY_UNAVAILABLE' }])
    expect(answer.series[0]?.summary.plays).toBe(sumOf(world) * 3)
    warehouse.failure = undefined
    await world.clock.advance(DEFAULT_SERVING_LIMITS.historyRetryMs)
    const again = qoeResponseSchema.parse(await getJson(`${serving.url}/v1/qoe?${range}`))
    expect(again.degraded).toBeUndefined()
    expect(again.series[0]?.summary.plays).toBe(sumOf(world) * 3)
  })

  it('does not wait for a warehouse that hangs', async () => {
    const { world, serving } = await world101()
    await getJson(`${serving.url}/v1/status`)
    const before = warehouse.queries.length
    warehouse.hang = new Promise(() => undefined)
    const answer = getJson(`${serving.url}/v1/qoe?${range}`)
    await eventually(() => warehouse.queries.length > before)
    await world.clock.advance(DEFAULT_SERVING_LIMITS.historyTimeoutMs)
    expect(qoeResponseSchema.parse(await answer)).toMatchObject({
      degraded: [{ code: 'SERVING_HISTORY_UNAVAILABLE' }],
      series: [{ summary: { plays: sumOf(world) * 3 } }],
    })
  })

  it('says that the history lacks the cut', async () => {
    const { world, serving } = await world101()
    await warehouse.write(`DELETE FROM qoe_minute WHERE cut = 'cdn'`)
    const url = `${serving.url}/v1/qoe?by=cdn&${range}`
    const answer = qoeResponseSchema.parse(await getJson(url))
    expect(answer.degraded).toMatchObject([{ code: 'SERVING_HISTORY_CUT_MISSING' }])
    expect(answer.series.map(({ summary }) => summary.plays)).toEqual([
      sumOf(world) * 2,
      sumOf(world),
    ])
  })

  it('is refused when it would take more rows than the limit', async () => {
    const world = new World()
    await world.play(PANE_LIFE_MINUTES + 10, seededRandom(3))
    await world.runBatch(undefined)
    const { serving } = await startTestServing({
      speed: world.speed,
      clock: world.clock,
      batch: { warehouse },
      limits: {
        historyRowsPerQueryMax: 15,
        historyTimelineEventsMax: 10,
        historyPartsMax: 10,
        viewerSessionsMax: 5,
        viewerSessionsDefault: 5,
        viewerSessionsAtOnceMax: 10,
      },
    })
    const response = await fetch(`${serving.url}/v1/qoe?by=cdn&${range}`)
    expect([response.status, await response.json()]).toMatchObject([
      400,
      { code: 'SERVING_QUERY_TOO_LARGE' },
    ])
  })
})
