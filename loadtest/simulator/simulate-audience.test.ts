import { describe, expect, test } from 'vitest'
import { eventSchema, sessionContextSchema } from '../../shared/events/schema.ts'
import { BAD_CDN, CDNS, zipfRank } from './catalogue.ts'
import { CALM_DELIVERY, deliver, ROUGH_DELIVERY } from './delivery.ts'
import { sumExpected } from './expected-metrics.ts'
import { simulateAudience, simulateSession, type AudienceOptions } from './simulate-audience.ts'
import { seededRandom } from '../../shared/runtime/random.ts'

const START_MS = 1_800_000_000_000
const options: AudienceOptions = {
  seed: 7,
  sessions: 300,
  startAtMs: START_MS,
  arrivalSpanMs: 20 * 60_000,
  clockOffsetsMs: [0, 1_250, -259_200_000],
}
const audience = simulateAudience(options)

describe('an audience', () => {
  test('is the same for the same seed and another for another', () => {
    const again = simulateAudience(options)
    expect(again.sessions.map(({ events }) => events)).toEqual(
      audience.sessions.map(({ events }) => events),
    )
    const other = simulateAudience({ ...options, seed: 8 })
    expect(other.sessions[0]?.sessionId).not.toBe(audience.sessions[0]?.sessionId)
  })

  test('has its session i whatever comes before it, and goes on beyond its number', () => {
    expect(simulateSession(options, 17).events).toEqual(audience.sessions[17]?.events)
    const later = simulateSession(options, options.sessions)
    expect(later.plan.startAtMs).toBeGreaterThanOrEqual(START_MS + options.arrivalSpanMs)
  })

  test('gives no id twice when it is asked to, also where the sequences of two sessions overlap', () => {
    const seed = 1_618_992_296
    const idsOf = (idsByNumber: boolean) =>
      [28_516, 62_517].map((at) => simulateSession({ ...options, seed, idsByNumber }, at).sessionId)
    expect(new Set(idsOf(false)).size).toBe(1)
    expect(new Set(idsOf(true)).size).toBe(2)
  })

  test('emits only what the schema accepts, with dense seqs and times that never go back', () => {
    const sessionIds = new Set(audience.sessions.map(({ sessionId }) => sessionId))
    expect(sessionIds.size).toBe(options.sessions)
    for (const { contexts, events } of audience.sessions) {
      for (const context of contexts)
        expect(sessionContextSchema.safeParse(context).error).toBeUndefined()
      let lastAt = 0
      for (const [index, { event }] of events.entries()) {
        expect(eventSchema.safeParse(event).error).toBeUndefined()
        expect(event.seq).toBe(index)
        expect(event.at).toBeGreaterThanOrEqual(lastAt)
        lastAt = event.at
      }
    }
  })

  test('arrives evenly over its span, with every device clock', () => {
    const halfMs = START_MS + options.arrivalSpanMs / 2
    const early = audience.sessions.filter(({ plan }) => plan.startAtMs < halfMs)
    expect(early).toHaveLength(options.sessions / 2)
    const clocks = new Set(audience.sessions.map(({ plan }) => plan.clockOffsetMs))
    expect([...clocks].toSorted((a, b) => a - b)).toEqual([-259_200_000, 0, 1_250])
  })

  test('shows everything that happens to viewers', () => {
    const totals = audience.totals(true)
    expect(totals.attempts).toBe(totals.sessions)
    for (const name of ['plays', 'ebvs', 'vsf', 'vpf', 'stalls'] as const)
      expect(totals[name]).toBeGreaterThan(0)
    const reasons = new Set(
      audience.sessions.flatMap((session) => session.expected(true).map((part) => part.endReason)),
    )
    expect(reasons).toEqual(new Set(['content', 'fail', 'finish', 'sessionEnd', 'timeout']))
    const types = new Set(
      audience.sessions.flatMap(({ events }) => events.map(({ event }) => event.type)),
    )
    for (const type of ['cdnUpdate', 'playbackRateUpdate', 'renditionUpdate', 'seekEnd', 'warning'])
      expect(types).toContain(type)
  })

  test('has one CDN that is plainly worse than the others', () => {
    const perCdn = CDNS.map(({ cdn }) => {
      const totals = sumExpected(
        audience.sessions
          .filter(({ plan }) => plan.parts[0]?.cdn === cdn)
          .flatMap((session) => [...session.expected(true)]),
      )
      return { cdn, stalledRatio: totals.stallMs / totals.watchedMs, failures: totals.failures }
    })
    const bad = perCdn.find(({ cdn }) => cdn === BAD_CDN)
    for (const { stalledRatio } of perCdn.filter(({ cdn }) => cdn !== BAD_CDN))
      expect(bad?.stalledRatio).toBeGreaterThan(5 * stalledRatio)
  })
})

