/**
 * What the sides read: `playback.events` as the gateway would have written it, one record a frame, its
 * key the session, batches compressed with zstd. Some records come twice.
 */
import { createHash } from 'node:crypto'
import { kafkaSettings } from '../../shared/kafka/testing/kafka-settings.ts'
import type { EventLog, NewRecord } from '../../shared/log/event-log.ts'
import { openKafkaEventLog } from '../../shared/log/kafka-event-log.ts'
import { partitionOf } from '../../shared/log/partitioner.ts'
import { encodeFrameRecord, FRAME_SCHEMA } from '../../shared/log/record.ts'
import { TOPICS, topicSpecs } from '../../shared/log/topics.ts'
import { systemClock } from '../../shared/runtime/clock.ts'
import { fillTopic } from '../fill-topic.ts'
import { CALM_DELIVERY, deliver, type DeliveredFrame } from '../simulator/delivery.ts'
import { simulateSession, type SimulatedSession } from '../simulator/simulate-audience.ts'

export interface FilledTopic {
  /** Distinct ones. */
  readonly events: number
  /** Those that are there a second time. */
  readonly repeated: number
  readonly sessions: number
  readonly frames: number
}

/** Puts at least `eventsMin` distinct events into the log. */
export type Filler = (log: EventLog, eventsMin: number) => Promise<FilledTopic>

export const PARTITIONS = 12
/** One of so many appends of k6's frames is done twice. */
const APPENDS_PER_REPEAT = 20
/** Of the load that k6's frames are of. */
const EVENTS_PER_SECOND = 200_000
/** Sessions that are drawn; more are the same viewers again under other ids. */
const SESSIONS_DRAWN = 5_000
const MINUTE_MS = 60_000
/** Everything happened within the last hour, the lateness that is allowed. */
const BEGAN_BEFORE_MS = 50 * MINUTE_MS
const ARRIVALS_MS = 25 * MINUTE_MS
/** Makes frames of some ten events: players report every 10 to 20 seconds. */
const BATCH_MS = 2 * MINUTE_MS
const REPEAT_CHANCE = 0.05
/** About what a lane of the gateway collects at 200,000 events a second. */
const APPEND_BYTES = 48 * 1_024
const RETENTION = { logRetentionMs: 24 * 60 * MINUTE_MS, logRetentionBytes: 2 ** 40 }

export async function fill(
  brokers: readonly string[],
  filler: Filler,
  eventsMin: number,
): Promise<FilledTopic> {
  const log = await openKafkaEventLog({ config: kafkaSettings({ brokers }), clock: systemClock })
  try {
    await log.ensureTopics(topicSpecs({ partitions: PARTITIONS, ...RETENTION }))
    return await filler(log, eventsMin)
  } finally {
    await log.close()
  }
}

/** The simulator's viewers, whose players report every ten to twenty seconds and when something happens. */
export const fillWithViewers: Filler = async (log, eventsMin) => {
  const sessions = drawSessions(systemClock.nowMs())
  const eventsDrawn = sessions.reduce((sum, { events }) => sum + events.length, 0)
  const copies = Math.ceil(eventsMin / eventsDrawn)
  const frames = deliver(sessions, {
    ...CALM_DELIVERY,
    batchMs: BATCH_MS,
    frameEventsMax: 100,
    repeatChance: REPEAT_CHANCE,
    repeatAfterMaxMs: MINUTE_MS,
  })
  const lanes = new Lanes(log)
  for (const frame of frames)
    for (let copy = 0; copy < copies; copy += 1) await lanes.take(recordOf(frame, copy))
  await lanes.flush()
  const again = frames.filter(({ isRepeat }) => isRepeat)
  return {
    events: eventsDrawn * copies,
    repeated: again.reduce((sum, { events }) => sum + events.length, 0) * copies,
    sessions: sessions.length * copies,
    frames: frames.length * copies,
  }
}

/** k6's frames of a hundred events in ten seconds, as in the loads and benchmarks. */
export const fillWithFrames: Filler = async (log, eventsMin) => {
  const eventsPerFrame = 100
  let appends = 0
  let again = 0
  const repeating: Pick<EventLog, 'append'> = {
    async append(topic, partition, records) {
      appends += 1
      const appended = await log.append(topic, partition, records)
      if (appends % APPENDS_PER_REPEAT !== 0) return appended
      again += records.length
      return await log.append(topic, partition, records)
    },
  }
  const filled = await fillTopic({
    log: repeating,
    partitions: PARTITIONS,
    eventsPerFrame,
    events: eventsMin,
    eventsPerSecond: EVENTS_PER_SECOND,
  })
  const { events, sessions, frames } = filled
  return { events, repeated: again * eventsPerFrame, sessions, frames: frames + again }
}

/** Of one content each and over by now: both sides are asked what has happened, not what is to come. */
function drawSessions(nowMs: number): SimulatedSession[] {
  const audience = {
    seed: 6,
    sessions: SESSIONS_DRAWN,
    startAtMs: nowMs - BEGAN_BEFORE_MS,
    arrivalSpanMs: ARRIVALS_MS,
  }
  return Array.from({ length: SESSIONS_DRAWN }, (_, index) =>
    simulateSession(audience, index),
  ).filter(({ plan, lastEventAtMs }) => {
    return plan.parts.length === 1 && lastEventAtMs + BATCH_MS + MINUTE_MS < nowMs
  })
}

function recordOf(frame: DeliveredFrame, copy: number): NewRecord & { readonly key: string } {
  const { viewerId = '', ...context } = frame.context
  const sessionId = `${frame.sessionId}-${copy}`
  const viewerPseudonym = createHash('sha256').update(viewerId).digest('hex').slice(0, 32)
  const value = encodeFrameRecord({
    contextJson: bytesOf({ ...context, sessionId, viewerPseudonym }),
    sentAtMs: frame.sentAtMs,
    receivedAtMs: frame.arrivedAtMs,
    rejectedSeqs: [],
    events: frame.events.map(bytesOf),
  })
  return { key: sessionId, value, headers: { schema: FRAME_SCHEMA } }
}

function bytesOf(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value))
}

/** Collects records by partition; one append of each partition is on its way at a time. */
class Lanes {
  readonly #log: EventLog
  readonly #waiting: NewRecord[][]
  readonly #bytes: number[]
  readonly #appending: Promise<unknown>[]

  constructor(log: EventLog) {
    this.#log = log
    this.#waiting = Array.from({ length: PARTITIONS }, () => [])
    this.#bytes = this.#waiting.map(() => 0)
    this.#appending = this.#waiting.map(() => Promise.resolve())
  }

  async take(record: NewRecord & { readonly key: string }): Promise<void> {
    const partition = partitionOf(record.key, PARTITIONS)
    this.#waiting[partition]?.push(record)
    const bytes = (this.#bytes[partition] ?? 0) + record.value.length
    this.#bytes[partition] = bytes
    if (bytes >= APPEND_BYTES) await this.#append(partition)
  }

  async flush(): Promise<void> {
    for (const partition of this.#waiting.keys()) await this.#append(partition)
    await Promise.all(this.#appending)
  }

  /** Resolves when the append before is done. */
  async #append(partition: number): Promise<void> {
    const records = this.#waiting[partition] ?? []
    this.#waiting[partition] = []
    this.#bytes[partition] = 0
    await this.#appending[partition]
    if (records.length > 0)
      this.#appending[partition] = this.#log.append(TOPICS.events, partition, records)
  }
}
