/**
 * What tests of the fold share: records by hand, rows kept as a speed store keeps them, whole
 * snapshots, and generators of playback and of hostile records.
 */
import fc from 'fast-check'
import {
  enrichedContextSchema,
  EPOCH_MS_MAX,
  eventSchema,
  SEQ_MAX,
  type EnrichedContext,
  type PlaybackEvent,
  type PlaybackEventType,
} from '../../events/schema.ts'
import type { DecodedRecord, FrameRecord } from '../../log/record.ts'
import { assert } from '../../runtime/errors.ts'
import { parseCut } from '../cuts.ts'
import type {
  DirtyQueue,
  FoldLimits,
  FoldOptions,
  FoldOutput,
  PartitionFold,
  RowTicket,
} from '../fold.ts'

/** A minute's start, long after any limit has begun to matter. */
export const BASE_MS = 1_700_000_040_000

/** Small enough that a handful of records reaches each of them. */
export const SMALL_LIMITS: FoldLimits = {
  sessionTimeoutMs: 120_000,
  allowedLatenessMs: 300_000,
  outOfOrdernessMs: 2_000,
  reorderMs: 5_000,
  sessionKeepMs: 240_000,
  clockStepMs: 30_000,
  maxAgeMs: 600_000,
  seqAheadMax: 8,
  skippedRangesMax: 2,
  stalledViewerMs: 30_000,
  keysPerCutMinuteMax: 2,
  waitingEventsPerSessionMax: 3,
  partsPerSessionMax: 2,
}

export function foldOptions(limits: Partial<FoldLimits> = {}): FoldOptions {
  return {
    origin: { view: 'test', topicEpoch: 1, partition: 3, generation: 1 },
    limits: { ...SMALL_LIMITS, ...limits },
    cuts: ['total', 'cdn', 'content', 'cdn+content'].map(parseCut),
    rowRetentionMs: 86_400_000,
  }
}

export const QUEUES: readonly DirtyQueue[] = ['narrow', 'wide', 'sessionUrgent', 'session']

export interface FrameFields {
  readonly offset: number
  readonly loggedAtMs: number
  readonly receivedAtMs?: number
  readonly sentAtMs?: number
  readonly context?: EnrichedContext
  readonly rejectedSeqs?: readonly number[]
  readonly events?: readonly PlaybackEvent[]
}

/** A frame's record; received when it was logged and sent when it was received, unless told. */
export function frameRecord(fields: FrameFields): FrameRecord {
  const receivedAtMs = fields.receivedAtMs ?? fields.loggedAtMs
  return {
    kind: 'frame',
    offset: fields.offset,
    loggedAtMs: fields.loggedAtMs,
    valueBytes: 100 + 50 * (fields.events?.length ?? 0),
    context: fields.context ?? { sessionId: 's0' },
    sentAtMs: fields.sentAtMs ?? receivedAtMs,
    receivedAtMs,
    receivedAtClamped: false,
    rejectedSeqs: fields.rejectedSeqs ?? [],
    events: fields.events ?? [],
  }
}

export function tickRecord(offset: number, loggedAtMs: number): DecodedRecord {
  return { kind: 'tick', offset, loggedAtMs }
}

/** Rows as the speed store keeps them: the highest stamp of each key. */
export class RowStore {
  readonly rows = new Map<string, { readonly stampUs: number; readonly text: string }>()
  /** Outputs in the order of their first arrival. */
  readonly outputs = new Set<string>()

  write(tickets: readonly RowTicket[]): void {
    for (const ticket of tickets) {
      const { row } = ticket
      if (ticket.kind === 'minute')
        this.#put(`${ticket.row.cut} ${ticket.row.key} ${ticket.row.minuteStartMs}`, ticket.row)
      else {
        const session = `${ticket.row.sessionId} ${ticket.row.incarnation}`
        this.#put(session, row)
        for (const position of ticket.positions)
          this.#put(`${session} ${position.rowNumber}`, position)
      }
    }
  }

