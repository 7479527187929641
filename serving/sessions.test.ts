import { describe, expect, it, vi } from 'vitest'
import { BackhaulError } from '../shared/runtime/errors.ts'
import { sessionListResponseSchema } from './api-schemas.ts'
import { DEFAULT_SERVING_LIMITS, type ServingLimits } from './limits.ts'
import { parseSessionQuery, type SessionsApi } from './sessions.ts'
import { TEST_EPOCH_MS, TestPartition } from './testing/test-partition.ts'

const T0 = TEST_EPOCH_MS

/** Request at 0, start at +800 ms, a stall from 3 s to 4.5 s, end at 6 s. */
const story = [
  { seq: 0, type: 'playbackRequest', at: T0 },
  { seq: 1, type: 'playbackStart', at: T0 + 800 },
  { seq: 2, type: 'playbackStall', at: T0 + 3_000 },
  { seq: 3, type: 'playbackStart', at: T0 + 4_500 },
  { seq: 4, type: 'sessionEnd', at: T0 + 6_000 },
]
const pick = (...seqs: number[]) => story.filter(({ seq }) => seqs.includes(seq))
const statuses = (response: { timeline: readonly { seq: number; status: string }[] }) =>
  response.timeline.map(({ seq, status }) => `${seq} ${status}`)

