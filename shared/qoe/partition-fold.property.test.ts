import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { DecodedRecord } from '../log/record.ts'
import type { MinuteRow, PartSummary, SessionRow } from '../speed/rows.ts'
import { encodeAggregates } from './aggregates-codec.ts'
import type { MinuteAggregates } from './aggregates.ts'
import type { FoldOptions, FoldSnapshot, PartitionFold, RowTicket } from './fold.ts'
import {
  anyRecords,
  BASE_MS,
  chattyRecords,
  drain,
  foldOptions,
  hostileRecords,
  QUEUES,
  RowStore,
  SMALL_LIMITS,
  snapshotOf,
  tickRecord,
} from './testing/fold-harness.ts'
import { mergeAggregates } from './merge.ts'
import { createPartitionFold, restorePartitionFold } from './partition-fold.ts'
import {
  deliver,
  deliveries,
  DELIVERY_LIMITS,
  PLAIN_DELIVERY,
  playbacks,
  withHeartbeats,
} from './testing/playback-arbitrary.ts'

const DAY_MS = 86_400_000
const ALL = Number.MAX_SAFE_INTEGER
const START = tickRecord(0, BASE_MS)

/** What is counted for operators, since the fold was made or restored, is no state. */
function stateOf({ status }: PartitionFold) {
  const { keysToOther: _, ...state } = status
  return state
}

function folded(options: FoldOptions, records: readonly DecodedRecord[]): PartitionFold {
  const fold = createPartitionFold(options)
  for (const record of records) fold.apply(record)
  return fold
}

function sessionRows(fold: PartitionFold): SessionRow[] {
  return (['sessionUrgent', 'session'] as const)
    .flatMap((queue) => fold.takeDirty(queue, ALL))
    .flatMap((ticket) => (ticket.kind === 'session' ? [ticket.row] : []))
    .sort((a, b) => a.incarnation - b.incarnation)
}

function minuteRows(fold: PartitionFold): MinuteRow[] {
  return (['narrow', 'wide'] as const)
    .flatMap((queue) => fold.takeDirty(queue, ALL))
    .flatMap((ticket) => (ticket.kind === 'minute' ? [ticket.row] : []))
}

/** Long after the last record: everything is released, closed, and forgotten. */
function withEnd(records: readonly DecodedRecord[]): readonly DecodedRecord[] {
  const last = records.at(-1)
  if (last === undefined) return records
  const ticks = [1, 2, 3, 4, 5, 6].map((nth) =>
    tickRecord(last.offset + nth, last.loggedAtMs + nth * DAY_MS),
  )
  return [...records, ...ticks]
}

describe('the delivery of events', () => {
  /** What a session amounts to, without what tells of its delivery. */
  function metricsOf(row: SessionRow) {
    const { duplicates: _duplicates, ...quality } = row.quality
    const { sessionId, contextJson, clockOffsetMs, closed, parts } = row
    return { sessionId, contextJson, clockOffsetMs, closed, parts, quality }
  }

  function results(records: readonly DecodedRecord[]) {
    const fold = folded(foldOptions(DELIVERY_LIMITS), records)
    const sessions = sessionRows(fold).map(metricsOf)
    const minutes = minuteRows(fold)
      .map(({ cut, key, minuteStartMs, aggregates }) => {
        const facts = encodeAggregates({ ...aggregates, frames: 0, bytes: 0, duplicates: 0 })
        return facts === '{}' ? '' : `${cut} ${key} ${minuteStartMs} ${facts}`
      })
      .filter((line) => line !== '')
    return {
      sessions: sessions.sort((a, b) => (a.sessionId < b.sessionId ? -1 : 1)),
      minutes: minutes.sort(),
      counters: { ...fold.status.counters, read: 0, duplicate: 0 },
    }
  }

  it('does not matter: other frames, copies and overtaking give equal metrics', () => {
    fc.assert(
      fc.property(playbacks, deliveries, (sessions, delivery) => {
        const plain = results(deliver(sessions, PLAIN_DELIVERY))
        const delivered = results(deliver(sessions, delivery))
        expect(plain.sessions.every((row) => row.closed)).toBe(true)
        expect(plain.counters).toMatchObject({ late: 0, amended: 0, afterClose: 0, buffered: 0 })
        expect(delivered).toEqual(plain)
      }),
      { numRuns: 100 },
    )
  })

  it('does not depend on the device’s clock nor on jitter at sending', () => {
    const shiftsMs = fc.integer({ min: -3 * DAY_MS, max: 3 * DAY_MS })
    const jittersMs = fc.array(fc.integer({ min: -200, max: 200 }), {
      minLength: 14,
      maxLength: 14,
    })
    const rowsWithoutOffset = (records: readonly DecodedRecord[]) => {
      const fold = folded(foldOptions(DELIVERY_LIMITS), records)
      const sessions = sessionRows(fold).map((row) => ({ ...row, clockOffsetMs: 0 }))
      return { sessions, minutes: minuteRows(fold) }
    }
    fc.assert(
      fc.property(playbacks, deliveries, shiftsMs, jittersMs, (...drawn) => {
        const [sessions, delivery, deviceShiftMs, sendJitterMs] = drawn
        expect(
          rowsWithoutOffset(deliver(sessions, delivery, { deviceShiftMs, sendJitterMs })),
        ).toEqual(rowsWithoutOffset(deliver(sessions, delivery)))
      }),
      { numRuns: 60 },
    )
  })
})

