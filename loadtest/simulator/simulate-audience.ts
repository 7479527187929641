/**
 * A seeded audience: equal options give equal sessions, and session i is the same however many
 * others there are. Each session comes with its events and its exactly expected metrics.
 */
import type { SessionContext } from '../../shared/events/schema.ts'
import { seededRandom, type Random } from '../../shared/runtime/random.ts'
import {
  expectSession,
  sumExpected,
  type ExpectedPart,
  type ExpectedTotals,
} from './expected-metrics.ts'
import { partContext, planEvents, type PlannedEvent } from './plan-events.ts'
import type { SessionPlan } from './session-plan.ts'
import { drawPlan } from './viewer.ts'

export interface AudienceOptions {
  readonly seed: number
  readonly sessions: number
  /** Sessions begin evenly over [startAtMs, startAtMs + arrivalSpanMs), true time. */
  readonly startAtMs: number
  readonly arrivalSpanMs: number
  /** Device clocks of the audience, each minus true time. */
  readonly clockOffsetsMs?: readonly number[]
  readonly watchMedianMs?: number
  readonly contents?: number
  /** Ids begin with the session's number: among 100,000 sessions some of those that are drawn are equal. */
  readonly idsByNumber?: boolean
}

export interface SimulatedSession {
  readonly sessionId: string
  readonly plan: SessionPlan
  /** Context of each part. */
  readonly contexts: readonly SessionContext[]
  readonly events: readonly PlannedEvent[]
  readonly lastEventAtMs: number
  /** What must come out; `timedOut` once the session was closed for its silence. */
  expected(timedOut: boolean): readonly ExpectedPart[]
}

export interface Audience {
  readonly sessions: readonly SimulatedSession[]
  readonly events: number
  totals(timedOut: boolean): ExpectedTotals
}

const DEFAULTS = { watchMedianMs: 6 * 60_000, contents: 120, clockOffsetsMs: [0] } as const

export function simulateAudience(options: AudienceOptions): Audience {
  const sessions = Array.from({ length: options.sessions }, (_, index) =>
    simulateSession(options, index),
  )
  return {
    sessions,
    events: sessions.reduce((sum, session) => sum + session.events.length, 0),
    totals: (timedOut) =>
      sumExpected(sessions.flatMap((session) => [...session.expected(timedOut)])),
  }
}

/** Session `index` of the audience; `index` may go beyond `sessions`, then arrivals go on. */
export function simulateSession(options: AudienceOptions, index: number): SimulatedSession {
  const { clockOffsetsMs, watchMedianMs, contents } = { ...DEFAULTS, ...options }
  const number = mixSeed(options.seed, index)
  const drawn = seededRandom(number)
  const random = options.idsByNumber === true ? withIdsOf(number, drawn) : drawn
  const arrivalMs = ((index + random.next()) * options.arrivalSpanMs) / options.sessions
  return sessionOf(
    drawPlan(random, {
      startAtMs: options.startAtMs + Math.floor(arrivalMs),
      clockOffsetMs: clockOffsetsMs[random.below(clockOffsetsMs.length)] ?? 0,
      watchMedianMs,
      contents,
      viewers: 2 * options.sessions,
    }),
  )
}

/** How many sessions of the audience, continued without end, begin before `atMs`, give or take one. */
export function arrivalsBefore(options: AudienceOptions, atMs: number): number {
  const sinceMs = Math.max(0, atMs - options.startAtMs)
  return Math.floor((sinceMs * options.sessions) / options.arrivalSpanMs)
}

export function sessionOf(plan: SessionPlan): SimulatedSession {
  const events = planEvents(plan)
  const lastEventAtMs = events.at(-1)?.trueAtMs ?? plan.startAtMs
  return {
    sessionId: plan.context.sessionId,
    plan,
    contexts: plan.parts.map((_, part) => partContext(plan, part)),
    events,
    lastEventAtMs,
    expected: (timedOut) => expectSession(plan, { lastEventAtMs, timedOut }),
  }
}

/** The sequences of two numbers may overlap where an id is drawn. */
function withIdsOf(number: number, random: Random): Random {
  const prefix = number.toString(16).padStart(8, '0')
  return { ...random, uuid: () => prefix + random.uuid().slice(prefix.length) }
}

/** Of one seed no two indexes have the same. Neighbouring seeds and indexes must not give neighbouring sequences. */
function mixSeed(seed: number, index: number): number {
  let mixed = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(index + 1, 0xc2b2ae35)
  mixed ^= mixed >>> 15
  return Math.imul(mixed, 0x2c1b3c6d) >>> 0
}
