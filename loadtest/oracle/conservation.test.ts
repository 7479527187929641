import { beforeEach, describe, expect, test } from 'vitest'

import type { LogRecord } from '../../shared/log/event-log.ts'
import { FRAME_SCHEMA, TICK_SCHEMA } from '../../shared/log/record.ts'
import { parseCut } from '../../shared/qoe/cuts.ts'
import { DEFAULT_FOLD_LIMITS } from '../../shared/qoe/fold.ts'
import type { MinuteRow, SessionRow } from '../../shared/speed/rows.ts'
import { checkLog, checkRows, type FinalRows } from './conservation.ts'
import { computeOracle, type OraclePartition } from './oracle.ts'

const T0 = 1_800_000_000_000
const LIMITS = DEFAULT_FOLD_LIMITS
const CUTS = ['total', 'cdn'].map(parseCut)
const VERSION = { view: 'v', topicEpoch: 0, stampUs: 1, lastOffset: 9, expiresAtMs: T0 }

function frameRecord(offset: number, sessionId: string, seqs: readonly number[]): LogRecord {
  const at = T0 + offset * 1_000
  const value = {
    session: { sessionId, cdn: 'a' },
    sentAt: at,
    receivedAt: at + 500,
    ...(offset === 1 && { rejectedSeqs: [7] }),
    events: seqs.map((seq) => ({ seq, type: seq === 0 ? 'playbackStart' : 'heartbeat', at })),
  }
  return {
    partition: 0,
    offset,
    loggedAtMs: at + 400,
    key: sessionId,
    value: new TextEncoder().encode(JSON.stringify(value)),
    headers: { schema: FRAME_SCHEMA },
  }
}

const tickRecord: LogRecord = {
  partition: 0,
  offset: 3,
  loggedAtMs: T0 + 20_000,
  key: undefined,
  value: new Uint8Array(),
  headers: { schema: TICK_SCHEMA },
}
const poisonRecord: LogRecord = {
  ...tickRecord,
  offset: 4,
  value: new TextEncoder().encode('{"session":'),
  headers: { schema: FRAME_SCHEMA },
}
const LOG: OraclePartition[] = [
  {
    partition: 0,
    records: [
      frameRecord(0, 's1', [0, 1]),
      frameRecord(1, 's2', [0]),
      frameRecord(2, 's1', [1, 2]),
      tickRecord,
      poisonRecord,
    ],
  },
]
const SENT = [
  { sessionId: 's1', seq: 0 },
  { sessionId: 's1', seq: 1 },
  { sessionId: 's1', seq: 2 },
  { sessionId: 's2', seq: 0 },
  { sessionId: 's2', seq: 7 },
]

/** Rows exactly as the log demands them, spread over two generations of which the first is stale. */
function truthfulRows(): { minutes: MinuteRow[]; sessions: SessionRow[] } & FinalRows {
  const oracle = computeOracle({ partitions: LOG, limits: LIMITS, cuts: CUTS })
  const minutes = [...oracle.minutes].map(([id, aggregates]): MinuteRow => {
    const [cut = '', key = '', start] = id.split('|')
    return {
      ...VERSION,
      partition: 0,
      generation: 1,
      cut,
      key,
      minuteStartMs: Number(start),
      aggregates,
    }
  })
  const [first] = minutes
  const stale = first === undefined ? [] : [{ ...first, generation: 0 }]
  const sessions = oracle.sessions.map((session): SessionRow => ({
    ...VERSION,
    ...session,
    generation: 1,
    contextJson: JSON.stringify(session.context),
    clockOffsetMs: session.clockOffsetMs ?? 0,
    firstReceivedAtMs: 0,
    positionCount: session.positions.length,
  }))
  const { exceptions, counters } = oracle
  return { minutes: [...stale, ...minutes], sessions, exceptions, counters }
}

describe('checkLog', () => {
  test('finds nothing when every acknowledged event is in the log and no other is', () => {
    expect(checkLog({ sent: SENT, acknowledged: SENT }, LOG)).toEqual([])
  })

  test('names an acknowledged event that is not in the log, once', () => {
    const missing = { sessionId: 's2', seq: 1 }
    const sent = [...SENT, missing]
    expect(checkLog({ sent, acknowledged: [...sent, missing] }, LOG)).toEqual([
      { kind: 'lost', detail: 's2 1' },
    ])
  })

  test('allows an event that was sent but never acknowledged to be missing', () => {
    const sent = [...SENT, { sessionId: 's2', seq: 1 }]
    expect(checkLog({ sent, acknowledged: SENT }, LOG)).toEqual([])
  })

  test('names an event of the log that nobody sent', () => {
    const sent = SENT.slice(1)
    expect(checkLog({ sent, acknowledged: sent }, LOG)).toEqual([
      { kind: 'invented', detail: 's1 0' },
    ])
  })
})

describe('checkRows', () => {
  const log = { partitions: LOG, limits: LIMITS, cuts: CUTS }
  let rows: ReturnType<typeof truthfulRows>
  beforeEach(() => {
    rows = truthfulRows()
  })

  test('finds nothing when the rows are what the log says', () => {
    expect(rows.counters).toMatchObject({ read: 6, applied: 4, duplicate: 1, poison: 1 })
    expect(checkRows(rows, log)).toEqual([])
  })

  test('names the minute, the aggregate and both values when one event is counted twice', () => {
    const minutes = rows.minutes.map((row) =>
      row.cut === 'cdn'
        ? { ...row, aggregates: { ...row.aggregates, events: row.aggregates.events + 1 } }
        : row,
    )
    expect(checkRows({ ...rows, minutes }, log)).toEqual([
      { kind: 'unequal', detail: `minute cdn|["a"]|${T0}: events is 5, expected 4` },
    ])
  })

  test('names every aggregate of a minute that has no row', () => {
    const minutes = rows.minutes.filter(({ cut }) => cut === 'total')
    const details = checkRows({ ...rows, minutes }, log).map(({ detail }) => detail)
    expect(details).toContain(`minute cdn|["a"]|${T0}: frames is 0, expected 3`)
    expect(details).toContain(`minute cdn|["a"]|${T0}: playingMs is 0, expected 2000`)
  })

  test('names the session and the metric that differ', () => {
    const sessions = rows.sessions.map((row) => ({
      ...row,
      parts: row.parts.map((part) => ({ ...part, playingMs: part.playingMs + 1 })),
    }))
    expect(checkRows({ ...rows, sessions }, log)[0]).toEqual({
      kind: 'unequal',
      detail: 'session s1#0: part 0 playingMs is 2001, expected 2000',
    })
  })

  test('names exceptions that should not or should be there', () => {
    const exception = {
      sessionId: 's1',
      seq: 1,
      partition: 0,
      offset: 2,
      reason: 'late',
      type: 'heartbeat',
      forgotten: false,
    } as const
    const details = checkRows({ ...rows, exceptions: [exception] }, log)
    expect(details.map(({ detail }) => detail)).toEqual([
      'exception s1 1 at 0/2 heartbeat late: not expected',
    ])
  })

  test('sees events that were read and have no fate', () => {
    const counters = { ...rows.counters, read: 7 }
    expect(checkRows({ ...rows, counters } as FinalRows, log)).toEqual([
      { kind: 'unequal', detail: 'counter read is 7, expected 6' },
      { kind: 'unbalanced', detail: 'counters: read 7, but its fates add up to 6' },
    ])
  })
})
