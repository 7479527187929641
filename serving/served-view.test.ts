/** What is served while another view becomes active. */
import { afterEach, expect, it } from 'vitest'
import { DEFAULT_CUT_IDS, parseCut } from '../shared/qoe/cuts.ts'
import { DEFAULT_FOLD_LIMITS } from '../shared/qoe/fold.ts'
import { ManualClock } from '../shared/runtime/clock.ts'
import { VIEW_REFRESH_MS } from '../shared/views/limits.ts'
import { qoeResponseSchema, statusResponseSchema } from './api-schemas.ts'
import type { ViewFacts } from './served-view.ts'
import {
  eventually,
  gauge,
  NOW_MS,
  startTestServing,
  stopTestServings,
} from './testing/test-serving.ts'
import { MemorySpeedStore, minuteRow, partitionRow, TEST_VIEW } from './testing/test-stores.ts'

const MINUTE_MS = 60_000
const minuteStartMs = NOW_MS - 30_000
const OTHER = 'view-2'
const PLAYS: Readonly<Record<string, number>> = { [TEST_VIEW]: 1, [OTHER]: 2 }

afterEach(stopTestServings)

const factsOf = (view: string, cutIds = DEFAULT_CUT_IDS): ViewFacts => ({
  view,
  cuts: cutIds.map(parseCut),
  limits: DEFAULT_FOLD_LIMITS,
})

/** A store whose reads of minutes wait while `gate` is set. */
class GatedSpeedStore extends MemorySpeedStore {
  gate: Promise<void> | undefined

  override async readMinutes(query: Parameters<MemorySpeedStore['readMinutes']>[0]) {
    const rows = await super.readMinutes(query)
    await this.gate
    return rows
  }
}

/** In every minute of a view there are as many plays as `PLAYS` says. */
async function storeOfTwo(): Promise<GatedSpeedStore> {
  const speed = new GatedSpeedStore()
  for (const [view, plays] of Object.entries(PLAYS)) {
    const minutes = Array.from({ length: 20 }, (_, index) => minuteStartMs - index * MINUTE_MS)
    await speed.putMinutes(
      minutes.map((startMs) =>
        minuteRow({ view, minuteStartMs: startMs, aggregates: { plays, events: plays } }),
      ),
    )
    await speed.putPartitions([partitionRow(NOW_MS - 2_000, { view })])
  }
  return speed
}

async function serveTwo(readActive: () => ViewFacts | undefined) {
  const speed = await storeOfTwo()
  const clock = new ManualClock(NOW_MS)
  const activeView = () => Promise.resolve().then(readActive)
  return { ...(await startTestServing({ speed, clock, activeView })), speed }
}

/** The view that an answer says it is of, and the plays in its minutes. */
async function ask(url: string) {
  const response = await fetch(`${url}/v1/qoe?from=${NOW_MS - 15 * MINUTE_MS}&to=${NOW_MS}`)
  const { series } = qoeResponseSchema.parse(await response.json())
  const plays = new Set(series.flatMap(({ buckets }) => buckets.map((bucket) => bucket.plays)))
  return { view: response.headers.get('backhaul-view') ?? '', plays: [...plays] }
}

it('every answer is of one view, also one that was begun before the switch', async () => {
  let active = factsOf(TEST_VIEW)
  const { serving, speed, clock } = await serveTwo(() => active)
  const { promise, resolve } = Promise.withResolvers<void>()
  speed.gate = promise
  const begun = ask(serving.url)
  await eventually(() => speed.minuteQueries.length > 0)
  active = factsOf(OTHER)
  await clock.advance(VIEW_REFRESH_MS)
  speed.gate = undefined
  expect(await ask(serving.url)).toEqual({ view: OTHER, plays: [2] })
  resolve()
  expect(await begun).toEqual({ view: TEST_VIEW, plays: [1] })

  // Back and forth, with questions all the while.
  const answers: Promise<{ view: string; plays: number[] }>[] = []
  for (let turn = 0; turn < 10; turn += 1) {
    active = factsOf(turn % 2 === 0 ? TEST_VIEW : OTHER)
    for (let question = 0; question < 5; question += 1) answers.push(ask(serving.url))
    await clock.advance(VIEW_REFRESH_MS)
    await ask(serving.url)
  }
  const views = new Set<string>()
  for (const { view, plays } of await Promise.all(answers)) {
    expect(plays).toEqual([PLAYS[view]])
    views.add(view)
  }
  expect(views.size).toBe(2)
})

it('the cuts are those of the active view, and the status names it', async () => {
  let active = factsOf(TEST_VIEW)
  const { serving, clock } = await serveTwo(() => active)
  const byCdn = () => fetch(`${serving.url}/v1/qoe?by=cdn&from=${NOW_MS - MINUTE_MS}`)
  expect((await byCdn()).status).toBe(200)
  active = factsOf(OTHER, ['total'])
  await clock.advance(VIEW_REFRESH_MS)
  expect((await byCdn()).status).toBe(400)
  const status: unknown = await (await fetch(`${serving.url}/v1/status`)).json()
  const { view, cuts } = statusResponseSchema.parse(status)
  expect([view, cuts.map(({ id }) => id)]).toEqual([OTHER, ['total']])
})

it('what is served stays while nobody can say which view is active', async () => {
  let isAway = false
  const { serving, clock } = await serveTwo(() => {
    if (isAway) throw new Error('the object store is away')
    return factsOf(OTHER)
  })
  expect(await ask(serving.url)).toMatchObject({ view: OTHER })
  isAway = true
  await clock.advance(3 * VIEW_REFRESH_MS)
  expect(await ask(serving.url)).toMatchObject({ view: OTHER })
  expect(await gauge(serving, 'serving_view_look_failures_total')).toBeGreaterThan(0)
})