describe('a session', () => {
  it('shows summary, timeline with states, context and quality', async () => {
    const partition = new TestPartition().frame({ loggedAtMs: T0 + 7_000, events: story })
    const response = await partition.show()
    expect(response).toMatchObject({
      sessionId: 's-1',
      closed: false,
      context: { sessionId: 's-1', contentId: 'movie-1', cdn: 'cdn-a' },
      summary: {
        part: 0,
        state: 'ended',
        endReason: 'sessionEnd',
        startupMs: 800,
        stallCount: 1,
        stallMs: 1_500,
        playingMs: 3_700,
        watchedMs: 6_000,
        mediaMs: 3_700,
        attempt: 1,
        play: 1,
        ebvs: 0,
        vsf: 0,
        vpf: 0,
        failed: 0,
        stalledTimeRatio: 0.25,
        averageBitrateKbps: null,
      },
      quality: { lost: 0, duplicates: 0 },
      timelineFrames: { total: 1, expired: 0, beyondLimit: 0 },
    })
    expect(response.timeline.map(({ type, state }) => [type, state])).toEqual([
      ['playbackRequest', 'starting'],
      ['playbackStart', 'playing'],
      ['playbackStall', 'stalled'],
      ['playbackStart', 'playing'],
      ['sessionEnd', 'ended'],
    ])
    expect(response.nextCursor).toBeUndefined()
  })

  it('moves a wrong device clock to the gateway’s and keeps the device’s time beside it', async () => {
    const offMs = 3 * 86_400_000
    const events = story.map((event) => ({ ...event, at: event.at + offMs }))
    const partition = new TestPartition().frame({
      loggedAtMs: T0 + 7_010,
      sentAtMs: T0 + 7_000 + offMs,
      events,
    })
    const response = await partition.show()
    expect(response.clockOffsetMs).toBe(-offMs)
    expect(response.timeline[1]).toMatchObject({ eventTimeMs: T0 + 800, atMs: T0 + 800 + offMs })
  })

  it('never lets session time run backwards', async () => {
    const events = [
      { seq: 0, type: 'playbackRequest', at: T0 + 1_000 },
      { seq: 1, type: 'playbackStart', at: T0 + 400 },
    ]
    const response = await new TestPartition().frame({ loggedAtMs: T0 + 2_000, events }).show()
    expect(response.timeline.map(({ eventTimeMs }) => eventTimeMs)).toEqual([
      T0 + 1_000,
      T0 + 1_000,
    ])
    expect(response.quality.repairs['backwards']).toBe(1)
  })

  it('labels repeated events as duplicates, in order of seq and place', async () => {
    const partition = new TestPartition()
      .frame({ loggedAtMs: T0 + 1_000, events: pick(0, 1) })
      .frame({ loggedAtMs: T0 + 4_000, events: pick(0, 1, 2) })
    const response = await partition.show()
    expect(statuses(response)).toEqual([
      '0 applied',
      '0 duplicate',
      '1 applied',
      '1 duplicate',
      '2 applied',
    ])
    expect(response.quality.duplicates).toBe(2)
  })

  it('shows a refused event as rejected and its gap as filled', async () => {
    const partition = new TestPartition()
      .frame({ loggedAtMs: T0 + 1_000, events: pick(0) })
      .frame({ loggedAtMs: T0 + 2_000, events: [], rejectedSeqs: [1] })
      .frame({ loggedAtMs: T0 + 3_500, events: pick(2) })
    const response = await partition.show()
    expect(statuses(response)).toEqual(['0 applied', '1 rejected', '2 applied'])
    expect(response.quality).toMatchObject({ rejected: 1, lost: 0 })
  })

  it('labels events that wait for a lower seq as waiting, without a state', async () => {
    const partition = new TestPartition()
      .frame({ loggedAtMs: T0 + 1_000, events: pick(0, 1) })
      .frame({ loggedAtMs: T0 + 5_000, events: pick(3, 4) })
    const response = await partition.show()
    expect(statuses(response)).toEqual(['0 applied', '1 applied', '3 waiting', '4 waiting'])
    expect(response.timeline[2]?.state).toBeUndefined()
    expect(response.summary.events).toBe(2)
  })

  it('sees by the log’s later time that the wait is over, even when no frame of its own came', async () => {
    const partition = new TestPartition()
      .frame({ loggedAtMs: T0 + 1_000, events: pick(0, 1) })
      .frame({ loggedAtMs: T0 + 5_000, events: pick(3, 4) })
      .tick(T0 + 13_000)
    const response = await partition.show()
    expect(statuses(response)).toEqual(['0 applied', '1 applied', '3 applied', '4 applied'])
    expect(response.summary).toMatchObject({ events: 4, state: 'ended' })
  })

  it('labels what came after its gap was given up as amended', async () => {
    const partition = new TestPartition()
      .frame({ loggedAtMs: T0 + 1_000, events: pick(0, 1) })
      .frame({ loggedAtMs: T0 + 5_000, events: pick(3) })
      .frame({ loggedAtMs: T0 + 13_000, events: pick(2) })
    const response = await partition.show()
    expect(statuses(response)).toEqual(['0 applied', '1 applied', '2 amended', '3 applied'])
    expect(response.quality.amended).toBe(1)
  })

  it('labels what came later than the allowed lateness as late', async () => {
    // Events of the first seconds come every 20 minutes; the last one is over an hour late.
    const minuteMs = 60_000
    const partition = new TestPartition().frame({ loggedAtMs: T0 + 1_000, events: pick(0, 1) })
    for (let minute = 20; minute <= 80; minute += 20)
      partition.frame({
        loggedAtMs: T0 + minute * minuteMs,
        sentAtMs: T0 + minute * minuteMs - 10,
        events: [{ seq: 1 + minute / 20, type: 'heartbeat', at: T0 + 2_000 + minute }],
      })
    const response = await partition.show()
    expect(statuses(response)).toEqual([
      '0 applied',
      '1 applied',
      '2 applied',
      '3 applied',
      '4 applied',
      '5 late',
    ])
    expect(response.quality.late).toBe(1)
    expect(response.timeline[5]?.state).toBeUndefined()
  })

  it('labels what came after the close by time-out', async () => {
    const partition = new TestPartition()
      .frame({ loggedAtMs: T0 + 1_000, events: pick(0, 1) })
      .tick(T0 + 31 * 60_000)
      .frame({ loggedAtMs: T0 + 32 * 60_000, events: pick(2) })
    const response = await partition.show()
    expect(statuses(response)).toEqual(['0 applied', '1 applied', '2 afterClose'])
    expect(response).toMatchObject({ closed: true, summary: { endReason: 'timeout' } })
  })

  it('numbers the parts when the content changes', async () => {
    const partition = new TestPartition()
      .frame({ loggedAtMs: T0 + 1_000, events: pick(0, 1) })
      .frame({
        loggedAtMs: T0 + 9_000,
        context: { contentId: 'movie-2' },
        events: [
          { seq: 2, type: 'playbackRequest', at: T0 + 8_000 },
          { seq: 3, type: 'playbackStart', at: T0 + 8_300 },
        ],
      })
    const response = await partition.show()
    expect(response.timeline.map(({ part, state }) => [part, state])).toEqual([
      [0, 'starting'],
      [0, 'playing'],
      [1, 'starting'],
      [1, 'playing'],
    ])
    expect(response.parts.map(({ contentId, endReason }) => [contentId, endReason])).toEqual([
      ['movie-1', 'content'],
      ['movie-2', undefined],
    ])
    expect(response.summary).toMatchObject({ part: 1, startupMs: 300 })
  })

  it('shows summary and timeline at one log position: later frames do not show yet', async () => {
    const partition = new TestPartition().frame({ loggedAtMs: T0 + 1_000, events: pick(0, 1) })
    await partition.flush()
    const [before] = [...partition.speed.sessions.values()]
    partition.frame({ loggedAtMs: T0 + 4_000, events: pick(2) })
    await partition.flush()
    // Positions become visible before the session row that counts them.
    if (before !== undefined) await partition.speed.putSessions([before], [])
    const response = await partition.show()
    expect(statuses(response)).toEqual(['0 applied', '1 applied'])
    expect(response.summary.state).toBe('playing')
  })

  it('counts frames that the log no longer holds', async () => {
    const partition = new TestPartition()
      .frame({ loggedAtMs: T0 + 1_000, events: pick(0, 1) })
      .frame({ loggedAtMs: T0 + 4_000, events: pick(2) })
    partition.log.expire(0, 1)
    const response = await partition.show()
    expect(response.timelineFrames).toEqual({ total: 2, expired: 1, beyondLimit: 0 })
    expect(response.timeline.map(({ seq }) => seq)).toEqual([2])
    expect(response.summary.stallCount).toBe(1)
  })

  it('reads at most the bounded number of frames and says how many are beyond', async () => {
    const partition = new TestPartition()
    for (let seq = 0; seq < 200; seq++)
      partition.frame({
        loggedAtMs: T0 + seq * 1_000,
        events: [{ seq, type: 'heartbeat', at: T0 + seq * 1_000 }],
      })
    const response = await partition.show('', { timelineFramesMax: 130 })
    expect(response.timelineFrames).toEqual({ total: 200, expired: 0, beyondLimit: 70 })
    expect(response.timeline).toHaveLength(130)
  })
})

