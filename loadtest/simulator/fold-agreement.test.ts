/**
 * The fold against the simulator: whatever the network does to the frames, every session must come
 * out with exactly the metrics that its plan adds up to.
 */
import { describe, expect, test } from 'vitest'
import { parseCut } from '../../shared/qoe/cuts.ts'
import { DEFAULT_FOLD_LIMITS, type PartitionFold } from '../../shared/qoe/fold.ts'
import { createPartitionFold } from '../../shared/qoe/partition-fold.ts'
import type { PartSummary, SessionRow } from '../../shared/speed/rows.ts'
import { CALM_DELIVERY, deliver, ROUGH_DELIVERY, type DeliveredFrame } from './delivery.ts'
import type { ExpectedPart } from './expected-metrics.ts'
import { simulateAudience } from './simulate-audience.ts'

const START_MS = 1_800_000_000_000
const TIME_OUT_MS =
  DEFAULT_FOLD_LIMITS.sessionTimeoutMs + DEFAULT_FOLD_LIMITS.outOfOrdernessMs + 60_000

function foldOf(frames: readonly DeliveredFrame[]): PartitionFold {
  const fold = createPartitionFold({
    origin: { view: 'test', topicEpoch: 0, partition: 0, generation: 0 },
    limits: DEFAULT_FOLD_LIMITS,
    cuts: [parseCut('total'), parseCut('cdn')],
    rowRetentionMs: 90 * 86_400_000,
  })
  for (const [offset, frame] of frames.entries()) {
    const { viewerId: _viewerId, ...context } = frame.context
    fold.apply({
      kind: 'frame',
      offset,
      loggedAtMs: frame.arrivedAtMs,
      valueBytes: 100,
      context,
      sentAtMs: frame.sentAtMs,
      receivedAtMs: frame.arrivedAtMs,
      receivedAtClamped: false,
      rejectedSeqs: [],
      events: frame.events,
    })
  }
  return fold
}

/** Lets time pass until every session has timed out. */
function passTimeOut(fold: PartitionFold): void {
  const { nextOffset, lastLoggedAtMs } = fold.status
  fold.apply({ kind: 'tick', offset: nextOffset, loggedAtMs: lastLoggedAtMs + TIME_OUT_MS })
}

/** The latest row of every session: those taken before, and those that changed since. */
function takeSessionRows(fold: PartitionFold, rows: Map<string, SessionRow>): void {
  for (const queue of ['sessionUrgent', 'session'] as const)
    for (const ticket of fold.takeDirty(queue, 1_000_000))
      if (ticket.kind === 'session') rows.set(ticket.row.sessionId, ticket.row)
}

/** The fields of a summary that a plan can tell. */
function comparable(summary: PartSummary | undefined): Partial<ExpectedPart> | undefined {
  if (summary === undefined) return undefined
  const {
    part: _part,
    firstEventTimeMs: _first,
    lastEventTimeMs: _last,
    playerStartupMs: _player,
    events: _events,
    ...fields
  } = summary
  return { ...fields, contentId: fields.contentId ?? '' } as Partial<ExpectedPart>
}

describe.each([
  ['calm', CALM_DELIVERY],
  ['rough', ROUGH_DELIVERY],
])('a %s delivery', (_name, delivery) => {
  test.each([1, 2, 3])('of audience %i gives every session its planned metrics', (seed) => {
    const audience = simulateAudience({
      seed,
      sessions: 80,
      startAtMs: START_MS,
      arrivalSpanMs: 10 * 60_000,
      clockOffsetsMs: [0, 1_234, -259_200_000],
    })
    const fold = foldOf(deliver(audience.sessions, { ...delivery, seed }))
    const rows = new Map<string, SessionRow>()
    for (const timedOut of [false, true]) {
      if (timedOut) passTimeOut(fold)
      takeSessionRows(fold, rows)
      expect(rows.size).toBe(audience.sessions.length)
      const cameOut = audience.sessions.map(({ sessionId }) => {
        const row = rows.get(sessionId)
        return { closed: row?.closed, parts: row?.parts.map(comparable), quality: row?.quality }
      })
      // A few sessions are over before the last one's end, and closed already.
      for (const [index, session] of audience.sessions.entries()) {
        const { closed, parts, quality } = cameOut[index] ?? {}
        expect(parts).toEqual(session.expected(closed === true))
        expect(quality).toMatchObject({ lost: 0, late: 0, amended: 0, afterClose: 0 })
      }
      expect(cameOut.every(({ closed }) => closed === true)).toBe(timedOut)
    }
    const { counters } = fold.status
    expect(counters.applied).toBe(audience.events)
  })
})