describe('a heartbeat', () => {
  function metricsOf(records: readonly DecodedRecord[]) {
    const fold = folded(foldOptions(DELIVERY_LIMITS), records)
    const parts = sessionRows(fold).map((row) =>
      row.parts.map((part) => ({ ...part, events: 0, lastEventTimeMs: 0 })),
    )
    const minutes = new Map<string, string>()
    for (const { cut, key, minuteStartMs, aggregates } of minuteRows(fold)) {
      const arrival = { frames: 0, bytes: 0, duplicates: 0, events: 0, viewerRegisters: [] }
      const facts = encodeAggregates({ ...aggregates, ...arrival })
      if (facts !== '{}') minutes.set(`${cut} ${key} ${minuteStartMs}`, facts)
    }
    return { parts, minutes }
  }

  it('within an interval divides it and changes nothing else', () => {
    fc.assert(
      fc.property(playbacks, (sessions) => {
        const accepted = sessions.map((session) => ({
          ...session,
          steps: session.steps.map((one) => ({ ...one, fate: 'accepted' as const })),
        }))
        expect(metricsOf(deliver(sessions.map(withHeartbeats), PLAIN_DELIVERY))).toEqual(
          metricsOf(deliver(accepted, PLAIN_DELIVERY)),
        )
      }),
      { numRuns: 60 },
    )
  })
})