describe('paging a timeline', () => {
  const long = () => {
    const partition = new TestPartition()
    for (let seq = 0; seq < 25; seq++)
      partition.frame({
        loggedAtMs: T0 + seq * 1_000,
        events: [{ seq, type: 'heartbeat', at: T0 + seq * 1_000 }],
      })
    return partition.frame({
      loggedAtMs: T0 + 26_000,
      events: [9, 9, 25, 9].map((seq) => ({ seq, type: 'heartbeat', at: T0 + 25_000 })),
    })
  }

  it('gives every entry exactly once, in order', async () => {
    const partition = long()
    const whole = await partition.show()
    expect(whole.timeline).toHaveLength(29)
    for (const limit of [1, 2, 7, 29]) {
      const entries: unknown[] = []
      let cursor: string | undefined
      do {
        const page = await partition.show(
          cursor === undefined ? `limit=${limit}` : `limit=${limit}&cursor=${cursor}`,
        )
        expect(page.timeline.length).toBeLessThanOrEqual(limit)
        entries.push(...page.timeline)
        expect(entries.length).toBeLessThanOrEqual(whole.timeline.length)
        cursor = page.nextCursor
      } while (cursor !== undefined)
      expect(entries).toEqual(whole.timeline)
    }
  })

  it.each(['cursor=x', 'cursor=1.2', 'cursor=-1.0.1'])('refuses %s', (text) => {
    expect(() => parseSessionQuery('s-1', text, DEFAULT_SERVING_LIMITS)).toThrow(
      /SERVING_CURSOR_INVALID/,
    )
  })

  it('bounds the page', () => {
    const parse = (limit: number) =>
      parseSessionQuery('s-1', `limit=${limit}`, DEFAULT_SERVING_LIMITS)
    expect(parse(2_000).pageEvents).toBe(2_000)
    expect(() => parse(2_001)).toThrow(/SERVING_QUERY_INVALID/)
  })
})

describe('timelines kept for paging', () => {
  /** Sessions `s-<n>` of so many events, and which of them are read from the log when shown. */
  async function shown(eventCounts: readonly number[], limits: Partial<ServingLimits>) {
    const partition = new TestPartition()
    for (const [session, count] of eventCounts.entries())
      partition.frame({
        loggedAtMs: T0 + 7_000 + session,
        context: { sessionId: `s-${session}` },
        events: story.slice(0, count),
      })
    await partition.flush()
    const readAt = vi.spyOn(partition.log, 'readAt')
    const api = partition.api(limits)
    const readsOf = async (session: number) => {
      readAt.mockClear()
      const query = parseSessionQuery(`s-${session}`, '', DEFAULT_SERVING_LIMITS)
      expect((await api.show(query)).timeline).toHaveLength(eventCounts[session] ?? 0)
      return readAt.mock.calls.length
    }
    return { api, readsOf }
  }
  const sizes = (api: SessionsApi) => [api.cachedTimelines, api.cachedEvents]

  it('are read from the log once', async () => {
    const { api, readsOf } = await shown([5], {})
    expect([await readsOf(0), await readsOf(0)]).toEqual([1, 0])
    expect(sizes(api)).toEqual([1, 5])
  })

  it('are as many as the limit: the one not asked for longest goes', async () => {
    const { api, readsOf } = await shown([1, 1, 1], { timelineCacheSessionsMax: 2 })
    for (const session of [0, 1, 2]) expect(await readsOf(session)).toBe(1)
    expect(sizes(api)).toEqual([2, 2])
    expect([await readsOf(2), await readsOf(1), await readsOf(0)]).toEqual([0, 0, 1])
  })

  it('have as many events as the limit; a longer one is shown and not kept', async () => {
    const { api, readsOf } = await shown([2, 2, 2, 5], { timelineCacheEventsMax: 4 })
    for (const session of [0, 1]) await readsOf(session)
    expect(sizes(api)).toEqual([2, 4])
    await readsOf(2)
    expect(sizes(api)).toEqual([2, 4])
    expect([await readsOf(1), await readsOf(0)]).toEqual([0, 1])
    expect([await readsOf(3), await readsOf(3)]).toEqual([1, 1])
    expect(api.cachedEvents).toBeLessThanOrEqual(4)
  })
})

