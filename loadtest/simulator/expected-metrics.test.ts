/** Tiny plans whose events and metrics are worked out by hand beside them. */
import { describe, expect, test } from 'vitest'
import type { ExpectedPart } from './expected-metrics.ts'
import { sessionOf } from './simulate-audience.ts'
import type { PartPlan, Segment, SessionPlan } from './session-plan.ts'

const START_MS = 1_800_000_000_000

function planOf(segments: readonly Segment[], more: Partial<SessionPlan> = {}): SessionPlan {
  const part: PartPlan = { contentId: 'movie-1', cdn: 'a', segments }
  return {
    context: { sessionId: 'session-1' },
    startAtMs: START_MS,
    heartbeatMs: 10_000,
    clockOffsetMs: 0,
    parts: [part],
    ...more,
  }
}

/** Events as `type@ms since the start`. */
function eventsOf(plan: SessionPlan): string[] {
  return sessionOf(plan).events.map(
    ({ event }) => `${event.type}@${event.at - START_MS - plan.clockOffsetMs}`,
  )
}

function onlyPart(plan: SessionPlan, timedOut = false): ExpectedPart | undefined {
  const parts = sessionOf(plan).expected(timedOut)
  expect(parts).toHaveLength(1)
  return parts[0]
}

describe('plans worked out by hand', () => {
  test('a normal session with a stall and a pause', () => {
    const plan = planOf([
      { state: 'starting', ms: 1_200 },
      { state: 'playing', ms: 30_000 },
      { state: 'stalled', ms: 800 },
      { state: 'playing', ms: 10_000 },
      { state: 'paused', ms: 5_000 },
      { state: 'playing', ms: 3_000 },
      { state: 'ended', ms: 0, by: 'finish' },
    ])
    // Start 1,200; stall 31,200; start 32,000; pause 42,000; start 47,000; finish 50,000.
    expect(eventsOf(plan)).toEqual([
      'playbackRequest@0',
      'playbackStart@1200',
      'heartbeat@10000',
      'heartbeat@20000',
      'heartbeat@30000',
      'playbackStall@31200',
      'playbackStart@32000',
      'heartbeat@40000',
      'playbackPause@42000',
      'playbackStart@47000',
      'playbackFinish@50000',
    ])
    expect(onlyPart(plan)).toEqual({
      contentId: 'movie-1',
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
      startupMs: 1_200,
      stallCount: 1,
      stallMs: 800,
      // 30,000 + 10,000 + 3,000
      playingMs: 43_000,
      // 1,200 + 43,000 + 800; the pause is not watched.
      watchedMs: 45_000,
      mediaUs: 43_000_000,
      ratedMediaUs: 0,
      bitsPlayed: 0n,
    })
  })

  test('renditions and a faster rate', () => {
    const plan = planOf([
      {
        state: 'starting',
        ms: 500,
        changes: [{ atMs: 100, kind: 'rendition', videoKbps: 3_000, audioKbps: 128 }],
      },
      {
        state: 'playing',
        ms: 10_000,
        changes: [
          { atMs: 4_000, kind: 'rendition', videoKbps: 1_000 },
          { atMs: 6_000, kind: 'rate', rateMilli: 1_500 },
        ],
      },
      { state: 'ended', ms: 0, by: 'viewer' },
    ])
    expect(eventsOf(plan)).toEqual([
      'playbackRequest@0',
      'renditionUpdate@100',
      'playbackStart@500',
      'renditionUpdate@4500',
      'playbackRateUpdate@6500',
      'heartbeat@10000',
      'sessionEnd@10500',
    ])
    expect(onlyPart(plan)).toMatchObject({
      playingMs: 10_000,
      // 6,000 ms × 1,000 + 4,000 ms × 1,500
      mediaUs: 12_000_000,
      ratedMediaUs: 12_000_000,
      // 4,000,000 × 3,128 + 2,000,000 × 1,128 + 6,000,000 × 1,128; the audio rate is kept.
      bitsPlayed: 21_536_000_000n,
      endReason: 'sessionEnd',
    })
  })

  test('media before the first known bitrate is not rated', () => {
    const plan = planOf([
      { state: 'starting', ms: 100 },
      {
        state: 'playing',
        ms: 5_000,
        changes: [{ atMs: 2_000, kind: 'rendition', videoKbps: 500 }],
      },
      { state: 'ended', ms: 0 },
    ])
    expect(onlyPart(plan)).toMatchObject({
      mediaUs: 5_000_000,
      ratedMediaUs: 3_000_000,
      bitsPlayed: 1_500_000_000n,
    })
  })

  test('a viewer who leaves before the start, soon and late', () => {
    const leavesAfter = (ms: number) =>
      onlyPart(
        planOf([
          { state: 'starting', ms },
          { state: 'ended', ms: 0, by: 'viewer' },
        ]),
      )
    expect(leavesAfter(999)).toMatchObject({ ebvs: 1, ebvsLong: 0, play: 0, endedPlay: 0, vsf: 0 })
    expect(leavesAfter(1_000)).toMatchObject({ ebvs: 1, ebvsLong: 1, watchedMs: 1_000 })
    expect(leavesAfter(999)?.startupMs).toBeUndefined()
  })

  test('a failure before the start, and one after it', () => {
    const vsf = planOf([
      { state: 'starting', ms: 4_000 },
      { state: 'failed', ms: 0, code: 'DRM' },
    ])
    expect(onlyPart(vsf)).toMatchObject({
      vsf: 1,
      vpf: 0,
      failed: 1,
      ebvs: 0,
      endedPlay: 0,
      play: 0,
    })
    expect(onlyPart(vsf)).toMatchObject({ state: 'failed', endReason: 'fail', watchedMs: 4_000 })
    const vpf = planOf([
      { state: 'starting', ms: 700 },
      { state: 'playing', ms: 2_000 },
      { state: 'failed', ms: 0, code: 'NET' },
    ])
    expect(onlyPart(vpf)).toMatchObject({ vsf: 0, vpf: 1, failed: 1, endedPlay: 1, play: 1 })
  })

  test('a pause in the start-up does not count, a start without request has no start-up', () => {
    const paused = planOf([
      { state: 'starting', ms: 600 },
      { state: 'paused', ms: 9_000 },
      { state: 'starting', ms: 300 },
      { state: 'playing', ms: 1_000 },
      { state: 'ended', ms: 0 },
    ])
    expect(onlyPart(paused)).toMatchObject({ startupMs: 900, watchedMs: 1_900 })
    const unannounced = planOf([
      { state: 'playing', ms: 1_000 },
      { state: 'ended', ms: 0 },
    ])
    expect(onlyPart(unannounced)).toMatchObject({ attempt: 1, play: 1, playingMs: 1_000 })
    expect(onlyPart(unannounced)?.startupMs).toBeUndefined()
  })

  test('a seek is watched, is no stall, and ends with its own event', () => {
    const plan = planOf([
      { state: 'starting', ms: 100 },
      { state: 'playing', ms: 1_000 },
      { state: 'seeking', ms: 2_500 },
      { state: 'playing', ms: 400 },
      { state: 'ended', ms: 0 },
    ])
    expect(eventsOf(plan)).toEqual([
      'playbackRequest@0',
      'playbackStart@100',
      'seekStart@1100',
      'seekEnd@3600',
      'playbackStart@3600',
      'playbackFinish@4000',
    ])
    expect(onlyPart(plan)).toMatchObject({ stallCount: 0, playingMs: 1_400, watchedMs: 4_000 })
  })

  test('a session that vanishes counts up to its last heartbeat, and ends by time-out', () => {
    const plan = planOf([
      { state: 'starting', ms: 1_000 },
      { state: 'playing', ms: 26_000 },
    ])
    // Heartbeats at 10,000 and 20,000; the plan ends at 27,000 without a word.
    expect(eventsOf(plan).at(-1)).toBe('heartbeat@20000')
    expect(onlyPart(plan)).toMatchObject({ playingMs: 19_000, watchedMs: 20_000, endedPlay: 0 })
    expect(onlyPart(plan)).toMatchObject({ state: 'playing', endReason: undefined })
    expect(onlyPart(plan, true)).toMatchObject({
      state: 'ended',
      endReason: 'timeout',
      playingMs: 19_000,
      endedPlay: 1,
      ebvs: 0,
    })
  })

  test('one that vanishes in its start-up becomes an EBVS once it timed out', () => {
    const plan = planOf([{ state: 'starting', ms: 15_000 }])
    expect(onlyPart(plan)).toMatchObject({ ebvs: 0, watchedMs: 10_000 })
    expect(onlyPart(plan, true)).toMatchObject({ ebvs: 1, ebvsLong: 1 })
  })

  test('a failure that is tried again: the first end decides, the second try plays', () => {
    const plan = planOf([
      { state: 'starting', ms: 2_000 },
      { state: 'failed', ms: 4_000, code: 'NET' },
      { state: 'starting', ms: 500 },
      { state: 'playing', ms: 6_000 },
      { state: 'ended', ms: 0, by: 'finish' },
    ])
    expect(onlyPart(plan)).toMatchObject({
      vsf: 1,
      failed: 1,
      vpf: 0,
      ebvs: 0,
      play: 1,
      endedPlay: 0,
      startupMs: 2_500,
      playingMs: 6_000,
      watchedMs: 8_500,
      endReason: 'finish',
    })
  })

  test('a change of content ends a part at the next one’s first event', () => {
    const first: PartPlan = {
      contentId: 'movie-1',
      cdn: 'a',
      segments: [
        { state: 'starting', ms: 300, changes: [{ atMs: 0, kind: 'rendition', videoKbps: 900 }] },
        { state: 'playing', ms: 8_000 },
      ],
    }
    const second: PartPlan = {
      contentId: 'movie-2',
      cdn: 'b',
      segments: [
        { state: 'starting', ms: 200 },
        { state: 'playing', ms: 1_500 },
        { state: 'ended', ms: 0, by: 'viewer' },
      ],
    }
    const session = sessionOf(planOf([], { parts: [first, second] }))
    expect(session.contexts.map(({ contentId, cdn }) => [contentId, cdn])).toEqual([
      ['movie-1', 'a'],
      ['movie-2', 'b'],
    ])
    expect(session.events.map(({ part, event }) => [part, event.seq, event.type])).toEqual([
      [0, 0, 'playbackRequest'],
      [0, 1, 'renditionUpdate'],
      [0, 2, 'playbackStart'],
      [1, 3, 'playbackRequest'],
      [1, 4, 'playbackStart'],
      [1, 5, 'sessionEnd'],
    ])
    expect(session.expected(false)).toMatchObject([
      { endReason: 'content', playingMs: 8_000, endedPlay: 1, ratedMediaUs: 8_000_000 },
      { endReason: 'sessionEnd', playingMs: 1_500, startupMs: 200, ratedMediaUs: 0 },
    ])
  })

  test('a wrong device clock moves every event alike and no metric', () => {
    const segments: Segment[] = [
      { state: 'starting', ms: 100 },
      { state: 'playing', ms: 12_000 },
      { state: 'ended', ms: 0 },
    ]
    const right = planOf(segments)
    const wrong = planOf(segments, { clockOffsetMs: -3 * 86_400_000 })
    expect(eventsOf(wrong)).toEqual(eventsOf(right))
    expect(sessionOf(wrong).events[0]?.event.at).toBe(START_MS - 3 * 86_400_000)
    expect(onlyPart(wrong)).toEqual(onlyPart(right))
  })
})