  writeOutputs(outputs: readonly FoldOutput[]): void {
    for (const output of outputs) this.outputs.add(textOf(output))
  }

  /** Everything held, in an order of its own. */
  contents(): string[] {
    return [...this.rows].map(([key, { text }]) => `${key} ${text}`).sort()
  }

  #put(key: string, row: { readonly stampUs: number }): void {
    const text = textOf(row)
    const known = this.rows.get(key)
    if (known !== undefined && known.stampUs > row.stampUs) return
    assert(
      known === undefined || known.stampUs < row.stampUs || known.text === text,
      `rows of ${key} with one stamp have one text`,
    )
    this.rows.set(key, { stampUs: row.stampUs, text })
  }
}

export function textOf(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'bigint' ? `${inner}n` : inner,
  )
}

/** Writes and acknowledges everything there is. */
export function drain(fold: PartitionFold, store: RowStore): void {
  for (const queue of QUEUES) {
    const tickets = fold.takeDirty(queue, Number.MAX_SAFE_INTEGER)
    store.write(tickets)
    fold.acknowledge(tickets)
  }
  const outputs = fold.pendingOutputs(Number.MAX_SAFE_INTEGER)
  store.writeOutputs(outputs)
  fold.acknowledgeOutputs(outputs.length)
}

/** A whole snapshot of this moment. */
export function snapshotOf(fold: PartitionFold): Uint8Array {
  const snapshot = fold.beginSnapshot()
  const slices: Uint8Array[] = []
  for (;;) {
    const slice = snapshot.next(3)
    if (slice === undefined) return Buffer.concat(slices)
    slices.push(slice)
  }
}

/** An event of the type, its own fields drawn from its seq. */
export function playbackEvent(type: PlaybackEventType, seq: number, at: number): PlaybackEvent {
  if (type === 'playbackFail' || type === 'warning') return { type, seq, at, code: 'E1' }
  if (type === 'playbackRateUpdate')
    return { type, seq, at, playbackRate: [0.5, 1, 1.25, 16][seq % 4] ?? 1 }
  if (type === 'renditionUpdate')
    return seq % 2 === 0
      ? { type, seq, at, videoBitrateKbps: 900 + (seq % 100), audioBitrateKbps: 128 }
      : { type, seq, at, videoBitrateKbps: 1_000_000 }
  if (type === 'playerResize') return { type, seq, at, widthPx: 1_280, heightPx: 720 }
  if (type === 'cdnUpdate') return { type, seq, at, cdn: `cdn-${seq % 3}` }
  if (type === 'custom') return { type, seq, at, name: 'chapter' }
  return { type, seq, at }
}

/** Types with those that change state or keys more often than the rest. */
export const eventTypes: fc.Arbitrary<PlaybackEventType> = fc.constantFrom(
  'playbackRequest',
  'playbackRequest',
  'playbackStart',
  'playbackStart',
  'playbackStart',
  'playbackPause',
  'playbackStall',
  'playbackStall',
  'seekStart',
  'seekEnd',
  'playbackFinish',
  'playbackFail',
  'sessionEnd',
  'renditionUpdate',
  'playbackRateUpdate',
  'cdnUpdate',
  'heartbeat',
  'heartbeat',
  'warning',
  'custom',
)

const contexts: fc.Arbitrary<EnrichedContext> = fc
  .record({
    session: fc.nat({ max: 2 }),
    content: fc.option(fc.nat({ max: 3 }), { nil: undefined }),
    cdn: fc.option(fc.nat({ max: 3 }), { nil: undefined }),
    viewer: fc.boolean(),
    labels: fc.boolean(),
  })
  .map(({ session, content, cdn, viewer, labels }) => ({
    sessionId: `s${session}`,
    ...(content !== undefined && { contentId: `movie-${content}` }),
    ...(cdn !== undefined && { cdn: `cdn-${cdn}` }),
    ...(labels && { labels: { plan: 'b' } }),
    ...(viewer && { viewerPseudonym: `${session}a0`.padEnd(32, '0123456789abcdef') }),
  }))

