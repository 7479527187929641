import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { PartSummary } from '../shared/speed/rows.ts'
import { tables } from '../shared/warehouse/tables.ts'
import { warehouseErrors } from '../shared/warehouse/warehouse-errors.ts'
import type { Row } from '../shared/warehouse/warehouse.ts'
import { problemSchema, sessionResponseSchema, type SessionResponse } from './api-schemas.ts'
import { utcDate } from '../shared/warehouse/minute-rows.ts'
import type { ServingLimits } from './limits.ts'
import { TEST_EPOCH_MS, TestPartition, type TestFrame } from './testing/test-partition.ts'
import { startTestServing, stopTestServings } from './testing/test-serving.ts'
import { controlRows, insert, TestWarehouse } from './testing/test-warehouse.ts'

const START_MS = TEST_EPOCH_MS
const context = {
  contentTitle: 'A film',
  country: 'DE',
  device: { type: 'tv', osVersion: '7' },
  player: { name: 'hls.js', version: '1.7' },
  labels: { tier: 'gold' },
} as const
const event = (seq: number, type: string, afterMs: number, fields: object = {}) => ({
  seq,
  type,
  at: START_MS + afterMs,
  ...fields,
})
/** Start-up 800 ms, a stall, a repeat of the start, a refused event, an end. */
const FRAMES: readonly TestFrame[] = [
  {
    loggedAtMs: START_MS + 1_000,
    context,
    events: [event(0, 'playbackRequest', 0), event(1, 'playbackStart', 800, { playheadMs: 0 })],
  },
  {
    loggedAtMs: START_MS + 5_000,
    context,
    events: [
      event(1, 'playbackStart', 800, { playheadMs: 0 }),
      event(2, 'playbackStall', 3_000, { bufferMs: 40 }),
      event(3, 'cdnUpdate', 3_500, { cdn: 'cdn-b' }),
    ],
    rejectedSeqs: [4],
  },
  {
    loggedAtMs: START_MS + 9_000,
    context,
    events: [event(5, 'playbackStart', 4_500), event(6, 'sessionEnd', 8_000)],
  },
]

let warehouse: TestWarehouse
let partition: TestPartition
let live: SessionResponse
beforeEach(async () => {
  warehouse = await TestWarehouse.create()
  partition = new TestPartition()
  for (const frame of FRAMES) partition.frame(frame)
  live = await partition.show()
  await warehouse.write(controlRows(1, [START_MS]))
})
afterEach(async () => {
  await stopTestServings()
  warehouse.close()
})

/** What the batch makes of the session, by hand. */
async function loadHistory(incarnation = 0): Promise<void> {
  const of = { session_id: 's-1', incarnation, ...contextColumns, run: 1 }
  const seen = new Set<number>()
  const statements = FRAMES.flatMap((frame, offset) => {
    const arrival = {
      log_offset: offset,
      received_at_ms: frame.loggedAtMs - 10,
      received_date: utcDate(frame.loggedAtMs),
      sent_at_ms: frame.loggedAtMs - 10,
      logged_at_ms: frame.loggedAtMs,
    }
    const accepted = (frame.events ?? []).map(({ at, seq, type, ...fields }, index) => {
      const row = { ...of, ...arrival, log_index: index, seq, type, at_ms: at, ...columns(fields) }
      if (seen.has(seq)) return insert(tables.eventCopies, { ...row, kind: 'duplicate' })
      seen.add(seq)
      return insert(tables.events, row)
    })
    const rejected = (frame.rejectedSeqs ?? []).map((seq, index) =>
      insert(tables.eventCopies, {
        ...of,
        ...arrival,
        log_index: accepted.length + index,
        seq,
        kind: 'rejected',
      }),
    )
    return [...accepted, ...rejected]
  })
  const parts = partition.speed.sessions.values().next().value?.parts ?? []
  const sessions = parts.map((part) =>
    insert(tables.sessions, {
      ...of,
      ...columns(partColumns(part)),
      start_date: utcDate(part.firstEventTimeMs),
      duplicates: 1,
      rejected: 1,
      last_logged_at_ms: START_MS + 9_000,
      closed: true,
    }),
  )
  await warehouse.write(...statements, ...sessions)
}

const contextColumns = {
  content_id: 'movie-1',
  content_title: 'A film',
  cdn: 'cdn-a',
  country: 'DE',
  device_type: 'tv',
  device_os_version: '7',
  player_name: 'hls.js',
  player_version: '1.7',
  labels: '{"tier":"gold"}',
}