describe('the accounting of events', () => {
  it('finds every event again after every record, in one counter', () => {
    fc.assert(
      fc.property(hostileRecords, (records) => {
        const fold = createPartitionFold(foldOptions())
        let read = 0
        for (const record of records) {
          fold.apply(record)
          read += record.kind === 'frame' ? record.events.length : record.kind === 'poison' ? 1 : 0
          const { read: counted, ...parts } = fold.status.counters
          expect(counted).toBe(read)
          expect(Object.values(parts).every((count) => Number.isInteger(count) && count >= 0)).toBe(
            true,
          )
          expect(Object.values(parts).reduce((sum, count) => sum + count, 0)).toBe(read)
        }
        const { counters } = fold.status
        const reasons = fold
          .pendingOutputs(ALL)
          .flatMap((output) => (output.kind === 'exception' ? [output.exception] : []))
          .filter(({ type }) => type !== 'rejected')
          .map(({ reason }) => reason)
        for (const reason of ['late', 'amended', 'afterClose', 'capped'] as const)
          expect(reasons.filter((one) => one === reason)).toHaveLength(counters[reason])
      }),
      { numRuns: 60 },
    )
  })

  it('gives to the minutes exactly what it gives to the sessions', () => {
    fc.assert(
      fc.property(hostileRecords, (records) => {
        const fold = folded(foldOptions({ partsPerSessionMax: 100 }), withEnd(records))
        const rows = sessionRows(fold)
        const parts = rows.flatMap((row) => row.parts)
        const minutes = minuteRows(fold)
        for (const cut of ['total', 'cdn', 'content', 'cdn+content'])
          expect(sessionFacts(mergeAggregates(aggregatesOf(minutes, cut)))).toEqual({
            ...factsOfParts(parts),
            lost: sum(rows.map((row) => row.quality.lost)),
          })
        expect(sum(parts.map((part) => part.events))).toBe(fold.status.counters.applied)
      }),
      { numRuns: 60 },
    )
  })

  function aggregatesOf(minutes: readonly MinuteRow[], cut: string) {
    return minutes.filter((row) => row.cut === cut).map((row) => row.aggregates)
  }

  function sessionFacts(aggregates: MinuteAggregates) {
    const {
      frames: _frames,
      bytes: _bytes,
      duplicates: _duplicates,
      late: _late,
      ...facts
    } = aggregates
    const { startupHistogram, concurrentPlays, concurrentViewers, viewerRegisters, ...sums } = facts
    expect(sum(startupHistogram.map(([, count]) => count))).toBe(sums.startups)
    expect([concurrentPlays, concurrentViewers, viewerRegisters].every(Array.isArray)).toBe(true)
    return sums
  }

  function factsOfParts(parts: readonly PartSummary[]) {
    const total = (pick: (part: PartSummary) => number) => sum(parts.map(pick))
    return {
      sessions: parts.length,
      attempts: total((part) => part.attempt),
      plays: total((part) => part.play),
      ebvs: total((part) => part.ebvs),
      ebvsLong: total((part) => part.ebvsLong),
      vsf: total((part) => part.vsf),
      vpf: total((part) => part.vpf),
      endedPlays: total((part) => part.endedPlay),
      failures: total((part) => part.failed),
      startups: total((part) => (part.startupMs === undefined ? 0 : 1)),
      startupSumMs: total((part) => part.startupMs ?? 0),
      stalls: total((part) => part.stallCount),
      stallMs: total((part) => part.stallMs),
      playingMs: total((part) => part.playingMs),
      watchedMs: total((part) => part.watchedMs),
      mediaUs: total((part) => part.mediaUs),
      ratedMediaUs: total((part) => part.ratedMediaUs),
      events: total((part) => part.events),
      bitsPlayed: parts.reduce((bits, part) => bits + part.bitsPlayed, 0n),
    }
  }
})

describe('the state of a fold', () => {
  interface Inspected {
    readonly tracker: {
      readonly mark: number
      readonly skipped: readonly unknown[]
      readonly ahead: readonly { readonly seq: number; readonly waiting?: unknown }[]
    }
    readonly parts: readonly unknown[]
  }

  it('stays within every limit, whatever comes', () => {
    const limits = SMALL_LIMITS
    fc.assert(
      fc.property(hostileRecords, (records) => {
        const fold = createPartitionFold(foldOptions())
        for (const record of records) {
          fold.apply(record)
          let waitingCount = 0
          for (const id of ['s0', 's1', 's2']) {
            const session = fold.inspectSession(id) as Inspected | undefined
            if (session === undefined) continue
            const { mark, skipped, ahead } = session.tracker
            const waiting = ahead.filter((entry) => entry.waiting !== undefined)
            waitingCount += waiting.length
            expect(waiting.length).toBeLessThanOrEqual(limits.waitingEventsPerSessionMax)
            expect(skipped.length).toBeLessThanOrEqual(limits.skippedRangesMax)
            expect((ahead.at(-1)?.seq ?? mark) - mark).toBeLessThanOrEqual(limits.seqAheadMax)
            expect(session.parts.length).toBeLessThanOrEqual(limits.partsPerSessionMax)
          }
          expect(fold.status.counters.buffered).toBe(waitingCount)
          expect(fold.status.watermarkMs).toBe(record.loggedAtMs - limits.outOfOrdernessMs)
        }
        const keys = new Map<string, number>()
        for (const { cut, minuteStartMs } of minuteRows(fold)) {
          const minute = `${cut} ${minuteStartMs}`
          keys.set(minute, (keys.get(minute) ?? 0) + 1)
        }
        expect(Math.max(0, ...keys.values())).toBeLessThanOrEqual(limits.keysPerCutMinuteMax + 1)
      }),
      { numRuns: 50 },
    )
  })

  it('takes any values the schema lets through, and carries them through a snapshot', () => {
    fc.assert(
      fc.property(anyRecords, (records) => {
        const fold = createPartitionFold(foldOptions())
        for (const record of records) fold.apply(record)
        const restored = restorePartitionFold(foldOptions(), snapshotOf(fold))
        expect(stateOf(restored)).toEqual(stateOf(fold))
        const [rows, restoredRows] = [new RowStore(), new RowStore()]
        drain(fold, rows)
        drain(restored, restoredRows)
        expect(restoredRows.contents()).toEqual(rows.contents())
      }),
      { numRuns: 40 },
    )
  })

  it('is empty in the end, once everything is written', () => {
    fc.assert(
      fc.property(hostileRecords, (records) => {
        const fold = folded(foldOptions(), withEnd(records))
        drain(fold, new RowStore())
        expect(fold.status).toMatchObject({
          sessions: 0,
          openSessions: 0,
          panes: 0,
          pendingOutputs: 0,
        })
        expect(QUEUES.map((queue) => fold.dirtyCount(queue))).toEqual([0, 0, 0, 0])
        const empty = createPartitionFold(foldOptions())
        const lines = (one: PartitionFold) => Buffer.from(snapshotOf(one)).toString().split('\n')
        expect(lines(fold)).toHaveLength(lines(empty).length)
      }),
      { numRuns: 40 },
    )
  })
})

