/**
 * What is known of sessions: which events of theirs are in the log already, and the context of
 * their latest frame. The tables know what the runs have taken; the log's tail, what came since.
 */
import type { EventLog, LogRecord } from '../../../shared/log/event-log.ts'
import { partitionOf } from '../../../shared/log/partitioner.ts'
import { decodeRecord, type FrameRecord } from '../../../shared/log/record.ts'
import { TOPICS } from '../../../shared/log/topics.ts'
import type { ObjectStore } from '../../../shared/objects/object-store.ts'
import { tables } from '../../../shared/warehouse/tables.ts'
import type {
  Row,
  Select,
  Warehouse,
  WarehouseSession,
} from '../../../shared/warehouse/warehouse.ts'
import { readControl } from '../../control.ts'
import { archivedRecords, readLedger } from '../../raw-archive.ts'
import { FETCH_BYTES, FETCH_RECORDS, KNOWN_EVENTS_MAX, QUERY_TIMEOUT_MS } from '../limits.ts'

export interface LatestFrame {
  readonly contextJson: Uint8Array
  readonly sentAtMs: number
}

export interface KnownSessions {
  has(sessionId: string, seq: number): boolean
  add(sessionId: string, seq: number): void
  latestFrame(sessionId: string): LatestFrame | undefined
}

export interface SessionSources {
  readonly log: EventLog
  readonly objects: ObjectStore
  readonly warehouse: Warehouse
  readonly session: WarehouseSession
}

const encoder = new TextEncoder()

export async function readKnownSessions(
  sources: SessionSources,
  sessionIds: ReadonlySet<string>,
): Promise<KnownSessions> {
  const known = new Set<string>()
  const latest = new Map<string, LatestFrame>()
  if (sessionIds.size > 0) {
    for (const row of await acceptedIn(sources.session, sessionIds))
      known.add(nameOf(String(row['session_id']), Number(row['seq'])))
    for (const frame of await latestLoaded(sources, sessionIds))
      latest.set(frame.context.sessionId, latestOf(frame))
    for await (const frame of tailFrames(sources, sessionIds)) {
      const { sessionId } = frame.context
      for (const { seq } of frame.events) known.add(nameOf(sessionId, seq))
      latest.set(sessionId, latestOf(frame))
    }
  }
  return {
    has: (sessionId, seq) => known.has(nameOf(sessionId, seq)),
    add: (sessionId, seq) => known.add(nameOf(sessionId, seq)),
    latestFrame: (sessionId) => latest.get(sessionId),
  }
}

function nameOf(sessionId: string, seq: number): string {
  return `${sessionId}/${seq}`
}

function latestOf({ context, sentAtMs }: FrameRecord): LatestFrame {
  return { contextJson: encoder.encode(JSON.stringify(context)), sentAtMs }
}

function among(sessionIds: ReadonlySet<string>): Select {
  const parameters = Object.fromEntries([...sessionIds].map((id, index) => [`s${index}`, id]))
  const names = Object.keys(parameters).map((name) => `@${name}`)
  return { sql: `session_id IN (${names.join(', ')})`, parameters }
}

function acceptedIn(
  session: WarehouseSession,
  sessionIds: ReadonlySet<string>,
): Promise<readonly Row[]> {
  const { sql, ...rest } = among(sessionIds)
  const select = {
    ...rest,
    sql: `SELECT session_id, seq FROM ${tables.events.name} WHERE ${sql}
      UNION DISTINCT
      SELECT session_id, seq FROM ${tables.eventCopies.name} WHERE kind = 'duplicate' AND ${sql}
      UNION DISTINCT
      SELECT session_id, seq FROM ${tables.lateEvents.name} WHERE kind = 'accepted' AND ${sql}`,
  }
  return session.query(select, { maxRows: KNOWN_EVENTS_MAX, timeoutMs: QUERY_TIMEOUT_MS })
}

/** The latest frame of each session that the runs have taken. */
async function latestLoaded(
  { log, objects, warehouse, session }: SessionSources,
  sessionIds: ReadonlySet<string>,
): Promise<FrameRecord[]> {
  const { sql, ...rest } = among(sessionIds)
  const select = {
    ...rest,
    sql: `SELECT log_partition, MAX(log_offset) AS log_offset FROM ${tables.frames.name}
      WHERE ${sql} GROUP BY session_id, log_partition`,
  }
  const limits = { maxRows: sessionIds.size, timeoutMs: QUERY_TIMEOUT_MS }
  const frames: FrameRecord[] = []
  for (const row of await session.query(select, limits)) {
    const partition = Number(row['log_partition'])
    const offset = Number(row['log_offset'])
    const { start } = await log.offsets(TOPICS.events, partition)
    const [held] = offset < start ? [] : await log.readAt(TOPICS.events, [{ partition, offset }])
    const record = held ?? (await archived({ objects, warehouse, session }, partition, offset))
    const decoded = record && decodeRecord(record)
    if (decoded?.kind === 'frame') frames.push(decoded)
  }
  return frames
}

async function archived(
  { objects, warehouse, session }: Omit<SessionSources, 'log'>,
  partition: number,
  offset: number,
): Promise<LogRecord | undefined> {
  const [entry] = await readLedger(session, {
    sql: `topic = @topic AND log_partition = @partition
      AND first_offset <= @offset AND last_offset >= @offset`,
    parameters: { topic: TOPICS.events, partition, offset },
  })
  if (entry === undefined) return undefined
  for await (const record of archivedRecords({ objects, warehouse }, entry))
    if (record.offset === offset) return record
  return undefined
}

/** Frames of the sessions that no run has taken yet, oldest first. */
async function* tailFrames(
  { log, session }: SessionSources,
  sessionIds: ReadonlySet<string>,
): AsyncGenerator<FrameRecord> {
  const control = await readControl(session)
  const { partitions } = await log.describeTopic(TOPICS.events)
  const wanted = new Set([...sessionIds].map((id) => partitionOf(id, partitions)))
  for (const partition of wanted) {
    const { start, end } = await log.offsets(TOPICS.events, partition)
    const taken = control.partitions.find(
      (row) => row.topic === TOPICS.events && row.logPartition === partition,
    )
    for (let fromOffset = Math.max(start, taken?.nextOffset ?? 0); fromOffset < end;) {
      const { records } = await log.read(TOPICS.events, partition, {
        fromOffset,
        maxRecords: FETCH_RECORDS,
        maxBytes: FETCH_BYTES,
        waitMs: 0,
      })
      const last = records.at(-1)
      if (last === undefined) break
      for (const record of records) {
        if (record.key === undefined || !sessionIds.has(record.key)) continue
        const decoded = decodeRecord(record)
        if (decoded.kind === 'frame') yield decoded
      }
      fromOffset = last.offset + 1
    }
  }
}
