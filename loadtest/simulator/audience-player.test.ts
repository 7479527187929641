import { expect, test } from 'vitest'
import { ManualClock } from '../../shared/runtime/clock.ts'
import { AudiencePlayer, type AudiencePlayerOptions } from './audience-player.ts'
import type { OutgoingFrame } from './client-pool.ts'
import { arrivalsBefore, simulateSession, type AudienceOptions } from './simulate-audience.ts'

function setUp(pastMs: number, options: Partial<AudiencePlayerOptions> = {}) {
  const clock = new ManualClock()
  const audience: AudienceOptions = {
    seed: 5,
    sessions: 20,
    startAtMs: clock.nowMs() - pastMs,
    arrivalSpanMs: 120_000,
  }
  const frames: OutgoingFrame[] = []
  const player = new AudiencePlayer({
    sessionAt: (index) => simulateSession(audience, index),
    pastSessions: arrivalsBefore(audience, clock.nowMs()),
    offer: (frame) => frames.push(frame) > 0,
    clock,
    ...options,
  })
  const sent = () =>
    frames.flatMap(({ sessionId, events }) => events.map((event) => ({ sessionId, event })))
  return { clock, audience, frames, player, sent }
}

test('every event is sent once, in order, at its time and not before', async () => {
  const { clock, audience, player, sent } = setUp(0)
  player.start()
  for (let step = 0; step < 300; step++) {
    await clock.advance(1_000)
    const nowMs = clock.nowMs()
    expect(sent().every(({ event }) => event.at <= nowMs)).toBe(true)
  }
  player.stop()
  for (let index = 0; index < audience.sessions; index++) {
    const session = simulateSession(audience, index)
    const due = session.events.filter(({ trueAtMs }) => trueAtMs <= clock.nowMs())
    const mine = sent().filter(({ sessionId }) => sessionId === session.sessionId)
    expect(mine.map(({ event }) => event)).toEqual(due.map(({ event }) => event))
  }
  expect(player.status.begun).toBe(player.status.active + player.status.finished)
})

test('the past is sent at once, bounded per tick, and then it has caught up', async () => {
  const { clock, frames, player } = setUp(600_000, { framesPerTickMax: 10 })
  player.start()
  await clock.advance(200)
  expect(frames).toHaveLength(10)
  expect(player.status.caughtUp).toBe(false)
  await clock.advance(10_000)
  expect(player.status.caughtUp).toBe(true)
  expect(player.status.begun).toBeGreaterThan(90)
  player.stop()
})

test('the present comes before the past, and the past newest first', async () => {
  const { clock, audience, frames, player } = setUp(600_000, { framesPerTickMax: 3 })
  player.start()
  await clock.advance(30_000)
  player.stop()
  const past = arrivalsBefore(audience, clock.nowMs() - 30_000)
  const firstSent = [...new Set(frames.map(({ sessionId }) => sessionId))]
  const newestFirst = [past - 1, past - 2, past - 3].map(
    (index) => simulateSession(audience, index).sessionId,
  )
  expect(firstSent.slice(0, 3)).toEqual(newestFirst)
  expect(firstSent).toContain(simulateSession(audience, past).sessionId)
})

test('what a full queue refuses is offered again', async () => {
  let refusing = true
  const taken: OutgoingFrame[] = []
  const { clock, player } = setUp(60_000, {
    offer: (frame) => {
      if (!refusing) taken.push(frame)
      return !refusing
    },
  })
  player.start()
  await clock.advance(1_000)
  expect(player.status).toMatchObject({ eventsOffered: 0, finished: 0 })
  expect(player.status.offersDeferred).toBeGreaterThan(4)
  refusing = false
  await clock.advance(1_000)
  const firstSeqs = new Map<string, number>()
  for (const { sessionId, events } of taken)
    firstSeqs.set(sessionId, Math.min(firstSeqs.get(sessionId) ?? Infinity, events[0]?.seq ?? 0))
  expect(firstSeqs.size).toBeGreaterThan(5)
  expect([...firstSeqs.values()].every((seq) => seq === 0)).toBe(true)
  player.stop()
})

test('a frame speaks of one part only', async () => {
  const { clock, frames, player } = setUp(1_800_000, { framesPerTickMax: 100_000 })
  player.start()
  await clock.advance(200)
  player.stop()
  const contents = new Map<string, Set<string | undefined>>()
  for (const { sessionId, context } of frames) {
    const seen = contents.get(sessionId) ?? new Set()
    contents.set(sessionId, seen.add(context.contentId))
  }
  const twoParts = [...contents.values()].filter((seen) => seen.size > 1)
  expect(twoParts.length).toBeGreaterThan(0)
})
