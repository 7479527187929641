/** Small in-memory stores and builders for the tests of serving. */
import type { EventLog, LogRecord, Position } from '../../shared/log/event-log.ts'
import type { MinuteAggregates } from '../../shared/qoe/aggregates.ts'
import { EMPTY_AGGREGATES } from '../../shared/qoe/merge.ts'
import type {
  MinuteRow,
  PartitionRow,
  PositionRow,
  RuleStateRow,
  SessionRow,
} from '../../shared/speed/rows.ts'
import { viewerOf } from '../../shared/speed/session-viewer.ts'
import { speedErrors } from '../../shared/speed/speed-errors.ts'
import type {
  MinuteQuery,
  SessionPage,
  SpeedStore,
  ViewerQuery,
} from '../../shared/speed/speed-store.ts'

export const TEST_VIEW = 'view-1'

/** Keeps rows as they are put; what a test needs of a store and no more. */
export class MemorySpeedStore implements SpeedStore {
  readonly minutes = new Map<string, MinuteRow>()
  readonly sessions = new Map<string, SessionRow>()
  readonly positions = new Map<string, PositionRow>()
  readonly partitions = new Map<string, PartitionRow>()
  readonly rules = new Map<string, RuleStateRow>()
  readonly minuteQueries: MinuteQuery[] = []
  /** Thrown by every read while set. */
  failure: Error | undefined

  putMinutes(rows: readonly MinuteRow[]): Promise<void> {
    for (const row of rows)
      this.minutes.set(JSON.stringify([row.cut, row.key, row.minuteStartMs, ...origin(row)]), row)
    return Promise.resolve()
  }

  putSessions(rows: readonly SessionRow[], positions: readonly PositionRow[]): Promise<void> {
    for (const row of positions)
      this.positions.set(
        JSON.stringify([row.sessionId, row.incarnation, row.rowNumber, ...origin(row)]),
        row,
      )
    for (const row of rows)
      this.sessions.set(JSON.stringify([row.sessionId, row.incarnation, ...origin(row)]), row)
    return Promise.resolve()
  }

  putPartitions(rows: readonly PartitionRow[]): Promise<void> {
    for (const row of rows) this.partitions.set(JSON.stringify(origin(row)), row)
    return Promise.resolve()
  }

  putRuleStates(rows: readonly RuleStateRow[]): Promise<void> {
    for (const row of rows) this.rules.set(JSON.stringify([row.view, row.ruleId]), row)
    return Promise.resolve()
  }

  deleteSession(view: string, sessionId: string): Promise<void> {
    for (const rows of [this.sessions, this.positions])
      for (const [key, row] of rows)
        if (row.view === view && row.sessionId === sessionId) rows.delete(key)
    return Promise.resolve()
  }

  deleteView(view: string): Promise<void> {
    for (const rows of [this.minutes, this.partitions, this.rules])
      for (const [key, row] of rows) if (row.view === view) rows.delete(key)
    return Promise.resolve()
  }

  async readMinutes(query: MinuteQuery): Promise<MinuteRow[]> {
    this.minuteQueries.push(query)
    await this.#fail()
    const rows = [...this.minutes.values()].filter(
      (row) =>
        row.view === query.view &&
        row.cut === query.cut &&
        row.minuteStartMs >= query.fromMs &&
        row.minuteStartMs < query.toMs &&
        (query.keys === undefined || query.keys.includes(row.key)),
    )
    if (rows.length > query.limit) throw speedErrors.create('SPEED_QUERY_TOO_LARGE')
    return rows
  }

  async readSession(view: string, sessionId: string): Promise<SessionRow[]> {
    await this.#fail()
    return [...this.sessions.values()].filter(
      (row) => row.view === view && row.sessionId === sessionId,
    )
  }

  async readSessions(
    view: string,
    { afterSessionId = '', limit }: SessionPage,
  ): Promise<SessionRow[]> {
    await this.#fail()
    const rows = [...this.sessions.values()].filter((row) => row.view === view)
    const ids = new Set(rows.map(({ sessionId }) => sessionId).toSorted())
    const page = [...ids].filter((id) => id > afterSessionId).slice(0, limit)
    return page.flatMap((id) => rows.filter(({ sessionId }) => sessionId === id))
  }