type Action =
  | { readonly do: 'take'; readonly queue: number; readonly count: number }
  | { readonly do: 'outputs' | 'slice'; readonly count: number }
  | { readonly do: 'write' | 'acknowledge' | 'snapshot' | 'checkpoint' | 'abandon' | 'crash' }

const count = fc.integer({ min: 1, max: 6 })
const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('take' as const), queue: fc.nat({ max: 3 }), count }),
  },
  { weight: 8, arbitrary: fc.record({ do: fc.constantFrom('outputs', 'slice'), count }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('write', 'acknowledge', 'snapshot') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('checkpoint', 'abandon', 'crash') }) },
)
const scripts = fc.array(fc.array(action, { maxLength: 5 }), {
  minLength: 1,
  maxLength: 40,
  size: 'max',
})

/** A processor that writes, acknowledges, takes checkpoints and crashes as the script says. */
class ScriptedProcessor {
  readonly store = new RowStore()
  fold: PartitionFold
  readonly #options: FoldOptions
  #taken: RowTicket[] = []
  #written: RowTicket[] = []
  #checkpoint: Uint8Array | undefined
  #snapshot: FoldSnapshot | undefined
  #slices: Uint8Array[] = []
  #crashesLeft = 4

  constructor(options: FoldOptions) {
    this.#options = options
    this.fold = createPartitionFold(options)
  }

  act(one: Action): void {
    if (one.do === 'take')
      this.#taken.push(...this.fold.takeDirty(QUEUES[one.queue] ?? 'narrow', one.count))
    else if (one.do === 'outputs') {
      const outputs = this.fold.pendingOutputs(one.count)
      this.store.writeOutputs(outputs)
      this.fold.acknowledgeOutputs(outputs.length)
    } else if (one.do === 'write') {
      this.store.write(this.#taken)
      this.#written.push(...this.#taken.splice(0))
    } else if (one.do === 'acknowledge') this.fold.acknowledge(this.#written.splice(0))
    else if (one.do === 'slice') this.#readSlice(one.count)
    else if (one.do === 'snapshot') this.#snapshot ??= this.fold.beginSnapshot()
    else if (one.do === 'abandon') this.#abandon()
    else if (one.do === 'checkpoint') {
      this.#abandon()
      this.#checkpoint = snapshotOf(this.fold)
    } else this.#crash()
  }

  #readSlice(maxEntries: number): void {
    const slice = this.#snapshot?.next(maxEntries)
    if (slice !== undefined) this.#slices.push(slice)
    else if (this.#snapshot !== undefined) {
      this.#checkpoint = Buffer.concat(this.#slices)
      this.#snapshot = undefined
      this.#slices = []
    }
  }

  #abandon(): void {
    this.#snapshot?.abandon()
    this.#snapshot = undefined
    this.#slices = []
  }