test('playheads count media, at the rate in force', () => {
  const plan = planOf([
    { state: 'starting', ms: 1_000 },
    {
      state: 'playing',
      ms: 20_000,
      changes: [{ atMs: 4_000, kind: 'rate', rateMilli: 2_000 }],
    },
    { state: 'paused', ms: 2_000 },
    { state: 'playing', ms: 1_000 },
    { state: 'ended', ms: 0 },
  ])
  const playheads = sessionOf(plan).events.map(({ event }) =>
    'playheadMs' in event ? event.playheadMs : undefined,
  )
  // Heartbeats at 10,000 (4 s at 1 and 5 s at 2) and 20,000, pause at 21,000, start, finish.
  expect(playheads).toEqual([0, 0, undefined, 14_000, 34_000, 36_000, 36_000, 38_000])
})

test.each<[string, Segment[]]>([
  ['segment 1: stalled cannot follow starting', [s('starting', 1), s('stalled', 1)]],
  ['segment 0: expected whole milliseconds', [s('starting', 1.5)]],
  ['has no segments', []],
  ['out of order', [{ ...s('starting', 10), changes: [{ atMs: 11, kind: 'warning', code: 'X' }] }]],
])('a plan that no player can follow is refused: %s', (text, segments) => {
  expect(() => sessionOf(planOf(segments))).toThrow(text)
})

function s(state: Segment['state'], ms: number): Segment {
  return { state, ms }
}