describe('which rows of a session are shown', () => {
  const row = async () => {
    const partition = new TestPartition().frame({ loggedAtMs: T0 + 7_000, events: story })
    await partition.flush()
    const [written] = [...partition.speed.sessions.values()]
    if (written === undefined) throw new Error('no session row')
    return { partition, written }
  }

  it('the highest generation of a partition', async () => {
    const { partition, written } = await row()
    await partition.speed.putSessions([{ ...written, generation: 1, clockOffsetMs: 77 }], [])
    expect((await partition.show()).clockOffsetMs).toBe(77)
  })

  it('the newest incarnation, or the one asked for', async () => {
    const { partition, written } = await row()
    const later = { ...written, incarnation: 9, firstReceivedAtMs: T0 + 1e7, clockOffsetMs: 99 }
    await partition.speed.putSessions([later], [])
    const newest = await partition.show()
    expect(newest).toMatchObject({ incarnation: 9, clockOffsetMs: 99 })
    expect(newest.incarnations).toEqual([9, written.incarnation])
    const asked = await partition.show(`incarnation=${written.incarnation}`)
    expect(asked).toMatchObject({ incarnation: written.incarnation, clockOffsetMs: 0 })
  })

  it('none: 404 with a code', async () => {
    const error = await new TestPartition().show().catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(BackhaulError)
    expect((error as BackhaulError).code).toBe('SERVING_SESSION_UNKNOWN')
    expect((error as BackhaulError).spec.status).toBe(404)
  })
})

describe('the list of sessions', () => {
  it('is newest first, one line for each, with what went wrong', async () => {
    const partition = new TestPartition()
      .frame({
        loggedAtMs: T0 + 7_000,
        context: { contentTitle: 'Harbour', device: { type: 'tv' }, country: 'DE' },
        events: story,
      })
      .frame({
        loggedAtMs: T0 + 9_000,
        context: { sessionId: 's-2' },
        events: [
          { seq: 0, type: 'playbackRequest', at: T0 + 8_000 },
          { seq: 1, type: 'playbackFail', at: T0 + 8_500 },
        ].map((event) => ({ ...event, code: 'X' })),
      })
    await partition.flush()
    for (const row of partition.speed.sessions.values())
      if (row.sessionId === 's-2')
        await partition.speed.putSessions([{ ...row, generation: -1 }], [])
    const list = await partition.api().listRecent('recent=10')
    expect(sessionListResponseSchema.parse(list)).toEqual(list)
    expect(list.sessions).toMatchObject([
      { sessionId: 's-2', failed: 1, state: 'failed' },
      {
        sessionId: 's-1',
        failed: 0,
        contentTitle: 'Harbour',
        deviceType: 'tv',
        country: 'DE',
        startupMs: 800,
        stallCount: 1,
        stallMs: 1_500,
      },
    ])
  })

  it('is as long as asked, up to the limit, and of the default length when nothing is asked', async () => {
    const partition = new TestPartition()
    const { recentSessionsMax: max, recentSessionsDefault } = DEFAULT_SERVING_LIMITS
    for (let session = 0; session <= max; session++)
      partition.frame({
        loggedAtMs: T0 + session,
        context: { sessionId: `s-${session}` },
        events: pick(0),
      })
    await partition.flush()
    const api = partition.api()
    expect((await api.listRecent(`recent=${max}`)).sessions).toHaveLength(max)
    expect((await api.listRecent('')).sessions).toHaveLength(recentSessionsDefault)
    await expect(api.listRecent(`recent=${max + 1}`)).rejects.toThrow(/SERVING_QUERY_INVALID/)
  })
})