const seqs = fc.oneof(
  { weight: 20, arbitrary: fc.nat({ max: 14 }) },
  { weight: 2, arbitrary: fc.nat({ max: 80 }) },
  { weight: 1, arbitrary: fc.constantFrom(999_999, 1_000_000) },
)

/** How far the device's clock is behind the gateway's; mostly not at all. */
const behindMs = fc.oneof(
  { weight: 6, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.integer({ min: -200, max: 200 }) },
  { weight: 1, arbitrary: fc.integer({ min: -400_000, max: 400_000 }) },
  { weight: 1, arbitrary: fc.constantFrom(-30_001, -30_000, 30_000, 30_001) },
)

const gapsMs = fc.oneof(
  { weight: 12, arbitrary: fc.nat({ max: 4_000 }) },
  { weight: 4, arbitrary: fc.nat({ max: 40_000 }) },
  { weight: 1, arbitrary: fc.nat({ max: 500_000 }) },
  { weight: 1, arbitrary: fc.constantFrom(5_000_000, 90_000_000) },
)

interface IdleDraft {
  readonly kind: 'tick' | 'poison'
  readonly gapMs: number
}
interface FrameDraft {
  readonly kind: 'frame'
  readonly gapMs: number
  readonly context: EnrichedContext
  readonly queuedMs: number
  readonly behindMs: number
  readonly events: readonly { type: PlaybackEventType; seq: number; ageMs: number }[]
  readonly rejectedSeqs: readonly number[]
}

type Draft = IdleDraft | FrameDraft

const drafts: fc.Arbitrary<Draft> = fc.oneof(
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom('tick' as const, 'poison' as const),
      gapMs: gapsMs,
    }),
  },
  {
    weight: 9,
    arbitrary: fc.record({
      kind: fc.constant('frame' as const),
      gapMs: gapsMs,
      context: contexts,
      queuedMs: fc.oneof(fc.constant(0), fc.nat({ max: 3_000 }), fc.nat({ max: 900_000 })),
      behindMs,
      events: fc.array(
        fc.record({
          type: eventTypes,
          seq: seqs,
          ageMs: fc.oneof(
            { weight: 8, arbitrary: fc.nat({ max: 20_000 }) },
            { weight: 2, arbitrary: fc.integer({ min: -60_000, max: 700_000 }) },
          ),
        }),
        { maxLength: 5 },
      ),
      rejectedSeqs: fc.oneof(
        { weight: 5, arbitrary: fc.constant([]) },
        { weight: 1, arbitrary: fc.array(seqs, { maxLength: 3 }) },
      ),
    }),
  },
)

/** Records of a few sessions with whatever a log can hold, in offset order, offsets with holes. */
export const hostileRecords: fc.Arbitrary<readonly DecodedRecord[]> = fc
  .array(drafts, { minLength: 1, maxLength: 40, size: 'max' })
  .map((list) => {
    let loggedAtMs = BASE_MS
    return list.map((draft, index): DecodedRecord => {
      loggedAtMs += draft.gapMs
      const offset = index * 3 + (index % 3)
      if (draft.kind === 'tick') return tickRecord(offset, loggedAtMs)
      if (draft.kind !== 'frame') return { kind: 'poison', offset, loggedAtMs, reason: 'torn' }
      const receivedAtMs = loggedAtMs - draft.queuedMs
      const sentAtMs = receivedAtMs - draft.behindMs
      return frameRecord({
        offset,
        loggedAtMs,
        receivedAtMs,
        sentAtMs,
        context: draft.context,
        rejectedSeqs: draft.rejectedSeqs,
        events: draft.events.map(({ type, seq, ageMs }) =>
          playbackEvent(type, seq, sentAtMs - ageMs),
        ),
      })
    })
  })

