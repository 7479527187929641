import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { SessionRow } from '../shared/speed/rows.ts'
import { utcDate } from '../shared/warehouse/minute-rows.ts'
import { tables } from '../shared/warehouse/tables.ts'
import { warehouseErrors } from '../shared/warehouse/warehouse-errors.ts'
import {
  problemSchema,
  viewerSessionsResponseSchema,
  type ViewerSessionsResponse,
} from './api-schemas.ts'
import type { ServingLimits } from './limits.ts'
import { TestPartition } from './testing/test-partition.ts'
import { NOW_MS, startTestServing, stopTestServings } from './testing/test-serving.ts'
import { MemorySpeedStore, partitionRow, TEST_VIEW } from './testing/test-stores.ts'
import { controlRows, insert, TestWarehouse } from './testing/test-warehouse.ts'

const [ANNA, BERT] = ['a'.repeat(32), 'b'.repeat(32)]
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

let speed: MemorySpeedStore
let warehouse: TestWarehouse
let template: SessionRow
beforeEach(async () => {
  speed = new MemorySpeedStore()
  warehouse = await TestWarehouse.create()
  await warehouse.write(controlRows(1, [NOW_MS]))
  const partition = new TestPartition().frame({
    loggedAtMs: NOW_MS,
    events: [{ seq: 0, type: 'playbackRequest', at: NOW_MS - 10 }],
  })
  await partition.flush()
  const [row] = await partition.speed.readSession(TEST_VIEW, 's-1')
  if (row === undefined) throw new Error('the partition has a session')
  template = row
})
afterEach(async () => {
  await stopTestServings()
  warehouse.close()
})

interface Begun {
  readonly id: string
  readonly hoursAgo: number
  readonly viewer?: string
  readonly generation?: number
}

function keepLive({ id, hoursAgo, viewer = ANNA, generation = 0 }: Begun): Promise<void> {
  const context = { contentId: 'movie-1', sessionId: id, viewerPseudonym: viewer }
  const row = {
    ...template,
    sessionId: id,
    generation,
    contextJson: JSON.stringify(context),
    firstReceivedAtMs: NOW_MS - hoursAgo * HOUR_MS,
  }
  return speed.putSessions([row], [])
}

/** A row of the history a part, each a minute after the one before. */
function keepPast({ id, hoursAgo }: Begun, viewers: readonly string[] = [ANNA]): Promise<void> {
  const statements = viewers.map((viewer, part) => {
    const firstMs = NOW_MS - hoursAgo * HOUR_MS + part * 60_000
    return insert(tables.sessions, {
      session_id: id,
      incarnation: template.incarnation,
      part,
      start_date: utcDate(firstMs),
      first_event_time_ms: firstMs,
      last_event_time_ms: firstMs + 1_000,
      last_logged_at_ms: firstMs + 2_000,
      state: 'ended',
      viewer_pseudonym: viewer,
      content_id: 'movie-1',
      stall_count: 1,
      closed: true,
      run: 1,
    })
  })
  return warehouse.write(...statements)
}

async function serve(limits: Partial<ServingLimits> = {}, withHistory = true) {
  const { serving } = await startTestServing({
    speed,
    limits,
    ...(withHistory && { batch: { warehouse } }),
  })
  return async (query = '', viewer = ANNA) => {
    const response = await fetch(`${serving.url}/v1/viewers/${viewer}/sessions${query}`)
    const body: unknown = await response.json()
    if (!response.ok) throw new Error(problemSchema.parse(body).code)
    return viewerSessionsResponseSchema.strict().parse(body)
  }
}

const idsOf = ({ sessions }: ViewerSessionsResponse) => sessions.map(({ sessionId }) => sessionId)

/** All pages, one after another. */
async function pagesOf(ask: Awaited<ReturnType<typeof serve>>, query: string): Promise<string[][]> {
  const pages: string[][] = []
  let cursor = ''
  for (;;) {
    const page = await ask(`?${query}${cursor}`)
    pages.push(idsOf(page))
    if (page.nextCursor === undefined) return pages
    cursor = `&cursor=${page.nextCursor}`
  }
}

describe('the sessions of a viewer', () => {
  it('are those of the live view, newest first, and nobody else’s', async () => {
    await keepLive({ id: 'old', hoursAgo: 5 })
    await keepLive({ id: 'new', hoursAgo: 1 })
    await keepLive({ id: 'other', hoursAgo: 2, viewer: BERT })
    const ask = await serve({}, false)
    const answer = await ask()
    expect(idsOf(answer)).toEqual(['new', 'old'])
    expect(answer.sessions[0]).toMatchObject({ source: 'speed', contentId: 'movie-1' })
    expect(idsOf(await ask('', BERT))).toEqual(['other'])
    expect(idsOf(await ask('', 'c'.repeat(32)))).toEqual([])
  })

  it('lie within the range that is asked for', async () => {
    for (const hoursAgo of [1, 30, 60]) await keepLive({ id: `${hoursAgo}`, hoursAgo })
    const ask = await serve({}, false)
    const range = `?from=${NOW_MS - 40 * HOUR_MS}&to=${NOW_MS - HOUR_MS}`
    expect(idsOf(await ask(range))).toEqual(['30'])
  })

  it('are paged, also where many began at once and one has rows of two generations', async () => {
    for (const id of ['a', 'b', 'c', 'd', 'e']) await keepLive({ id, hoursAgo: 2 })
    await keepLive({ id: 'c', hoursAgo: 2, generation: 1 })
    await keepLive({ id: 'older', hoursAgo: 3 })
    await speed.putPartitions([0, 1].map((generation) => partitionRow(NOW_MS, { generation })))
    const pages = await pagesOf(await serve({}, false), 'limit=2')
    expect(pages.flat().toSorted()).toEqual(['a', 'b', 'c', 'd', 'e', 'older'])
    expect(pages.every((page) => page.length <= 2)).toBe(true)
  })
})

