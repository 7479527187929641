import { describe, expect, test } from 'vitest'

import type { PlaybackEvent } from '../../shared/events/schema.ts'
import type { DecodedRecord } from '../../shared/log/record.ts'
import { parseCut } from '../../shared/qoe/cuts.ts'
import { DEFAULT_FOLD_LIMITS, type FoldLimits } from '../../shared/qoe/fold.ts'
import { compareRun, describeFinding, oracleOfSeed, runSeed } from './fold-versus-oracle.ts'
import { computeOracle } from './oracle.ts'

const T0 = 1_800_000_000_000
const RECORDS = 40
const SEEDS = 200

function findingText(seed: number, records: number): string | undefined {
  const finding = runSeed(seed, records)
  return finding && describeFinding(finding)
}

describe('the fold and the oracle', () => {
  test('agree to the integer on adversarial logs, restarts and acknowledgements included', () => {
    for (let seed = 0; seed < SEEDS; seed++) expect(findingText(seed, RECORDS)).toBeUndefined()
  })

  test('agree on logs long enough for timelines of several rows', () => {
    for (let seed = 0; seed < 3; seed++) expect(findingText(seed, 500)).toBeUndefined()
  })
})

describe('a minute whose last session still awaits its close', () => {
  const limits: FoldLimits = {
    ...DEFAULT_FOLD_LIMITS,
    sessionTimeoutMs: 60_000,
    allowedLatenessMs: 70_000,
    seqAheadMax: 8,
  }
  const frame = (
    offset: number,
    loggedAfterMs: number,
    event: PlaybackEvent,
    sessionId = 's',
  ): DecodedRecord => ({
    kind: 'frame',
    offset,
    loggedAtMs: T0 + loggedAfterMs,
    valueBytes: 100,
    context: { sessionId },
    sentAtMs: T0 + loggedAfterMs,
    receivedAtMs: T0 + loggedAfterMs,
    receivedAtClamped: false,
    rejectedSeqs: [],
    events: [event],
  })
  const heartbeat = (seq: number, afterMs: number): PlaybackEvent => {
    return { seq, at: T0 + afterMs, type: 'heartbeat' }
  }
  const tick = (offset: number, loggedAfterMs: number): DecodedRecord => {
    return { kind: 'tick', offset, loggedAtMs: T0 + loggedAfterMs }
  }
  // Events 9 and 7 put the close off by waiting, one after the other, until the life of minute 0
  // (60 s + 70 s + 60 s + 5 s + 2 s) is over; both are late in the end. The other session of the
  // minute closes in time.
  const records = [
    frame(0, 131_999, heartbeat(0, 59_999)),
    frame(1, 131_999, heartbeat(0, 59_999), 'other'),
    frame(2, 193_000, heartbeat(9, 0)),
    frame(3, 199_000, heartbeat(7, 0)),
    tick(4, 200_000),
    tick(5, 206_001),
  ]

  test('still takes what was lost, and keeps what it had', () => {
    const partitions = [{ partition: 0, records }]
    const { minutes } = computeOracle({ partitions, limits, cuts: [parseCut('total')] })
    expect(minutes.get(`total|[]|${T0}`)).toMatchObject({ sessions: 2, events: 2, lost: 7 })
    for (let seed = 0; seed < 30; seed++) expect(compareRun(seed, records, limits)).toEqual([])
  })
})

describe('the adversarial logs', () => {
  test('reach every fate of an event, every end, repairs, incarnations, and the cap on keys', () => {
    const reached = new Set<string>()
    for (let seed = 0; seed < SEEDS; seed++) {
      const { counters, sessions, overflowed, exceptions } = oracleOfSeed(seed, RECORDS)
      for (const [name, count] of Object.entries(counters)) if (count > 0) reached.add(name)
      for (const { type, reason } of exceptions)
        if (type === 'rejected') reached.add(`rejected ${reason}`)
      if (overflowed.size > 0) reached.add('overflowed')
      for (const { incarnation, parts, quality } of sessions) {
        if (incarnation > 0) reached.add('incarnation')
        if (quality.lost > 0) reached.add('lost')
        for (const [name, count] of Object.entries(quality.repairs))
          if (count > 0) reached.add(name)
        for (const part of parts) {
          reached.add(`end ${part.endReason}`)
          for (const [name, flag] of Object.entries(part)) if (flag === 1) reached.add(name)
        }
      }
    }
    const fates = ['applied', 'duplicate', 'late', 'amended', 'afterClose', 'poison', 'buffered']
    const ends = ['finish', 'sessionEnd', 'fail', 'content', 'timeout'].map((end) => `end ${end}`)
    const flags = ['ebvs', 'ebvsLong', 'vsf', 'vpf', 'endedPlay', 'failed']
    const repairs = ['state', 'backwards', 'context', 'clamped']
    const others = ['rejected afterClose', 'rejected amended', 'overflowed', 'incarnation', 'lost']
    expect([...reached]).toEqual(
      expect.arrayContaining([...fates, ...ends, ...flags, ...repairs, ...others]),
    )
  })
})