test('content ranks follow Zipf: the first tenth gets about half', () => {
  const random = seededRandom(3)
  const ranks = Array.from({ length: 5_000 }, () => zipfRank(100, random))
  expect(Math.min(...ranks)).toBe(0)
  expect(Math.max(...ranks)).toBeLessThan(100)
  const share = ranks.filter((rank) => rank < 10).length / ranks.length
  // ln(11) / ln(101) = 0.52
  expect(share).toBeGreaterThan(0.47)
  expect(share).toBeLessThan(0.57)
})

describe('delivery', () => {
  test('calm: every event once, in order, after one delay', () => {
    const frames = deliver(audience.sessions, CALM_DELIVERY)
    const bySession = new Map<string, number[]>()
    for (const frame of frames) {
      const seqs = bySession.get(frame.sessionId) ?? []
      seqs.push(...frame.events.map(({ seq }) => seq))
      bySession.set(frame.sessionId, seqs)
    }
    for (const { sessionId, events } of audience.sessions)
      expect(bySession.get(sessionId)).toEqual(events.map(({ event }) => event.seq))
  })

  test('rough: repeats, overtaking and offline stretches, but every event arrives', () => {
    const frames = deliver(audience.sessions, ROUGH_DELIVERY)
    const arrived = new Set(
      frames.flatMap(({ sessionId, events }) => events.map(({ seq }) => `${sessionId}/${seq}`)),
    )
    expect(arrived.size).toBe(audience.events)
    expect(frames.filter(({ isRepeat }) => isRepeat).length).toBeGreaterThan(100)
    const lastSeq = new Map<string, number>()
    let overtaken = 0
    for (const { sessionId, events, isRepeat } of frames) {
      if (isRepeat) continue
      const first = events[0]?.seq ?? 0
      if (first < (lastSeq.get(sessionId) ?? 0)) overtaken += 1
      lastSeq.set(sessionId, Math.max(first, lastSeq.get(sessionId) ?? 0))
    }
    expect(overtaken).toBeGreaterThan(10)
    expect(frames.every((frame) => frame.events.length <= ROUGH_DELIVERY.frameEventsMax)).toBe(true)
  })

  test('an event is overtaken by less than its bound', () => {
    const frames = deliver(audience.sessions, { ...ROUGH_DELIVERY, offlineChance: 0 })
    const offsets = new Map(
      audience.sessions.map(({ sessionId, plan }) => [sessionId, plan.clockOffsetMs]),
    )
    const latestMs = ROUGH_DELIVERY.delayMaxMs + ROUGH_DELIVERY.overtakenMaxMs
    for (const { sessionId, arrivedAtMs, sentAtMs } of frames) {
      const tookMs = arrivedAtMs - (sentAtMs - (offsets.get(sessionId) ?? 0))
      expect(tookMs).toBeGreaterThanOrEqual(ROUGH_DELIVERY.delayMinMs)
      expect(tookMs).toBeLessThanOrEqual(latestMs)
    }
  })
})
