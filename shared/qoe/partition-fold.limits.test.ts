import { describe, expect, it } from 'vitest'
import type { EnrichedContext, PlaybackEvent, PlaybackEventType } from '../events/schema.ts'
import { POSITIONS_PER_ROW, type MinuteRow, type SessionRow } from '../speed/rows.ts'
import type { FoldLimits, PartitionFold } from './fold.ts'
import {
  BASE_MS as T,
  drain,
  foldOptions,
  frameRecord,
  playbackEvent,
  RowStore,
  SMALL_LIMITS as LIMITS,
  snapshotOf,
  tickRecord,
} from './testing/fold-harness.ts'
import { createPartitionFold, restorePartitionFold } from './partition-fold.ts'

/** A fold and the log in front of it. */
class Bench {
  fold: PartitionFold
  #offset = 0
  readonly #limits: Partial<FoldLimits>

  constructor(limits: Partial<FoldLimits> = {}) {
    this.#limits = limits
    this.fold = createPartitionFold(foldOptions(limits))
  }

  tick(loggedAtMs: number): void {
    this.fold.apply(tickRecord(this.#offset++, loggedAtMs))
  }

  /** A tick that brings the watermark to this time. */
  watermark(watermarkMs: number): void {
    this.tick(watermarkMs + LIMITS.outOfOrdernessMs)
  }

  frame(
    loggedAtMs: number,
    events: readonly PlaybackEvent[],
    fields: { sentAtMs?: number; context?: EnrichedContext } = {},
  ): void {
    this.fold.apply(frameRecord({ offset: this.#offset++, loggedAtMs, events, ...fields }))
  }

  restart(): void {
    this.fold = restorePartitionFold(foldOptions(this.#limits), snapshotOf(this.fold))
  }

  session(sessionId = 's0'): SessionRow {
    const rows = (['sessionUrgent', 'session'] as const)
      .flatMap((queue) => this.fold.takeDirty(queue, 100))
      .flatMap((ticket) => (ticket.kind === 'session' ? [ticket.row] : []))
    const row = rows.find((one) => one.sessionId === sessionId)
    if (row === undefined) throw new Error(`no row of ${sessionId}`)
    return row
  }

  minutes(cut: string): MinuteRow[] {
    return (['narrow', 'wide'] as const)
      .flatMap((queue) => this.fold.takeDirty(queue, 100))
      .flatMap((ticket) => (ticket.kind === 'minute' ? [ticket.row] : []))
      .filter((row) => row.cut === cut)
  }
}

function at(timeMs: number, seq: number, type: PlaybackEventType = 'heartbeat'): PlaybackEvent {
  return playbackEvent(type, seq, timeMs)
}

describe('the fold, at the bound of', () => {
  it('outOfOrdernessMs: the watermark follows the log at that distance, and never goes back', () => {
    const bench = new Bench()
    bench.tick(T)
    expect(bench.fold.status.watermarkMs).toBe(T - LIMITS.outOfOrdernessMs)
    bench.tick(T - 10_000)
    expect(bench.fold.status.watermarkMs).toBe(T - LIMITS.outOfOrdernessMs)
  })

  it('reorderMs: an event waits until the watermark has passed it', () => {
    const bench = new Bench()
    bench.frame(T, [at(T, 1)])
    bench.watermark(T + LIMITS.reorderMs)
    expect(bench.fold.status.counters).toMatchObject({ applied: 0, buffered: 1 })
    bench.watermark(T + LIMITS.reorderMs + 1)
    expect(bench.fold.status.counters).toMatchObject({ applied: 1, buffered: 0 })
  })

  it('sessionTimeoutMs: a session closes once the watermark has passed it', () => {
    const bench = new Bench()
    bench.frame(T, [at(T, 0, 'playbackRequest')])
    bench.watermark(T + LIMITS.sessionTimeoutMs)
    expect(bench.fold.status).toMatchObject({ openSessions: 1, pendingOutputs: 0 })
    bench.watermark(T + LIMITS.sessionTimeoutMs + 1)
    expect(bench.fold.status).toMatchObject({ sessions: 1, openSessions: 0, pendingOutputs: 1 })
    expect(bench.session()).toMatchObject({
      closed: true,
      parts: [{ state: 'ended', endReason: 'timeout', watchedMs: 0, ebvs: 1 }],
    })
  })

  it.each([
    [LIMITS.sessionTimeoutMs, LIMITS.sessionTimeoutMs, undefined],
    [LIMITS.sessionTimeoutMs + 1, 0, 'timeout'],
  ])('sessionTimeoutMs: %i ms between two events count %i ms', (gapMs, watchedMs, endReason) => {
    const bench = new Bench()
    bench.frame(T, [at(T - gapMs, 0, 'playbackRequest'), at(T, 1)])
    expect(bench.session().parts).toMatchObject([{ watchedMs, endReason, lastEventTimeMs: T }])
  })

  it('sessionKeepMs: a session is known that much longer, then its id begins anew', () => {
    const { sessionTimeoutMs, sessionKeepMs } = LIMITS
    const bench = new Bench()
    bench.frame(T, [at(T, 0)])
    bench.watermark(T + sessionTimeoutMs + sessionKeepMs)
    bench.frame(T + sessionTimeoutMs + sessionKeepMs, [at(T, 0)])
    expect(bench.fold.status).toMatchObject({ sessions: 1, counters: { duplicate: 1 } })
    const first = bench.session().incarnation
    bench.watermark(T + sessionTimeoutMs + sessionKeepMs + 1)
    expect(bench.fold.status.sessions).toBe(0)
    const returnMs = T + sessionTimeoutMs + sessionKeepMs + 10_000
    bench.frame(returnMs, [at(returnMs, 0)])
    expect(bench.fold.status.counters).toMatchObject({ duplicate: 1, applied: 2 })
    expect(bench.session().incarnation).toBeGreaterThan(first)
  })

  it('allowedLatenessMs: an event is late once it is older than that', () => {
    const bench = new Bench()
    const oldestMs = T - LIMITS.outOfOrdernessMs - LIMITS.allowedLatenessMs
    bench.frame(T, [at(oldestMs, 0)], { context: { sessionId: 'just' } })
    expect(bench.fold.status.counters).toMatchObject({ applied: 1, late: 0 })
    bench.frame(T, [at(oldestMs - 1, 0)], { context: { sessionId: 'late' } })
    expect(bench.fold.status.counters).toMatchObject({ applied: 1, late: 1 })
    expect(bench.fold.pendingOutputs(9)).toMatchObject([
      { exception: { sessionId: 'late', seq: 0, reason: 'late', type: 'heartbeat' } },
    ])
  })

  it.each([
    [LIMITS.clockStepMs, T],
    [-LIMITS.clockStepMs, T],
    [LIMITS.clockStepMs + 1, T + LIMITS.clockStepMs + 1],
    [-LIMITS.clockStepMs - 1, T - LIMITS.clockStepMs - 1],
  ])('clockStepMs: a frame %i ms off the session’s clock', (offMs, expectedMs) => {
    const bench = new Bench()
    bench.frame(T - 40_000, [at(T - 40_000, 0)])
    bench.frame(T + 40_000, [at(T, 1)], { sentAtMs: T + 40_000 - offMs })
    expect(bench.session().parts).toMatchObject([{ lastEventTimeMs: expectedMs }])
  })

  it.each([
    [LIMITS.clockStepMs, 0],
    [LIMITS.clockStepMs + 1, 1],
    [-LIMITS.maxAgeMs, 0],
    [-LIMITS.maxAgeMs - 1, 1],
  ])(
    'clockStepMs and maxAgeMs: an event %i ms from its arrival is clamped %i times',
    (ms, times) => {
      const bench = new Bench()
      bench.frame(T, [at(T, 0), at(T + ms, 1)])
      expect(bench.session().quality.repairs).toMatchObject({
        clamped: times,
        backwards: ms < 0 ? 1 : 0,
      })
    },
  )

  it('seqAheadMax: an event further above the mark skips the gap below it', () => {
    const bench = new Bench()
    bench.frame(T, [at(T, LIMITS.seqAheadMax)])
    expect(bench.fold.status.counters).toMatchObject({ applied: 0, buffered: 1 })
    bench.frame(T, [at(T, LIMITS.seqAheadMax + 1)])
    expect(bench.fold.status.counters).toMatchObject({ applied: 2, buffered: 0 })
    bench.frame(T, [at(T, 0)])
    expect(bench.fold.status.counters).toMatchObject({ applied: 2, amended: 1 })
  })

  it('waitingEventsPerSessionMax: one more skips the lowest gap', () => {
    const bench = new Bench()
    bench.frame(T, [at(T, 2), at(T, 4), at(T, 6)])
    expect(bench.fold.status.counters).toMatchObject({ applied: 0, buffered: 3 })
    bench.frame(T, [at(T, 8)])
    expect(bench.fold.status.counters).toMatchObject({ applied: 1, buffered: 3 })
  })

  it('skippedRangesMax: of a forgotten range every copy is amended, of a known one the first', () => {
    const bench = new Bench()
    bench.frame(T, [at(T, 9), at(T, 19), at(T, 29)])
    expect(bench.fold.status.counters).toMatchObject({ applied: 3, buffered: 0 })
    bench.frame(T, [at(T, 15), at(T, 15)])
    expect(bench.fold.status.counters).toMatchObject({ amended: 1, duplicate: 1 })
    bench.frame(T, [at(T, 3), at(T, 3), at(T, 3)])
    expect(bench.fold.status.counters).toMatchObject({ amended: 4, duplicate: 1 })
    expect(bench.session().quality).toMatchObject({ amended: 4, duplicates: 1 })
  })

  it('stalledViewerMs: a stalled viewer counts up to that instant', () => {
    const bench = new Bench()
    bench.frame(T + 50_000, [
      at(T, 0, 'playbackRequest'),
      at(T, 1, 'playbackStart'),
      at(T, 2, 'playbackStall'),
      at(T + 50_000, 3),
    ])
    expect(bench.minutes('total')).toMatchObject([
      {
        aggregates: {
          concurrentViewers: [1, 1, 1, 1, 0, 0],
          concurrentPlays: [1, 1, 1, 1, 1, 0],
          stallMs: 50_000,
        },
      },
    ])
  })

  it('keysPerCutMinuteMax: further keys of the minute add up as other', () => {
    const bench = new Bench()
    for (const cdn of ['a', 'b', 'c', 'a', 'd', 'b'])
      bench.frame(T, [], { context: { sessionId: cdn, cdn, contentId: 'movie' } })
    const framesByKey = (cut: string) =>
      Object.fromEntries(bench.minutes(cut).map((row) => [row.key, row.aggregates.frames]))
    expect(framesByKey('cdn')).toEqual({ '["a"]': 2, '["b"]': 2, '["other"]': 2 })
    bench.restart()
    expect(framesByKey('cdn+content')).toEqual({
      '["a","movie"]': 2,
      '["b","movie"]': 2,
      '["other","other"]': 2,
    })
  })

  it('partsPerSessionMax: the row holds the last parts, the minutes count all', () => {
    const bench = new Bench()
    for (const [seq, contentId] of ['a', 'b', 'c', 'd'].entries())
      bench.frame(T + seq, [at(T + seq, seq, 'playbackRequest')], {
        context: { sessionId: 's0', contentId },
      })
    expect(bench.session().parts).toMatchObject([
      { part: 2, contentId: 'c', endReason: 'content' },
      { part: 3, contentId: 'd', endReason: undefined },
    ])
    expect(bench.minutes('total')).toMatchObject([{ aggregates: { sessions: 4, attempts: 4 } }])
  })
})

describe('the fold', () => {
  it('closes no session while one of its events waits', () => {
    const bench = new Bench()
    const closeMs = T + LIMITS.sessionTimeoutMs
    bench.frame(T, [at(T, 0, 'playbackRequest')])
    bench.frame(closeMs + 1_000, [at(closeMs, 2)])
    bench.watermark(closeMs + 3_000)
    expect(bench.fold.status).toMatchObject({ openSessions: 1, counters: { buffered: 1 } })
    bench.frame(closeMs + 6_000, [at(T + 60_000, 1)])
    expect(bench.fold.status).toMatchObject({
      openSessions: 1,
      pendingOutputs: 0,
      counters: { applied: 3, afterClose: 0, buffered: 0 },
    })
  })

  it.each([false, true])(
    'counts lost seqs in a minute that closed before its session (restart: %s)',
    (restarts) => {
      const bench = new Bench({ seqAheadMax: 100, waitingEventsPerSessionMax: 100 })
      const store = new RowStore()
      const lastMs = T + 59_999
      const arrivedMs = lastMs + LIMITS.allowedLatenessMs + LIMITS.outOfOrdernessMs
      bench.frame(arrivedMs, [at(lastMs, 0)])
      // Each lower seq becomes the one to wait for, so that the close is put off and off.
      for (const [step, seq] of [60, 58, 56, 54].entries()) {
        bench.frame(arrivedMs + LIMITS.sessionTimeoutMs + step * 6_900, [at(lastMs, seq)])
        if (restarts && step === 0) bench.restart()
        drain(bench.fold, store)
      }
      const { watermarkMs } = bench.fold.status
      const { allowedLatenessMs, sessionTimeoutMs, reorderMs, outOfOrdernessMs } = LIMITS
      const lifeMs = allowedLatenessMs + sessionTimeoutMs + reorderMs + outOfOrdernessMs
      expect(watermarkMs).toBeGreaterThan(lastMs + 1 + lifeMs)
      bench.watermark(T + 10_000_000)
      drain(bench.fold, store)
      expect(bench.fold.status).toMatchObject({ sessions: 0, panes: 0, counters: { late: 4 } })
      const row = store.rows.get(`total [] ${T}`)?.text ?? '{}'
      expect(JSON.parse(row)).toMatchObject({ aggregates: { sessions: 1, events: 1, lost: 56 } })
    },
  )

  it('never takes back what it counted as lost', () => {
    const bench = new Bench()
    bench.frame(T, [at(T, 0), at(T, 3)])
    bench.watermark(T + LIMITS.sessionTimeoutMs + 1)
    expect(bench.session()).toMatchObject({ closed: true, quality: { lost: 2 } })
    const returnMs = T + 2 * LIMITS.sessionTimeoutMs
    bench.frame(returnMs, [at(returnMs, 4)])
    bench.frame(returnMs, [at(returnMs, 1)])
    expect(bench.session()).toMatchObject({ closed: false, quality: { lost: 2, amended: 1 } })
    bench.watermark(returnMs + LIMITS.sessionTimeoutMs + 1)
    expect(bench.session()).toMatchObject({ closed: true, quality: { lost: 2, amended: 1 } })
  })

  it('divides time over the minutes it passed in', () => {
    const bench = new Bench()
    const endMs = T + 30_000 + LIMITS.sessionTimeoutMs
    bench.frame(endMs, [
      at(T + 30_000, 0, 'playbackRequest'),
      at(T + 30_000, 1, 'playbackStart'),
      at(endMs, 2),
    ])
    const minutes = bench.minutes('total').map(({ minuteStartMs, aggregates }): number[] => {
      return [(minuteStartMs - T) / 60_000, aggregates.playingMs]
    })
    expect(Object.fromEntries(minutes)).toEqual({ 0: 30_000, 1: 60_000, 2: 30_000 })
  })

  it('keeps a closed minute until the rows taken of it are acknowledged', () => {
    const bench = new Bench()
    bench.frame(T, [])
    const tickets = bench.fold.takeDirty('narrow', 100)
    const wide = bench.fold.takeDirty('wide', 100)
    bench.watermark(T + 10_000_000)
    expect(bench.fold.status.panes).toBe(4)
    bench.restart()
    expect(bench.fold.status.panes).toBe(4)
    expect(bench.fold.takeDirty('narrow', 100)).toEqual(tickets)
    expect(bench.fold.takeDirty('wide', 100)).toEqual(wide)
  })

  it('carries every position that is not durable through a restart, and no other', () => {
    const bench = new Bench()
    const store = new RowStore()
    const say = (from: number, to: number) => {
      for (let seq = from; seq < to; seq++) bench.frame(T + seq, [at(T + seq, seq)])
    }
    say(0, POSITIONS_PER_ROW + 6)
    bench.restart()
    drain(bench.fold, store)
    say(POSITIONS_PER_ROW + 6, 3 * POSITIONS_PER_ROW)
    bench.restart()
    const rows = (['sessionUrgent', 'session'] as const)
      .flatMap((queue) => bench.fold.takeDirty(queue, 9))
      .flatMap((ticket) => (ticket.kind === 'session' ? ticket.positions : []))
    expect(rows.map(({ rowNumber }) => rowNumber)).toEqual([1, 2])
    drain(bench.fold, store)
    const full = store.rows.get('s0 0 0')?.text ?? '{}'
    expect(JSON.parse(full)).toMatchObject({ rowNumber: 0, lastOffset: POSITIONS_PER_ROW - 1 })
    const offsets = rows.flatMap(({ positions }) => positions.map(({ offset }) => offset))
    expect(offsets).toEqual(
      Array.from({ length: 2 * POSITIONS_PER_ROW }, (_, nth) => POSITIONS_PER_ROW + nth),
    )
  })

  it('keeps bits exact beyond 2^53, in a session and over sessions, through a restart', () => {
    const bench = new Bench({ partsPerSessionMax: 4 })
    const sessions = 6
    for (let index = 0; index < sessions; index++) {
      const context = { sessionId: `s${index}` }
      const start: readonly PlaybackEvent[] = [
        at(T, 0, 'playbackRequest'),
        at(T, 1, 'playbackStart'),
        { type: 'playbackRateUpdate', seq: 2, at: T, playbackRate: 16 },
        {
          type: 'renditionUpdate',
          seq: 3,
          at: T,
          videoBitrateKbps: 1_000_000,
          audioBitrateKbps: 999_999,
        },
      ]
      bench.frame(T, start, { context })
    }
    for (let minute = 1; minute <= 6; minute++) {
      const nowMs = T + minute * 60_000
      for (let index = 0; index < sessions; index++)
        bench.frame(nowMs, [at(nowMs, minute + 3)], { context: { sessionId: `s${index}` } })
      if (minute === 3) bench.restart()
    }
    const bitsPerMinute = 60_000n * 16_000n * 1_999_999n
    const [part] = bench.session('s1').parts
    expect(part?.bitsPlayed).toBe(6n * bitsPerMinute)
    const minutes = bench.minutes('total').filter((row) => row.aggregates.playingMs > 0)
    expect(minutes.map((row) => row.aggregates.bitsPlayed)).toEqual(
      Array.from({ length: 6 }, () => BigInt(sessions) * bitsPerMinute),
    )
  })
})
