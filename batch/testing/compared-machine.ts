/** A machine with both sides of one log, for tests of what compares them. */
import { createPseudonymiser } from '../../shared/events/identity.ts'
import { partitionOf } from '../../shared/log/partitioner.ts'
import {
  encodeFrameRecord,
  encodeTick,
  FRAME_SCHEMA,
  type DecodedRecord,
} from '../../shared/log/record.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import { DEFAULT_CUT_IDS, parseCut } from '../../shared/qoe/cuts.ts'
import { DEFAULT_FOLD_LIMITS } from '../../shared/qoe/fold.ts'
import type { ManualClock } from '../../shared/runtime/clock.ts'
import { createTelemetryBase } from '../../shared/runtime/telemetry.ts'
import type { MinuteRow, SessionRow } from '../../shared/speed/rows.ts'
import { utcDate } from '../../shared/warehouse/minute-rows.ts'
import type { TableSpec } from '../../shared/warehouse/table-spec.ts'
import { tables } from '../../shared/warehouse/tables.ts'
import { deliver, ROUGH_DELIVERY, type DeliveredFrame } from '../../loadtest/simulator/delivery.ts'
import { simulateAudience } from '../../loadtest/simulator/simulate-audience.ts'
import { reconcile, type ReconcileParts, type ReconcileRequest } from '../reconcile/reconcile.ts'
import type { ReconcileReport } from '../reconcile/report.ts'
import { createBatchTelemetry } from '../telemetry.ts'
import { BatchMachine, PARTITIONS } from './batch-machine.ts'
import { ImpatientClock } from './impatient-clock.ts'
import { LIVE_VIEW, LiveSide, ROW_RETENTION_MS } from './live-side.ts'

export const AUDIENCE_SESSIONS = 25
const START_MS = 1_800_000_000_000
const HOUR_MS = 60 * 60_000
const cuts = DEFAULT_CUT_IDS.map(parseCut)
const limits = DEFAULT_FOLD_LIMITS

export const pseudonymiser = createPseudonymiser([{ keyId: 'test', key: Buffer.alloc(32, 7) }])

export interface AudienceRequest {
  readonly seed: number
  /** Whether devices are offline for hours, so that the live view sets events aside. */
  readonly late?: boolean
}

interface AlteredRow {
  readonly table: TableSpec
  /** Column by which the rows are replaced, and its value in them. */
  readonly scope: string
  readonly value: string | number
  /** Condition of those of the rows that are altered. */
  readonly onlyIf: string
  /** UTC day of the partition that they are in. */
  readonly date: string
}

export const partitionOfSession = ({ sessionId }: Pick<DeliveredFrame, 'sessionId'>) =>
  partitionOf(sessionId, PARTITIONS)

export class ComparedMachine {
  readonly machine: BatchMachine
  readonly live: LiveSide
  readonly clock: ManualClock

  private constructor(machine: BatchMachine, live: LiveSide, clock: ManualClock) {
    this.machine = machine
    this.live = live
    this.clock = clock
  }

  /** `alter` changes what the live side sees of a record: a seeded defect. */
  static async open(alter?: (record: DecodedRecord) => DecodedRecord): Promise<ComparedMachine> {
    const clock = new ImpatientClock(START_MS)
    const machine = await BatchMachine.open({ clock })
    const live = await LiveSide.open({
      folder: machine.folder,
      log: machine.ports.log,
      clock,
      partitions: PARTITIONS,
      limits,
      cuts,
      ...(alter === undefined ? {} : { alter }),
    })
    return new ComparedMachine(machine, live, clock)
  }

  get parts(): ReconcileParts {
    return {
      ...this.machine.ports,
      speed: this.live.speed,
      clock: this.clock,
      telemetry: createBatchTelemetry(createTelemetryBase('silent')),
      limits,
      cuts,
      view: LIVE_VIEW,
      partitions: PARTITIONS,
      factBuckets: 2,
      rowRetentionMs: ROW_RETENTION_MS,
      leaseMs: 60_000,
      holder: 'test',
    }
  }

  reconcile(request: ReconcileRequest = {}): Promise<ReconcileReport> {
    return reconcile(this.parts, request)
  }

  /** An hour of an audience, and time until everything has closed and every pane is beyond its life. */
  async watch(request: AudienceRequest): Promise<void> {
    await this.append(this.audience(request))
    await this.passTime()
  }

  audience({ seed, late = false }: AudienceRequest): DeliveredFrame[] {
    const { sessions } = simulateAudience({
      seed,
      sessions: AUDIENCE_SESSIONS,
      startAtMs: this.clock.nowMs(),
      arrivalSpanMs: HOUR_MS,
    })
    return deliver(sessions, {
      ...ROUGH_DELIVERY,
      offlineChance: late ? 0.5 : 0.1,
      offlineMaxMs: late ? 6 * HOUR_MS : 10 * 60_000,
    })
  }

