/**
 * What clients send in a run: an adversarial log for every partition, in a quarter of its time, so
 * that sessions close and panes go while a run lasts. Some records are cut short, lost their header
 * or bear an unknown one: poison, with neighbours that it must not touch.
 */
import type { NewRecord } from '../../shared/log/event-log.ts'
import { encodeFrameRecord, FRAME_SCHEMA, type DecodedRecord } from '../../shared/log/record.ts'
import type { FoldLimits } from '../../shared/qoe/fold.ts'
import type { Random } from '../../shared/runtime/random.ts'
import { adversarialLog } from '../oracle/adversarial-log.ts'
import { toLogRecord } from '../oracle/to-log-record.ts'
import { START_MS } from './scheduler.ts'

export interface Arrival {
  readonly atMs: number
  readonly partition: number
  readonly record: NewRecord
  /** Offsets without a record before it. */
  readonly holes: number
}

export interface Input {
  readonly arrivals: readonly Arrival[]
  readonly limits: FoldLimits
}

const bytesOf = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))

const FASTER = 4
const BEGIN_MS = START_MS + 2_000

export interface InputOptions {
  readonly seed: number
  readonly partitions: number
  readonly recordsPerPartition: number
  /** Nothing is sent later than this after the beginning, ms. */
  readonly lengthMs: number
}

export function inputOf(options: InputOptions, random: Random): Input {
  const { seed, partitions, recordsPerPartition, lengthMs } = options
  const logs = Array.from({ length: partitions }, (_, partition) =>
    adversarialLog(seed * partitions + partition, recordsPerPartition),
  )
  const arrivals = logs.flatMap(({ records }, partition) =>
    records
      .map((record) => faster(record, partition))
      .filter(({ loggedAtMs }) => loggedAtMs <= BEGIN_MS + lengthMs)
      .map((record) => ({
        atMs: record.loggedAtMs,
        partition,
        record: damaged(newRecordOf(record), random),
        holes: random.below(40) === 0 ? 1 + random.below(3) : 0,
      })),
  )
  // One view has one set of limits: those of the first log.
  return { arrivals, limits: scaled(logs[0]?.limits ?? raiseNoLog()) }
}

function raiseNoLog(): never {
  throw new Error('a run has at least one partition')
}

function scaled(limits: FoldLimits): FoldLimits {
  const ms = (durationMs: number) => Math.round(durationMs / FASTER)
  return {
    ...limits,
    sessionTimeoutMs: ms(limits.sessionTimeoutMs),
    allowedLatenessMs: ms(limits.allowedLatenessMs),
    outOfOrdernessMs: ms(limits.outOfOrdernessMs),
    reorderMs: ms(limits.reorderMs),
    sessionKeepMs: ms(limits.sessionKeepMs),
    clockStepMs: ms(limits.clockStepMs),
    maxAgeMs: ms(limits.maxAgeMs),
    stalledViewerMs: ms(limits.stalledViewerMs),
  }
}

/** The record in a quarter of its time, of a session that no other partition has. */
function faster(record: DecodedRecord, partition: number): DecodedRecord {
  const at = (timeMs: number) => BEGIN_MS + Math.round((timeMs - START_MS) / FASTER)
  const loggedAtMs = at(record.loggedAtMs)
  if (record.kind !== 'frame') return { ...record, loggedAtMs }
  return {
    ...record,
    loggedAtMs,
    sentAtMs: at(record.sentAtMs),
    receivedAtMs: at(record.receivedAtMs),
    context: { ...record.context, sessionId: `p${partition}-${record.context.sessionId}` },
    events: record.events.map((event) => ({ ...event, at: at(event.at) })),
  }
}

/** What clients send to another topic of the same name: sessions that this one never had. */
export function strangers(count: number, nowMs: number): NewRecord[] {
  return Array.from({ length: count }, (_, index) => {
    const context = { sessionId: `stranger-${index}`, contentId: 'stranger' }
    const events = [{ seq: 0, type: 'playbackStart', at: nowMs }]
    const frame = { sentAtMs: nowMs, receivedAtMs: nowMs, rejectedSeqs: [] }
    const value = encodeFrameRecord({
      ...frame,
      contextJson: bytesOf(context),
      events: events.map(bytesOf),
    })
    return { key: context.sessionId, value, headers: { schema: FRAME_SCHEMA } }
  })
}

function newRecordOf(record: DecodedRecord): NewRecord {
  const { value, headers } = toLogRecord(record)
  return { key: record.kind === 'frame' ? record.context.sessionId : undefined, value, headers }
}

function damaged(record: NewRecord, random: Random): NewRecord {
  const draw = random.below(120)
  if (draw === 0)
    return { ...record, value: record.value.slice(0, random.below(record.value.length)) }
  if (draw === 1) return { ...record, headers: {} }
  if (draw === 2) return { ...record, headers: { schema: 'playback.v9' } }
  return record
}
