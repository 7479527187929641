import { describe, expect, test } from 'vitest'

import type { DecodedRecord } from '../../shared/log/record.ts'
import { parseCut } from '../../shared/qoe/cuts.ts'
import { DEFAULT_FOLD_LIMITS } from '../../shared/qoe/fold.ts'
import { FoldRunner } from './run-fold.ts'

const T0 = 1_800_000_000_000
const SESSION_LIFE_MS = DEFAULT_FOLD_LIMITS.sessionTimeoutMs + DEFAULT_FOLD_LIMITS.sessionKeepMs

function runner(): FoldRunner {
  return new FoldRunner({
    origin: { view: 'v', topicEpoch: 0, partition: 0, generation: 0 },
    limits: DEFAULT_FOLD_LIMITS,
    cuts: [parseCut('total')],
    rowRetentionMs: 90 * 86_400_000,
  })
}

const frame: DecodedRecord = {
  kind: 'frame',
  offset: 0,
  loggedAtMs: T0,
  valueBytes: 100,
  context: { sessionId: 's' },
  sentAtMs: T0,
  receivedAtMs: T0,
  receivedAtClamped: false,
  rejectedSeqs: [],
  events: [{ seq: 0, type: 'playbackStart', at: T0 }],
}

function tick(offset: number, afterMs: number): DecodedRecord {
  return { kind: 'tick', offset, loggedAtMs: T0 + afterMs }
}

describe('a restart from a checkpoint taken after a session was let go', () => {
  const complete = (fold: FoldRunner) => {
    for (let step = 0; step < 10; step++) fold.interrupt({ kind: 'checkpoint' })
  }

  test('writes its last row again when the write was in flight and is lost', () => {
    const fold = runner()
    fold.apply(frame)
    fold.apply(tick(1, DEFAULT_FOLD_LIMITS.sessionTimeoutMs + 3_000))
    fold.interrupt({ kind: 'writeRows', queue: 'sessionUrgent', fate: 'unsent' })
    fold.interrupt({ kind: 'writeRows', queue: 'session', fate: 'unsent' })
    fold.apply(tick(2, SESSION_LIFE_MS + 3_000))
    complete(fold)
    fold.interrupt({ kind: 'restart' })
    const { sessions, faults } = fold.finish()
    expect(sessions).toMatchObject([{ sessionId: 's', closed: true, parts: [{ play: 1 }] }])
    expect(faults).toEqual([])
  })

  test('holds nothing of it once that row is acknowledged', () => {
    const fold = runner()
    fold.apply(frame)
    fold.apply(tick(1, SESSION_LIFE_MS + 3_000))
    const { sessions, faults } = fold.finish()
    expect(sessions).toHaveLength(1)
    expect(faults).toEqual([])
  })
})