/** One session that reports every half second, each event in a frame of its own. */
export function chattyRecords(count: number, after: DecodedRecord): readonly DecodedRecord[] {
  return Array.from({ length: count }, (_, seq) => {
    const loggedAtMs = after.loggedAtMs + seq * 500
    const type = seq === 0 ? 'playbackRequest' : 'heartbeat'
    return frameRecord({
      offset: after.offset + 1 + seq,
      loggedAtMs,
      context: { sessionId: 'chatty', cdn: 'cdn-0' },
      events: [playbackEvent(type, seq, loggedAtMs)],
    })
  })
}

const text = (maxLength: number) =>
  fc
    .oneof(
      fc.string({ minLength: 1, maxLength }),
      fc.string({ unit: 'binary', minLength: 1, maxLength }),
      fc.constantFrom('unknown', 'other', '__proto__', 'constructor', '$bigint', 'null', '\n'),
    )
    .filter((value) => value.isWellFormed() && value.length <= maxLength)
const timesMs = fc.oneof(
  fc.integer({ min: BASE_MS - 100_000, max: BASE_MS + 100_000 }),
  fc.constantFrom(0, 1, EPOCH_MS_MAX),
  fc.nat({ max: EPOCH_MS_MAX }),
)
const anySeq = fc.oneof(fc.nat({ max: 9 }), fc.nat({ max: SEQ_MAX }), fc.constant(SEQ_MAX))
const optional = { requiredKeys: [] }

const anyContext: fc.Arbitrary<EnrichedContext> = fc
  .tuple(
    fc.constantFrom('s0', '__proto__', 'constructor'),
    fc.record(
      {
        contentId: text(20),
        cdn: text(20),
        device: fc.record({ type: text(20), os: text(20) }, optional),
        player: fc.record({ name: text(20), version: text(20) }, optional),
        country: fc.constantFrom('NO', 'SE'),
        autoplay: fc.boolean(),
        labels: fc.dictionary(text(20), text(20), { maxKeys: 4 }),
        viewerPseudonym: fc.stringMatching(/^[0-9a-f]{32}$/),
      },
      optional,
    ),
  )
  .map(([sessionId, rest]) => enrichedContextSchema.parse({ sessionId, ...rest }))

const anyEvent: fc.Arbitrary<PlaybackEvent> = fc
  .record({
    event: fc.record({ type: eventTypes, seq: anySeq, at: timesMs }),
    own: fc.record(
      {
        startupMs: fc.nat({ max: 86_400_000 }),
        playbackRate: fc.double({ min: 0.001, max: 16, noNaN: true }),
        videoBitrateKbps: fc.nat({ max: 1_000_000 }),
        audioBitrateKbps: fc.nat({ max: 1_000_000 }),
        cdn: text(20),
        code: text(20),
      },
      optional,
    ),
  })
  .map(({ event: { type, seq, at }, own }) =>
    eventSchema.parse({ ...playbackEvent(type, seq, at), ...own }),
  )

/** Records with any values that the schema lets through, far from what a client would send. */
export const anyRecords: fc.Arbitrary<readonly DecodedRecord[]> = fc
  .array(
    fc.record({
      loggedAtMs: timesMs,
      receivedAtMs: timesMs,
      sentAtMs: timesMs,
      context: anyContext,
      rejectedSeqs: fc.array(anySeq, { maxLength: 2 }),
      events: fc.array(anyEvent, { maxLength: 4 }),
    }),
    { minLength: 1, maxLength: 12 },
  )
  .map((frames) =>
    frames
      .sort((a, b) => a.loggedAtMs - b.loggedAtMs)
      .map((frame, offset) =>
        frameRecord({
          ...frame,
          offset,
          receivedAtMs: Math.min(frame.receivedAtMs, frame.loggedAtMs),
        }),
      ),
  )
