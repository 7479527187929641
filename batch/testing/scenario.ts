/**
 * A log with everything that a batch must take: sessions with repeats, rejected seqs and unknown
 * fields, ticks, records that cannot be read, a session that comes back, arrivals that are later
 * than their append, text beyond ASCII, and the change of an hour.
 */
import type { EventLog, NewRecord } from '../../shared/log/event-log.ts'
import { partitionOf } from '../../shared/log/partitioner.ts'
import { encodeFrameRecord, encodeTick, FRAME_SCHEMA } from '../../shared/log/record.ts'
import { encodeReject } from '../../shared/log/reject-record.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import type { ManualClock } from '../../shared/runtime/clock.ts'
import { seededRandom, type Random } from '../../shared/runtime/random.ts'

const SESSIONS = 6
const STEP_MS = 20_000
const TYPES = ['playbackRequest', 'playbackStart', 'renditionUpdate', 'playbackStall', 'heartbeat']
const TEXTS = ['plain', 'Zürich 😀', 'quo"te\\back\tslash', 'line\nbreak', '‮rtl', '\u0000nul']

export interface ScenarioOptions {
  readonly log: EventLog
  readonly clock: ManualClock
  readonly partitions: number
  readonly seed: number
  readonly turns: number
}

export interface SentFrame {
  readonly sessionId: string
  readonly seqs: readonly number[]
  readonly rejectedSeqs: readonly number[]
}

export async function fillLog(options: ScenarioOptions): Promise<SentFrame[]> {
  const { log, clock, partitions, seed, turns } = options
  const random = seededRandom(seed)
  const next = new Map<string, number>()
  const sent: SentFrame[] = []
  for (let turn = 0; turn < turns; turn += 1) {
    await clock.advance(turn === Math.floor(turns / 2) ? 4 * 3_600_000 : STEP_MS)
    const sessionId = `session-${random.below(SESSIONS)}`
    const partition = partitionOf(sessionId, partitions)
    const { frame, record } = frameOf({ random, next, clock, sessionId })
    sent.push(frame)
    await log.append(TOPICS.events, partition, [record])
    // Sent again, as after a lost acknowledgement.
    if (random.below(6) === 0) await log.append(TOPICS.events, partition, [record])
    if (random.below(5) === 0)
      await log.append(TOPICS.events, random.below(partitions), [encodeTick()])
    if (random.below(15) === 0) await log.append(TOPICS.events, partition, [poison(random)])
    if (random.below(10) === 0) await appendSideRecords(options, random, sessionId)
  }
  // Both partitions have a last word, so that each has a watermark.
  for (let partition = 0; partition < partitions; partition += 1)
    await log.append(TOPICS.events, partition, [encodeTick()])
  return sent
}

interface FrameContext {
  readonly random: Random
  readonly next: Map<string, number>
  readonly clock: ManualClock
  readonly sessionId: string
}

function frameOf({ random, next, clock, sessionId }: FrameContext) {
  const nowMs = clock.nowMs()
  const first = next.get(sessionId) ?? 0
  const count = 1 + random.below(4)
  const seqs = Array.from({ length: count }, (_, index) => first + index)
  const rejectedSeqs = random.below(7) === 0 ? [first + count] : []
  next.set(sessionId, first + count + rejectedSeqs.length)
  const context = {
    sessionId,
    contentId: `content-${random.below(2)}`,
    contentTitle: TEXTS[random.below(TEXTS.length)],
    cdn: `cdn-${random.below(2)}`,
    device: { type: 'tv', osVersion: '1.0' },
    labels: { plan: 'gold', ä: TEXTS[random.below(TEXTS.length)] },
  }
  const events = seqs.map((seq) => ({
    seq,
    type: TYPES[Math.min(seq, TYPES.length - 1)],
    at: nowMs - (count - (seq - first)) * 1_000,
    playheadMs: seq === 3 ? undefined : seq * 1_000,
    unknownField: { nested: [1, 'x', null, 1e300] },
  }))
  const value = encodeFrameRecord({
    contextJson: Buffer.from(JSON.stringify(context)),
    sentAtMs: nowMs - 20,
    receivedAtMs: random.below(9) === 0 ? nowMs + 5_000 : nowMs - 10,
    rejectedSeqs,
    events: events.map((event) => Buffer.from(JSON.stringify(event))),
  })
  const gateway = random.below(4) === 0 ? {} : { gateway: 'g-1' }
  const record: NewRecord = { key: sessionId, value, headers: { schema: FRAME_SCHEMA, ...gateway } }
  return { frame: { sessionId, seqs, rejectedSeqs }, record }
}

function poison(random: Random): NewRecord {
  const values = ['{"session":', '{"session":{"sessionId":"x"},"events":[]}', '\n\r"', '']
  const value = Buffer.from(values[random.below(values.length)] ?? '')
  const schema = random.below(2) === 0 ? FRAME_SCHEMA : 'playback.v9'
  return { key: undefined, value, headers: { schema } }
}

async function appendSideRecords(
  { log, clock, partitions }: ScenarioOptions,
  random: Random,
  sessionId: string,
): Promise<void> {
  const reject = encodeReject({
    stage: 'gateway',
    code: 'EVENT_FIELD_INVALID',
    detail: `events[0].at: ${TEXTS[random.below(TEXTS.length)]}`,
    sessionId,
    seq: random.below(100),
    receivedAtMs: clock.nowMs(),
    sealed: Buffer.from('sealed'),
  })
  const exception = JSON.stringify({
    sessionId,
    seq: random.below(100),
    partition: 0,
    offset: random.below(100),
    reason: 'late',
    type: 'heartbeat',
    ...(random.below(2) === 0 && { forgotten: true }),
  })
  await log.append(TOPICS.rejects, random.below(partitions), [
    { key: sessionId, value: reject, headers: { schema: 'reject.v1' } },
  ])
  await log.append(TOPICS.exceptions, random.below(partitions), [
    {
      key: sessionId,
      value: Buffer.from(exception),
      headers: { schema: 'exception.v1', view: 'v1' },
    },
    { key: undefined, value: Buffer.from('garbage'), headers: {} },
  ])
}