describe('the sessions of a viewer with a history', () => {
  it('are followed by those that only the history still holds, each once', async () => {
    await keepLive({ id: 'both', hoursAgo: 48 })
    await keepLive({ id: 'live', hoursAgo: 1 })
    await keepPast({ id: 'both', hoursAgo: 48 })
    await keepPast({ id: 'past', hoursAgo: 24 * 20 })
    await keepPast({ id: 'older', hoursAgo: 24 * 25 })
    await keepPast({ id: 'too old', hoursAgo: 24 * 40 })
    await keepPast({ id: 'other', hoursAgo: 24 * 21 }, [BERT])
    const ask = await serve()
    const answer = await ask()
    expect(idsOf(answer)).toEqual(['live', 'both', 'past', 'older'])
    expect(answer.sessions.map(({ source }) => source)).toEqual([
      'speed',
      'speed',
      'history',
      'history',
    ])
    for (const limit of [1, 2, 3, 4, 5])
      expect((await pagesOf(ask, `limit=${limit}`)).flat()).toEqual(idsOf(answer))
    const older = `?from=${NOW_MS - 60 * DAY_MS}&to=${NOW_MS - 30 * DAY_MS}`
    expect(idsOf(await ask(older))).toEqual(['too old'])
  })

  it('hold what the history has where its live row is in no list yet', async () => {
    await keepLive({ id: 'unlisted', hoursAgo: 48 })
    await keepPast({ id: 'unlisted', hoursAgo: 48 })
    const listed = speed.readViewerSessions.bind(speed)
    speed.readViewerSessions = async (query) =>
      (await listed(query)).filter(({ sessionId }) => sessionId !== 'unlisted')
    const { sessions } = await (await serve())()
    expect(sessions).toMatchObject([{ sessionId: 'unlisted', source: 'history' }])
  })

  it('are of who watched the latest part, and count all parts', async () => {
    await keepPast({ id: 'taken', hoursAgo: 480 }, [BERT, BERT, ANNA])
    await keepPast({ id: 'left', hoursAgo: 490 }, [ANNA, BERT])
    const { sessions } = await (await serve())()
    expect(sessions).toMatchObject([{ sessionId: 'taken', stallCount: 3 }])
  })

  it('are a row each, however many parts they have', async () => {
    // More than a query may read, of one session and of several that began at once.
    const parts = Array.from({ length: 30 }, () => ANNA)
    for (const id of ['long', 'long too', 'long as well'])
      await keepPast({ id, hoursAgo: 480 }, parts)
    await keepPast({ id: 'older', hoursAgo: 490 }, parts)
    const ask = await serve({
      historyRowsPerQueryMax: 10,
      historyPartsMax: 10,
      historyTimelineEventsMax: 10,
      historyMinuteRowsMax: 10,
      viewerSessionsMax: 5,
      viewerSessionsDefault: 5,
      viewerSessionsAtOnceMax: 5,
    })
    const { sessions } = await ask()
    expect(sessions.map(({ sessionId }) => sessionId)).toEqual([
      'long',
      'long as well',
      'long too',
      'older',
    ])
    for (const session of sessions) expect(session).toMatchObject({ stallCount: 30 })
    for (const limit of [1, 2, 3])
      expect((await pagesOf(ask, `limit=${limit}`)).flat()).toEqual(idsOf(await ask()))
  })

  it('are the live ones while the history does not answer, and the rest when it does again', async () => {
    await keepLive({ id: 'live', hoursAgo: 1 })
    await keepPast({ id: 'past', hoursAgo: 480 })
    const ask = await serve({ historyRetryMs: 1 })
    warehouse.failure = warehouseErrors.create('WAREHOUSE_UNAVAILABLE')
    const answer = await ask()
    expect(idsOf(answer)).toEqual(['live'])
    expect(answer.degraded).toMatchObject([{ code: 'SERVING_HISTORY_UNAVAILABLE' }])
    await stopTestServings()
    warehouse.failure = undefined
    const again = await serve()
    expect(idsOf(await again(`?cursor=${answer.nextCursor}`))).toEqual(['past'])
  })
})

it.each([
  ['?from=5&to=5', 'SERVING_RANGE_INVALID'],
  [`?from=0&to=${32 * DAY_MS}`, 'SERVING_RANGE_INVALID'],
  ['?limit=201', 'SERVING_QUERY_INVALID'],
  ['?recent=5', 'SERVING_QUERY_INVALID'],
  ['?cursor=speed', 'SERVING_CURSOR_INVALID'],
  ['?cursor=speed.5.1', 'SERVING_CURSOR_INVALID'],
  [`?cursor=history.${NOW_MS}.801`, 'SERVING_CURSOR_INVALID'],
])('the query %s is refused with %s', async (query, code) => {
  await expect((await serve({}, false))(query)).rejects.toThrow(code)
})

it.each(['A'.repeat(32), 'abc', `${ANNA}a`, '%E0%A4%A'])('%s is no viewer', async (viewer) => {
  await expect((await serve({}, false))('', viewer)).rejects.toThrow('SERVING_QUERY_INVALID')
})
