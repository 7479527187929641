/** Reads `docs/hand-worked-sessions.md`: each case's log, and what is expected of it. */
import { z } from 'zod'

import { type EnrichedContext, eventSchema } from '../../shared/events/schema.ts'
import type { DecodedRecord, FrameRecord } from '../../shared/log/record.ts'
import {
  COUNTER_NAMES,
  type CounterName,
  type MinuteAggregates,
} from '../../shared/qoe/aggregates.ts'
import type { FoldException, SessionQuality } from '../../shared/speed/rows.ts'

/** The moment from which the file counts its milliseconds. */
export const HAND_WORKED_EPOCH_MS = 1_800_000_000_000

type WithoutBytes = Omit<MinuteAggregates, 'bytes'>
/** `bytes` depends on the spelling of a record and is no part of the table. */
const COUNTERS: ReadonlySet<string> = new Set(COUNTER_NAMES.filter((name) => name !== 'bytes'))

const flag = z.union([z.literal(0), z.literal(1)])
const partSchema = z.strictObject({
  state: z.enum(['idle', 'starting', 'playing', 'paused', 'stalled', 'seeking', 'ended', 'failed']),
  endReason: z.enum(['finish', 'sessionEnd', 'fail', 'content', 'timeout']).nullable(),
  attempt: flag,
  play: flag,
  ebvs: flag,
  ebvsLong: flag,
  vsf: flag,
  vpf: flag,
  endedPlay: flag,
  failed: flag,
  startupMs: z.int().nullable(),
  stallCount: z.int(),
  stallMs: z.int(),
  playingMs: z.int(),
  watchedMs: z.int(),
  mediaUs: z.int(),
  ratedMediaUs: z.int(),
  bitsPlayed: z.string().regex(/^\d+$/),
  events: z.int(),
  firstEventTime: z.int().optional(),
  lastEventTime: z.int().optional(),
})
const count = z.int().default(0)
const qualitySchema = z.strictObject({
  lost: count,
  duplicates: count,
  late: count,
  amended: count,
  afterClose: count,
  rejected: count,
  repairs: z
    .strictObject({ state: count, backwards: count, context: count, clamped: count })
    .prefault({}),
})
const pairs = z.array(z.tuple([z.int(), z.int()])).default([])
const instants = z.array(z.int()).length(6).default([0, 0, 0, 0, 0, 0])
const minuteSchema = z
  .object({
    cut: z.string(),
    key: z.array(z.string()),
    minute: z.int(),
    bitsPlayed: z.string().default('0'),
    startupHistogram: pairs,
    concurrentPlays: instants,
    concurrentViewers: instants,
    viewerRegisters: pairs,
  })
  .catchall(z.int())
const eventAfterEpochSchema = z
  .looseObject({ at: z.int() })
  .transform((event) => ({ ...event, at: event.at + HAND_WORKED_EPOCH_MS }))
  .pipe(eventSchema)
const recordSchema = z.union([
  z.strictObject({ tick: z.literal(true), loggedAt: z.int() }),
  z.strictObject({
    sentAt: z.int(),
    receivedAt: z.int(),
    loggedAt: z.int(),
    session: z.record(z.string(), z.string()).default({}),
    rejectedSeqs: z.array(z.int()).default([]),
    events: z.array(eventAfterEpochSchema),
  }),
])
const exceptionSchema = z.strictObject({
  seq: z.int(),
  offset: z.int(),
  reason: z.enum(['late', 'amended', 'afterClose', 'capped']),
  type: z.string(),
})
const blockSchema = z.strictObject({
  session: z.record(z.string(), z.string()).default({}),
  records: z.array(recordSchema),
  expected: z.strictObject({
    sessions: z.array(
      z.strictObject({
        closed: z.boolean(),
        clockOffsetMs: z.int().optional(),
        parts: z.array(partSchema),
        quality: qualitySchema,
      }),
    ),
    exceptions: z.array(exceptionSchema),
    minutes: z.array(minuteSchema).optional(),
  }),
})

type Block = z.infer<typeof blockSchema>
export type ExpectedPart = z.infer<typeof partSchema>

export interface ExpectedSession {
  readonly closed: boolean
  readonly clockOffsetMs?: number | undefined
  readonly parts: readonly ExpectedPart[]
  readonly quality: SessionQuality
}