  async readPositions(session: SessionRow, fromRow: number, limit: number): Promise<PositionRow[]> {
    await this.#fail()
    return [...this.positions.values()]
      .filter(
        (row) =>
          row.sessionId === session.sessionId &&
          row.incarnation === session.incarnation &&
          JSON.stringify(origin(row)) === JSON.stringify(origin(session)) &&
          row.rowNumber >= fromRow,
      )
      .toSorted((a, b) => a.rowNumber - b.rowNumber)
      .slice(0, limit)
  }

  async readRecentSessions(view: string, limit: number): Promise<SessionRow[]> {
    await this.#fail()
    return [...this.sessions.values()]
      .filter((row) => row.view === view)
      .toSorted((a, b) => b.firstReceivedAtMs - a.firstReceivedAtMs)
      .slice(0, limit)
  }

  async readViewerSessions(query: ViewerQuery): Promise<SessionRow[]> {
    const { view, viewerPseudonym, fromMs, toMs, limit } = query
    const rows = await this.readRecentSessions(view, Number.MAX_SAFE_INTEGER)
    return rows
      .filter((row) => viewerOf(row) === viewerPseudonym)
      .filter(({ firstReceivedAtMs: atMs }) => atMs >= fromMs && atMs < toMs)
      .slice(0, limit)
  }

  async readPartitions(view: string): Promise<PartitionRow[]> {
    await this.#fail()
    return [...this.partitions.values()].filter((row) => row.view === view)
  }

  async readRuleStates(view: string): Promise<RuleStateRow[]> {
    await this.#fail()
    return [...this.rules.values()].filter((row) => row.view === view)
  }

  removeExpired(): Promise<number> {
    return Promise.resolve(0)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  #fail(): Promise<void> {
    return this.failure === undefined ? Promise.resolve() : Promise.reject(this.failure)
  }
}

/** The part of an event log that serving reads: single records, and how far a partition goes. */
export class MemoryEventLog {
  readonly #records = new Map<string, LogRecord>()
  readonly #ends = new Map<number, number>()

  put(record: LogRecord): void {
    this.#records.set(`${record.partition}@${record.offset}`, record)
    this.#ends.set(
      record.partition,
      Math.max(this.#ends.get(record.partition) ?? 0, record.offset + 1),
    )
  }

  /** Forgets records below `offset`, as retention does. */
  expire(partition: number, offset: number): void {
    for (const record of this.#records.values())
      if (record.partition === partition && record.offset < offset)
        this.#records.delete(`${record.partition}@${record.offset}`)
  }

  readAt(_topic: string, positions: readonly Position[]): Promise<(LogRecord | undefined)[]> {
    return Promise.resolve(
      positions.map(({ partition, offset }) => this.#records.get(`${partition}@${offset}`)),
    )
  }

  offsets(_topic: string, partition: number): Promise<{ start: number; end: number }> {
    return Promise.resolve({ start: 0, end: this.#ends.get(partition) ?? 0 })
  }

  /** As the port; what serving never calls is not there. */
  asEventLog(): EventLog {
    return this as unknown as EventLog
  }
}

export function aggregates(values: Partial<MinuteAggregates>): MinuteAggregates {
  return { ...EMPTY_AGGREGATES, ...values }
}

const row = {
  view: TEST_VIEW,
  topicEpoch: 0,
  partition: 0,
  generation: 0,
  stampUs: 1,
  lastOffset: 0,
  expiresAtMs: Number.MAX_SAFE_INTEGER,
}

export function minuteRow(
  values: Pick<MinuteRow, 'minuteStartMs'> &
    Partial<Omit<MinuteRow, 'aggregates'>> & { readonly aggregates?: Partial<MinuteAggregates> },
): MinuteRow {
  return {
    ...row,
    cut: 'total',
    key: '[]',
    ...values,
    aggregates: aggregates(values.aggregates ?? {}),
  }
}

/** A partition whose rows of both widths are in the store up to `watermarkMs`. */
export function partitionRow(
  watermarkMs: number,
  values: Partial<PartitionRow> = {},
): PartitionRow {
  return {
    ...row,
    appliedOffset: 1,
    narrowOffset: 1,
    wideOffset: 1,
    sessionOffset: 1,
    watermarkMs,
    lastLoggedAtMs: watermarkMs + 2_000,
    narrowWatermarkMs: watermarkMs,
    wideWatermarkMs: watermarkMs,
    generationStartMs: 0,
    ...values,
  }
}

function origin(of: {
  view: string
  topicEpoch: number
  partition: number
  generation: number
}): readonly (string | number)[] {
  return [of.view, of.topicEpoch, of.partition, of.generation]
}
