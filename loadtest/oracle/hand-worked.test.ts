import { readFileSync } from 'node:fs'

import { describe, expect, test } from 'vitest'

import type { MinuteAggregates } from '../../shared/qoe/aggregates.ts'
import { parseCut } from '../../shared/qoe/cuts.ts'
import { DEFAULT_FOLD_LIMITS } from '../../shared/qoe/fold.ts'
import type { FoldException, PartSummary, SessionQuality } from '../../shared/speed/rows.ts'
import {
  type ExpectedPart,
  type ExpectedSession,
  HAND_WORKED_EPOCH_MS,
  type HandWorkedCase,
  parseHandWorked,
} from './hand-worked.ts'
import { computeOracle } from './oracle.ts'
import { FoldRunner } from './run-fold.ts'

const CASES = parseHandWorked(
  readFileSync(new URL('../../docs/hand-worked-sessions.md', import.meta.url), 'utf8'),
)
const CUTS = ['total', 'content', 'cdn'].map(parseCut)
const REQUIRED_TITLES = [
  'Normal',
  'Pause and resume',
  'Stalls',
  'Stall during seek',
  'EBVS short',
  'EBVS long',
  'Video start failure',
  'Video playback failure',
  'Live',
  'Rate change',
  'Rendition changes',
  'Timeout',
  'Start without request',
  'Event after the end',
  'Device clock three days fast',
  'Device clock three days slow',
  'Clock step in mid-session',
  'Send times jittering by 200 ms',
  'Offline queue sent an hour late',
  'A gap never filled',
  'A gap filled late',
  'Pause before the first start',
  'Seek while stalled',
  'Seek while paused',
  'Fail then request then start',
  'Content change under one session',
]

interface Outcome {
  readonly sessions: readonly {
    readonly parts: readonly PartSummary[]
    readonly quality: SessionQuality
    readonly closed: boolean
    readonly clockOffsetMs: number | undefined
  }[]
  readonly exceptions: readonly FoldException[]
  readonly minutes: ReadonlyMap<string, MinuteAggregates>
}

function outcomeOfOracle({ records }: HandWorkedCase): Outcome {
  const partitions = [{ partition: 0, records }]
  return computeOracle({ partitions, limits: DEFAULT_FOLD_LIMITS, cuts: CUTS })
}

function outcomeOfFold({ records }: HandWorkedCase): Outcome {
  const runner = new FoldRunner({
    origin: { view: 'hand-worked', topicEpoch: 0, partition: 0, generation: 0 },
    limits: DEFAULT_FOLD_LIMITS,
    cuts: CUTS,
    rowRetentionMs: 90 * 86_400_000,
  })
  for (const record of records) runner.apply(record)
  const { sessions, exceptions, minutes } = runner.finish()
  return {
    sessions: sessions.toSorted((a, b) => a.incarnation - b.incarnation),
    exceptions,
    minutes,
  }
}

/** A part in the terms of the table; instants only where the table gives them. */
function tableTerms(part: PartSummary | undefined, expected: ExpectedPart): unknown {
  if (part === undefined) return undefined
  const { firstEventTimeMs, lastEventTimeMs, endReason, startupMs, bitsPlayed, ...rest } = part
  const { part: _part, contentId: _contentId, playerStartupMs: _playerStartupMs, ...metrics } = rest
  return {
    ...metrics,
    endReason: endReason ?? null,
    startupMs: startupMs ?? null,
    bitsPlayed: `${bitsPlayed}`,
    ...(expected.firstEventTime !== undefined && {
      firstEventTime: firstEventTimeMs - HAND_WORKED_EPOCH_MS,
    }),
    ...(expected.lastEventTime !== undefined && {
      lastEventTime: lastEventTimeMs - HAND_WORKED_EPOCH_MS,
    }),
  }
}

function expectOutcome(handWorked: HandWorkedCase, outcome: Outcome): void {
  expect(outcome.sessions).toHaveLength(handWorked.sessions.length)
  for (const [index, expected] of handWorked.sessions.entries()) {
    const session = outcome.sessions[index]
    expect(session?.parts).toHaveLength(expected.parts.length)
    for (const [partIndex, part] of expected.parts.entries()) {
      expect(tableTerms(session?.parts[partIndex], part)).toEqual(part)
    }
    expect(session?.quality).toEqual(expected.quality)
    expect(session).toMatchObject(closingTerms(expected))
  }
  const listed = outcome.exceptions.map(({ seq, offset, reason, type }) => ({
    seq,
    offset,
    reason,
    type,
  }))
  expect(listed).toEqual(handWorked.exceptions)
  if (handWorked.minutes !== undefined) expectMinutes(handWorked.minutes, outcome.minutes)
}

/** `closed`, and the clock offset where the table gives it. */
function closingTerms({ closed, clockOffsetMs }: ExpectedSession): object {
  return clockOffsetMs === undefined ? { closed } : { closed, clockOffsetMs }
}

function expectMinutes(
  expected: NonNullable<HandWorkedCase['minutes']>,
  minutes: Outcome['minutes'],
): void {
  const cutOf = (id: string) => id.slice(0, id.indexOf('|'))
  const cuts = new Set([...expected.keys()].map(cutOf))
  const comparable = [...minutes]
    .filter(([id]) => cuts.has(cutOf(id)))
    .map(([id, { bytes: _bytes, ...aggregates }]) => [id, aggregates] as const)
  expect(Object.fromEntries(comparable)).toEqual(Object.fromEntries(expected))
}

describe('the hand-worked sessions', () => {
  test('are all read, and none of the required cases is missing', () => {
    expect(CASES).toHaveLength(36)
    const titles = CASES.map(({ title }) => title)
    expect(titles).toEqual(expect.arrayContaining(REQUIRED_TITLES))
    expect(new Set(titles).size).toBe(CASES.length)
  })

  test.each(CASES)('show in the table the very events of the block: $title', (handWorked) => {
    const rows = handWorked.records.flatMap((record) => {
      if (record.kind !== 'frame') return []
      const events = record.events.map(({ seq, type, at }) => ({ seq, type: `${type}`, atMs: at }))
      const rejected = record.rejectedSeqs.map((seq) => ({
        seq,
        type: 'rejected',
        atMs: undefined,
      }))
      return [...events, ...rejected]
    })
    expect(handWorked.tableRows).toEqual(rows)
  })

  test('have the same result with jittering send times as without', () => {
    const named = (title: string) => CASES.find((handWorked) => handWorked.title === title)
    const still = named('Send times without jitter')
    const jittering = named('Send times jittering by 200 ms')
    expect(jittering?.sessions).toEqual(still?.sessions)
    expect(jittering?.minutes).toEqual(still?.minutes)
    expect(jittering?.records).not.toEqual(still?.records)
  })

  test.each(CASES)('the oracle agrees: $title', (handWorked) => {
    expectOutcome(handWorked, outcomeOfOracle(handWorked))
  })

  test.each(CASES)('the fold agrees: $title', (handWorked) => {
    expectOutcome(handWorked, outcomeOfFold(handWorked))
  })
})