export interface HandWorkedCase {
  readonly title: string
  /** The case as a log of one partition. */
  readonly records: readonly DecodedRecord[]
  /** The rows of the case's table, events and rejected seqs. */
  readonly tableRows: readonly TableRow[]
  /** By incarnation. */
  readonly sessions: readonly ExpectedSession[]
  readonly exceptions: readonly Pick<FoldException, 'seq' | 'offset' | 'reason' | 'type'>[]
  /** By `cut|key|minuteStartMs`, without `bytes`; complete for every cut named here. */
  readonly minutes: ReadonlyMap<string, WithoutBytes> | undefined
}

export interface TableRow {
  readonly seq: number
  readonly type: string
  readonly atMs: number | undefined
}

export function parseHandWorked(markdown: string): HandWorkedCase[] {
  const sections = markdown.split(/^## \d+\. /m).slice(1)
  return sections.map((section) => {
    const title = section.slice(0, section.indexOf('\n')).trim()
    const json = /^```json\n(.*?)^```$/ms.exec(section)?.[1]
    if (json === undefined) throw new Error(`case “${title}” has no json block`)
    const block = blockSchema.parse(JSON.parse(json))
    return {
      title,
      records: block.records.map((record, offset) => toRecord(title, block, { record, offset })),
      tableRows: section.split('\n').flatMap(toTableRow),
      sessions: block.expected.sessions,
      exceptions: block.expected.exceptions as HandWorkedCase['exceptions'],
      minutes: toMinutes(block.expected.minutes),
    }
  })
}

function toRecord(
  title: string,
  block: Block,
  { record, offset }: { record: Block['records'][number]; offset: number },
): DecodedRecord {
  const loggedAtMs = HAND_WORKED_EPOCH_MS + record.loggedAt
  if ('tick' in record) return { kind: 'tick', offset, loggedAtMs }
  const context: EnrichedContext = {
    sessionId: title,
    contentId: 'movie-1',
    streamType: 'vod',
    cdn: 'a',
    ...block.session,
    ...record.session,
  }
  const frame: FrameRecord = {
    kind: 'frame',
    offset,
    loggedAtMs,
    valueBytes: JSON.stringify(record).length,
    context,
    sentAtMs: HAND_WORKED_EPOCH_MS + record.sentAt,
    receivedAtMs: HAND_WORKED_EPOCH_MS + record.receivedAt,
    receivedAtClamped: false,
    rejectedSeqs: record.rejectedSeqs,
    events: record.events,
  }
  return frame
}

function toTableRow(line: string): TableRow[] {
  const cells = line.split('|').map((cell) => cell.trim())
  const [seq, type, at] = cells.slice(5, 8)
  if (seq === undefined || !/^\d+$/.test(seq) || type === undefined || at === undefined) return []
  const atMs = at === '' ? undefined : Number(at.replaceAll(',', '').replace('−', '-'))
  return [
    {
      seq: Number(seq),
      type: type.replaceAll('`', ''),
      atMs: atMs === undefined ? undefined : HAND_WORKED_EPOCH_MS + atMs,
    },
  ]
}

function toMinutes(minutes: Block['expected']['minutes']): HandWorkedCase['minutes'] {
  if (minutes === undefined) return undefined
  return new Map(minutes.map((minute) => [minuteId(minute), toAggregates(minute)]))
}

function minuteId({ cut, key, minute }: z.infer<typeof minuteSchema>): string {
  return `${cut}|${JSON.stringify(key)}|${HAND_WORKED_EPOCH_MS + minute}`
}

function toAggregates(expected: z.infer<typeof minuteSchema>): WithoutBytes {
  const { cut: _cut, key: _key, minute: _minute, ...facts } = expected
  const { startupHistogram, concurrentPlays, concurrentViewers, viewerRegisters, ...rest } = facts
  const { bitsPlayed, ...counters } = rest
  const unknown = Object.keys(counters).find((name) => !COUNTERS.has(name))
  if (unknown !== undefined) throw new Error(`a minute has no aggregate “${unknown}”`)
  const named = [...COUNTERS].map((name) => [name, counters[name] ?? 0] as const)
  return {
    ...(Object.fromEntries(named) as Record<Exclude<CounterName, 'bytes'>, number>),
    bitsPlayed: BigInt(bitsPlayed),
    startupHistogram,
    concurrentPlays,
    concurrentViewers,
    viewerRegisters,
  }
}