  /** Appends each frame when its time has come; its partition is that of its session, if none is said. */
  async append(
    frames: readonly DeliveredFrame[],
    partitionFor: (frame: DeliveredFrame) => number = partitionOfSession,
  ): Promise<void> {
    for (const frame of frames) {
      await this.clock.advance(Math.max(0, frame.arrivedAtMs - this.clock.nowMs()))
      const { viewerId, ...context } = frame.context
      const viewerPseudonym =
        viewerId === undefined ? {} : { viewerPseudonym: pseudonymiser.pseudonym(viewerId) }
      const value = encodeFrameRecord({
        contextJson: Buffer.from(JSON.stringify({ ...context, ...viewerPseudonym })),
        sentAtMs: frame.sentAtMs,
        receivedAtMs: frame.arrivedAtMs,
        rejectedSeqs: [],
        events: frame.events.map((event) => Buffer.from(JSON.stringify(event))),
      })
      const partition = partitionFor(frame)
      const record = { key: frame.sessionId, value, headers: { schema: FRAME_SCHEMA } }
      await this.machine.ports.log.append(TOPICS.events, partition, [record])
    }
  }

  async passTime(): Promise<void> {
    await this.clock.advance(8 * HOUR_MS)
    for (let partition = 0; partition < PARTITIONS; partition++)
      await this.machine.ports.log.append(TOPICS.events, partition, [encodeTick()])
  }

  /** Folds what the log holds, and loads it by one run of the batch. */
  async catchUp(): Promise<void> {
    await this.live.catchUp()
    await this.machine.run({ settings: { BATCH_RAW_FILE_BYTES: '4194304' } })
  }

  /** The row of the busiest minute that somebody watched, of those that `matches`. */
  async watchedMinute(
    cut: string,
    matches: (row: MinuteRow) => boolean = () => true,
  ): Promise<MinuteRow> {
    const rows = await this.live.speed.readMinutes({
      view: LIVE_VIEW,
      cut,
      fromMs: START_MS,
      toMs: START_MS + 2 * HOUR_MS,
      limit: 100_000,
    })
    const [row] = rows
      .filter((one) => one.aggregates.watchedMs > 0 && matches(one))
      .toSorted((a, b) => b.aggregates.events - a.aggregates.events)
    if (row === undefined) throw new Error('there is a minute that somebody watched')
    return row
  }

  /** Adds to what `qoe_minute` says was watched in a minute of a CDN; resolves with what takes it back. */
  async alterHistory({ minuteStartMs, key }: MinuteRow): Promise<() => Promise<void>> {
    const [cdn] = JSON.parse(key) as string[]
    return this.#alterWatched({
      table: tables.qoeMinute,
      scope: 'minute_ms',
      value: minuteStartMs,
      onlyIf: `cut = 'cdn' AND cdn = '${cdn}'`,
      date: utcDate(minuteStartMs),
    })
  }

  /** Adds to what `sessions` says was watched in the first part of a session; resolves with what takes it back. */
  async alterSession({ sessionId, incarnation }: SessionRow): Promise<() => Promise<void>> {
    const table = tables.sessions
    const onlyIf = `incarnation = ${incarnation} AND part = 0`
    const [row] = await this.machine.query(
      `SELECT CAST(start_date AS STRING) AS day
      FROM ${table.name}
      WHERE session_id = '${sessionId}' AND ${onlyIf}`,
    )
    return this.#alterWatched({
      table,
      scope: 'session_id',
      value: sessionId,
      onlyIf,
      date: String(row?.['day']),
    })
  }

  async #alterWatched({ table, scope, value, onlyIf, date }: AlteredRow) {
    const add = async (ms: number) => {
      const session = await this.machine.ports.warehouse.open()
      const columns = table.columns.map(({ name }) =>
        name === 'watched_ms' ? `watched_ms + IF(${onlyIf}, ${ms}, 0) AS watched_ms` : name,
      )
      const parameters = { value, date }
      const from = `FROM ${table.name}
        WHERE ${scope} = @value AND ${table.partitionColumn} = CAST(@date AS DATE)`
      try {
        await session.replaceRows({
          table: table.name,
          select: { sql: `SELECT ${columns.join(', ')} ${from}`, parameters },
          scope: [scope],
          scopeSelect: { sql: `SELECT DISTINCT ${scope} ${from}`, parameters },
          dates: [date],
          jobId: `alter-${table.name}-${value}-${ms}`,
        })
      } finally {
        await session.close()
      }
    }
    await add(1)
    return () => add(-1)
  }

  async sessions(): Promise<SessionRow[]> {
    const rows = await this.live.speed.readSessions(LIVE_VIEW, { limit: 10_000 })
    return rows.filter(({ parts }) => parts.length > 0)
  }

  async close(): Promise<void> {
    await this.live.close()
    await this.machine.close()
  }
}