function partColumns({ contentId: _contentId, ...part }: PartSummary): object {
  return part
}

/** `bufferMs` → `buffer_ms`; the event's own CDN stands beside the context's. */
function columns(fields: object): Row {
  return Object.fromEntries(
    Object.entries(fields)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [
        name === 'cdn'
          ? 'event_cdn'
          : name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
        value as Row[string],
      ]),
  )
}

async function serve(limits: Partial<ServingLimits> = {}) {
  const { speed, log } = partition
  const { serving } = await startTestServing({ speed, log, batch: { warehouse }, limits })
  return async (query = '') => {
    const response = await fetch(`${serving.url}/v1/sessions/s-1${query}`)
    const body: unknown = await response.json()
    return response.ok ? sessionResponseSchema.strict().parse(body) : problemSchema.parse(body)
  }
}

describe('a session that the speed store has let go', () => {
  it('is shown from the history as the live side showed it', async () => {
    await loadHistory()
    const show = await serve()
    expect(await show()).toEqual(live)
    partition.speed.sessions.clear()
    const past = await show()
    const { position: _position, quality, ...rest } = live
    expect(past).toEqual({
      ...rest,
      source: 'history',
      closed: true,
      quality: { ...quality, repairs: {} },
    })
    expect(past).toMatchObject({
      summary: { startupMs: 800, stallCount: 1, state: 'ended' },
      quality: { duplicates: 1, rejected: 1 },
    })
  })

  it('is paged like any other', async () => {
    await loadHistory()
    partition.speed.sessions.clear()
    const show = await serve()
    const seen: unknown[] = []
    let query = '?limit=3'
    for (let page = 0; page < 4 && query !== ''; page++) {
      const answer = (await show(query)) as SessionResponse
      seen.push(...answer.timeline)
      query = answer.nextCursor === undefined ? '' : `?limit=3&cursor=${answer.nextCursor}`
    }
    expect(seen).toEqual(live.timeline)
  })

  it('shows as much of its timeline as the limit allows, and says what is missing', async () => {
    await loadHistory()
    partition.speed.sessions.clear()
    const show = await serve({ historyTimelineEventsMax: 3 })
    expect(await show()).toMatchObject({
      timeline: [{ seq: 0 }, { seq: 1 }, { seq: 1, status: 'duplicate' }],
      timelineFrames: { total: 3, expired: 0, beyondLimit: 1 },
    })
  })

  it('is shown by incarnation, beside one that the speed store still has', async () => {
    await loadHistory(77)
    const show = await serve()
    expect(await show()).toMatchObject({ source: 'speed', incarnation: 0 })
    expect(await show('?incarnation=77')).toMatchObject({
      source: 'history',
      incarnation: 77,
      incarnations: [0, 77],
    })
    expect(await show('?incarnation=78')).toMatchObject({ code: 'SERVING_SESSION_UNKNOWN' })
  })

  it('is unknown when neither side has it, and not when the history cannot be asked', async () => {
    partition.speed.sessions.clear()
    const show = await serve()
    expect(await show()).toMatchObject({ status: 404, code: 'SERVING_SESSION_UNKNOWN' })
    await stopTestServings()
    warehouse.failure = warehouseErrors.create('WAREHOUSE_UNAVAILABLE')
    const showAgain = await serve()
    expect(await showAgain()).toMatchObject({ status: 503, code: 'SERVING_HISTORY_UNAVAILABLE' })
  })
})

describe('a session whose frames the log has let go', () => {
  beforeEach(() => partition.log.expire(0, 2))

  it('has its timeline from the history', async () => {
    await loadHistory()
    const show = await serve()
    expect(await show()).toEqual(live)
  })

  it('shows what is left where the history has less', async () => {
    const show = await serve()
    expect(await show()).toMatchObject({ timelineFrames: { total: 3, expired: 2 } })
  })

  it('shows what is left, and why, where the history cannot be asked', async () => {
    warehouse.failure = warehouseErrors.create('WAREHOUSE_UNAVAILABLE')
    const show = await serve()
    expect(await show()).toMatchObject({
      degraded: [{ code: 'SERVING_HISTORY_UNAVAILABLE' }],
      timelineFrames: { expired: 2 },
    })
  })
})
