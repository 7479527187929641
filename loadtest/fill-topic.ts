/**
 * Fills `playback.events` as gateways do, ahead of whoever is to read it: the frames that k6 sends
 * (`loadtest/k6/frames.ts`), judged and enriched by the gateway's own code, in the log that is given.
 * Sessions begin one after another, send ten events a second, and end after a minute; each frame has
 * arrived at its time of a load of so many events a second, which has just ended, or some time ago.
 */
import { createContextEnricher } from '../shared/events/context.ts'
import { decodeFrame } from '../shared/events/frame.ts'
import { createPseudonymiser } from '../shared/events/identity.ts'
import { DEFAULT_FRAME_LIMITS } from '../shared/events/limits.ts'
import type { EventLog, NewRecord } from '../shared/log/event-log.ts'
import { partitionOf } from '../shared/log/partitioner.ts'
import { encodeFrameRecord, FRAME_SCHEMA } from '../shared/log/record.ts'
import { TOPICS } from '../shared/log/topics.ts'
import { systemClock } from '../shared/runtime/clock.ts'
import { FrameBuilder } from './k6/frames.ts'
import { Sessions } from './k6/schedule.ts'

export interface FillOptions {
  readonly log: Pick<EventLog, 'append'>
  /** Of `playback.events`, which must exist. */
  readonly partitions: number
  readonly eventsPerFrame: number
  readonly events: number
  /** Of the load that the frames are of; decides how many sessions play at a time. */
  readonly eventsPerSecond: number
  /** How long ago the load ended; now, unless it is given. */
  readonly endedAgoMs?: number
}

export interface Filled {
  readonly frames: number
  readonly events: number
  readonly sessions: number
  /** Of the records' values. */
  readonly bytes: number
}

const SESSION_EVENTS_PER_SECOND = 10
const SESSION_EVENTS = 600
const APPEND_MAX_BYTES = 512 * 1_024
/** Appends of all partitions under way at a time. */
const APPENDS_MAX = 8
const NETWORK_MS = 20
const OPTIONS = { numbered: true, limits: DEFAULT_FRAME_LIMITS }
const HEADERS = { schema: FRAME_SCHEMA }

/** Resolves when every frame is durable. */
export async function fillTopic(options: FillOptions): Promise<Filled> {
  const { log, partitions } = options
  const lanes = Array.from({ length: partitions }, () => new Lane())
  const appending = new Set<Promise<unknown>>()
  const send = async (partition: number, records: readonly NewRecord[]) => {
    const append = log.append(TOPICS.events, partition, records)
    appending.add(append)
    void append.finally(() => appending.delete(append)).catch(() => undefined)
    if (appending.size >= APPENDS_MAX) await Promise.race(appending)
  }
  const filled = { frames: 0, events: 0, sessions: 0, bytes: 0 }
  for (const record of frameRecords(options, filled)) {
    const partition = partitionOf(record.key, partitions)
    const full = lanes[partition]?.add(record)
    if (full !== undefined) await send(partition, full)
  }
  for (const [partition, lane] of lanes.entries()) {
    const rest = lane.take()
    if (rest.length > 0) await send(partition, rest)
  }
  await Promise.all(appending)
  return filled
}

type KeyedRecord = NewRecord & { readonly key: string }

/** The records in the order of their arrival; counts them in `filled`. */
function* frameRecords(
  { eventsPerFrame, events, eventsPerSecond, endedAgoMs = 0 }: FillOptions,
  filled: { -readonly [Name in keyof Filled]: number },
): Generator<KeyedRecord> {
  const framesPerSession = Math.max(2, Math.round(SESSION_EVENTS / eventsPerFrame))
  const frameSpanMs = (eventsPerFrame * 1_000) / SESSION_EVENTS_PER_SECOND
  const places = Math.max(1, Math.round(eventsPerSecond / SESSION_EVENTS_PER_SECOND))
  const frames = Math.ceil(events / eventsPerFrame)
  const frameMs = (eventsPerFrame * 1_000) / eventsPerSecond
  const endMs = systemClock.nowMs() - endedAgoMs - NETWORK_MS
  const startMs = endMs - Math.ceil(frames * frameMs)
  const runId = crypto.randomUUID().slice(0, 6)
  const deviceStartMs = startMs
  const builder = new FrameBuilder({
    runId,
    eventsPerFrame,
    framesPerSession,
    frameSpanMs,
    deviceStartMs,
  })
  const sessions = new Sessions(places, framesPerSession)
  const record = recordMaker(places)
  const begun = new Set<number>()
  for (let index = 0; index < frames; index++) {
    const frame = sessions.take(index % places)
    begun.add(frame.session)
    const bytes = new Uint8Array(builder.build(frame, index))
    const made = record(bytes, startMs + Math.floor(index * frameMs) + NETWORK_MS)
    filled.frames += 1
    filled.events += eventsPerFrame
    filled.sessions = begun.size
    filled.bytes += made.value.length
    yield made
  }
}

/** Of a frame that has come at `receivedAtMs`: the record that the gateway makes of it. */
function recordMaker(sessions: number) {
  const enricher = createContextEnricher({
    pseudonymiser: createPseudonymiser([{ keyId: 'fill', key: Buffer.alloc(32, 7) }]),
    cacheEntriesMax: 2 * sessions,
  })
  return (bytes: Uint8Array, receivedAtMs: number): KeyedRecord => {
    const result = decodeFrame(bytes, OPTIONS)
    if (!result.ok) throw new Error(`a frame of the load was refused: ${result.detail}`)
    const { frame } = result
    if (frame.rejected.length > 0) throw new Error('an event of the load was rejected')
    const value = encodeFrameRecord({
      contextJson: enricher.enrich(frame, {}),
      sentAtMs: frame.sentAtMs,
      receivedAtMs,
      rejectedSeqs: [],
      events: [frame.acceptedBytes],
    })
    return { key: frame.sessionId, value, headers: HEADERS }
  }
}

/** What waits for one append of one partition. */
class Lane {
  #records: NewRecord[] = []
  #bytes = 0

  /** What is to be appended, once it is enough. */
  add(record: NewRecord): readonly NewRecord[] | undefined {
    this.#records.push(record)
    this.#bytes += record.value.length
    return this.#bytes < APPEND_MAX_BYTES ? undefined : this.take()
  }

  take(): readonly NewRecord[] {
    const records = this.#records
    this.#records = []
    this.#bytes = 0
    return records
  }
}