  #crash(): void {
    if (this.#crashesLeft === 0) return
    this.#crashesLeft -= 1
    this.#taken = []
    this.#written = []
    this.#snapshot = undefined
    this.#slices = []
    this.fold =
      this.#checkpoint === undefined
        ? createPartitionFold(this.#options)
        : restorePartitionFold(this.#options, this.#checkpoint)
  }
}

describe('a snapshot', () => {
  function stateOf(fold: PartitionFold): unknown[] {
    const lines = Buffer.from(snapshotOf(fold)).toString().trimEnd().split('\n')
    return lines.map((line): unknown => JSON.parse(line))
  }

  it('leads to equal rows and outputs, however rows were written before a crash', () => {
    fc.assert(
      fc.property(hostileRecords, fc.nat({ max: 150 }), scripts, (hostile, chatty, script) => {
        const records = withEnd([...hostile, ...chattyRecords(chatty, hostile.at(-1) ?? START)])
        const undisturbed = new RowStore()
        drain(folded(foldOptions(), records), undisturbed)
        const processor = new ScriptedProcessor(foldOptions())
        for (let step = 0; ; step++) {
          const { nextOffset } = processor.fold.status
          const record = records.find(({ offset }) => offset >= nextOffset)
          if (record === undefined) break
          processor.fold.apply(record)
          for (const one of script[step % script.length] ?? []) processor.act(one)
        }
        processor.act({ do: 'write' })
        drain(processor.fold, processor.store)
        expect(processor.store.contents()).toEqual(undisturbed.contents())
        expect([...processor.store.outputs]).toEqual([...undisturbed.outputs])
      }),
      { numRuns: 50 },
    )
  })

  it('restores at any record to a fold that goes on alike', () => {
    fc.assert(
      fc.property(hostileRecords, fc.nat({ max: 39 }), (hostile, at) => {
        const records = withEnd(hostile)
        const fold = folded(foldOptions(), records.slice(0, at))
        const restored = restorePartitionFold(foldOptions(), snapshotOf(fold))
        expect(stateOf(restored)).toEqual(stateOf(fold))
        for (const record of records.slice(at)) {
          fold.apply(record)
          restored.apply(record)
          expect(stateOf(restored)).toEqual(stateOf(fold))
        }
        expect(stateOf(restored)).toEqual(stateOf(fold))
        const [rows, restoredRows] = [new RowStore(), new RowStore()]
        drain(fold, rows)
        drain(restored, restoredRows)
        expect(restoredRows.contents()).toEqual(rows.contents())
        expect([...restoredRows.outputs]).toEqual([...rows.outputs])
      }),
      { numRuns: 50 },
    )
  })

  it('is of the moment it began, whatever happens while it is read', () => {
    fc.assert(
      fc.property(hostileRecords, fc.nat({ max: 140 }), count, (hostile, at, perSlice) => {
        const records = withEnd([...hostile, ...chattyRecords(100, hostile.at(-1) ?? START)])
        const before = records.slice(0, at)
        const atOnce = Buffer.from(snapshotOf(folded(foldOptions(), before))).toString()
        const fold = folded(foldOptions(), before)
        const snapshot = fold.beginSnapshot()
        const slices: Uint8Array[] = []
        const rest = records.slice(at).values()
        const store = new RowStore()
        for (;;) {
          const record = rest.next().value
          if (record !== undefined) fold.apply(record)
          if (slices.length % 3 === 1) drain(fold, store)
          const slice = snapshot.next(perSlice)
          if (slice === undefined) break
          slices.push(slice)
        }
        expect(Buffer.concat(slices).toString()).toBe(atOnce)
      }),
      { numRuns: 50 },
    )
  })

  it('of a restored fold has the same bytes', () => {
    fc.assert(
      fc.property(hostileRecords, (records) => {
        const fold = folded(foldOptions(), records)
        const bytes = snapshotOf(fold)
        const restored = restorePartitionFold(foldOptions(), bytes)
        expect(Buffer.from(snapshotOf(restored)).toString()).toBe(Buffer.from(bytes).toString())
      }),
      { numRuns: 30 },
    )
  })
})

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
