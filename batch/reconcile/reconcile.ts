/**
 * Proves that live and history agree: every minute of every cut and every session, as of the cut of
 * the last run, to the integer; what differs must follow from exactly the events that the live view
 * listed as set aside, or it is a defect.
 *
 *   as of the cut → exclusions → what still waits → compare minutes, sessions → explain → repair → report
 */
import type { EventLog } from '../../shared/log/event-log.ts'
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import type { Cut } from '../../shared/qoe/cuts.ts'
import { paneLifeOf, type FoldLimits } from '../../shared/qoe/fold.ts'
import type { Clock } from '../../shared/runtime/clock.ts'
import type { SpeedStore } from '../../shared/speed/speed-store.ts'
import { required } from '../../shared/warehouse/table-spec.ts'
import { utcDate } from '../../shared/warehouse/minute-rows.ts'
import {
  RECONCILE_SUMMARY_OBJECT,
  reconcileSummarySchema,
} from '../../shared/warehouse/reconcile-summary.ts'
import { textOf } from '../../shared/warehouse/row-values.ts'
import type { Warehouse, WarehouseSession } from '../../shared/warehouse/warehouse.ts'
import { scratchValues } from '../insert-values.ts'
import {
  QUERY_TIMEOUT_MS,
  RECONCILE_DIFFERENCES_MAX,
  RECONCILE_RANGE_MS,
  RECONCILE_ROWS_MAX,
  RECONCILE_TRIES,
  RECONCILE_TRY_AGAIN_MS,
} from '../limits.ts'
import { batchErrors } from '../errors.ts'
import { readSql } from '../read-sql.ts'
import { jsonBytes } from '../run-objects.ts'
import type { BatchTelemetry } from '../telemetry.ts'
import { readAsOf, type AsOf } from './as-of.ts'
import { scratchExceptions } from './exclusions.ts'
import { explain, type Unexplained } from './explain.ts'
import {
  compareMinutes,
  minuteIdsOf,
  wholeMinutes,
  type MinuteId,
  type MinuteTally,
  type TimeRange,
} from './minutes.ts'
import { repair } from './repair.ts'
import { reportOf, type ReconcileReport } from './report.ts'
import { compareSessions, type SessionTally } from './sessions.ts'

export interface ReconcileParts {
  readonly log: EventLog
  readonly speed: SpeedStore
  readonly warehouse: Warehouse
  readonly objects: ObjectStore
  readonly clock: Clock
  readonly telemetry: BatchTelemetry
  readonly limits: FoldLimits
  readonly cuts: readonly Cut[]
  readonly view: string
  readonly partitions: number
  readonly factBuckets: number
  readonly rowRetentionMs: number
}

export interface ReconcileRequest {
  /** Minutes compared; by default the last day before the watermark at the cut. */
  readonly fromMs?: number
  readonly toMs?: number
  readonly repair?: boolean
}

/**
 * Throws `BATCH_RECONCILE_NO_RUN` before the first run, `BATCH_RECONCILE_TOO_LARGE`, or what the
 * stores throw.
 */
export async function reconcile(
  parts: ReconcileParts,
  request: ReconcileRequest = {},
): Promise<ReconcileReport> {
  for (let attempt = 1; ; attempt++) {
    // An exception that is on its way to the log looks like a defect: the processor gets its time,
    // and nothing is repaired before.
    const isLast = attempt === RECONCILE_TRIES
    const report = await reconcileOnce(parts, isLast ? request : { ...request, repair: false })
    if (report.verdict !== 'defect' || isLast) {
      await keepReport(parts, report)
      parts.telemetry.reconciled(report)
      return report
    }
    await parts.clock.sleep(RECONCILE_TRY_AGAIN_MS)
  }
}

async function reconcileOnce(
  parts: ReconcileParts,
  request: ReconcileRequest,
): Promise<ReconcileReport> {
  const session = await parts.warehouse.open()
  try {
    const asOf = await readAsOf(session, { ...parts, paneLifeMs: paneLifeOf(parts.limits) })
    if (asOf === undefined)
      throw batchErrors.create('BATCH_RECONCILE_NO_RUN', {
        expected: 'a completed batch run',
        received: 'none',
      })
    return await reconcileAsOf(parts, { session, asOf, request })
  } finally {
    await session.close()
  }
}

interface Opened {
  readonly session: WarehouseSession
  readonly asOf: AsOf
  readonly request: ReconcileRequest
}

async function reconcileAsOf(
  parts: ReconcileParts,
  { session, asOf, request }: Opened,
): Promise<ReconcileReport> {
  const range = rangeOf(request, asOf)
  const exclusions = await scratchExceptions(session, parts, asOf)
  const waiting = await readWaiting(parts, session, asOf)
  const minutes = await compareAllMinutes(parts, { session, asOf, range, waiting })
  const sessions = await compareSessions(
    {
      ...parts,
      session,
      asOf,
      partsMax: parts.limits.partsPerSessionMax,
      waiting: waiting.sessions,
    },
    range,
  )
  refuseTooMany(minutes, sessions)
  const unexplained = await explain(
    session,
    { minutes: minutes.differences, sessions: sessions.differences },
    { facts: factsRequest(parts, asOf, range), partsMax: parts.limits.partsPerSessionMax },
  )
  return reportOf({
    run: asOf.run,
    view: parts.view,
    range,
    reconciledAtMs: parts.clock.nowMs(),
    minutes,
    sessions,
    unexplained,
    exceptions: exclusions.byReason,
    repaired: request.repair === true ? await repairAll(parts, asOf, unexplained) : undefined,
  })
}

function repairAll(parts: ReconcileParts, asOf: AsOf, unexplained: Unexplained) {
  return repair({ ...parts, asOf, paneLifeMs: paneLifeOf(parts.limits) }, unexplained)
}

function rangeOf({ fromMs, toMs }: ReconcileRequest, { watermarkMs }: AsOf): TimeRange {
  const endMs = toMs ?? watermarkMs
  return wholeMinutes({ fromMs: fromMs ?? Math.max(0, endMs - RECONCILE_RANGE_MS), toMs: endMs })
}

function factsRequest(parts: ReconcileParts, asOf: AsOf, { fromMs }: TimeRange) {
  // What arrived up to the longest age before may have its session time in the range.
  const { maxAgeMs, sessionTimeoutMs, sessionKeepMs } = parts.limits
  const earliestMs = Math.max(0, fromMs - maxAgeMs - sessionTimeoutMs - sessionKeepMs)
  return {
    run: asOf.run,
    fromDate: utcDate(earliestMs),
    limits: parts.limits,
    cuts: parts.cuts,
    watermarks: asOf.watermarks,
    bucketCount: parts.factBuckets,
  }
}

interface Waiting {
  readonly sessions: ReadonlySet<string>
  readonly minutes: ReadonlySet<string>
}

async function readWaiting(
  { cuts, limits }: ReconcileParts,
  session: WarehouseSession,
  asOf: AsOf,
): Promise<Waiting> {
  await scratchValues(session, {
    scratch: 'reconcile_watermarks',
    columns: [
      required('log_partition', 'INT64', 'Partition.'),
      required('watermark_ms', 'INT64', 'Watermark at the cut.'),
    ],
    rows: asOf.watermarks.map(({ partition, watermarkMs }) => ({
      log_partition: partition,
      watermark_ms: watermarkMs,
    })),
  })
  const fromMs = Math.max(0, asOf.watermarkMs - limits.sessionTimeoutMs - limits.sessionKeepMs)
  await session.scratch('reconcile_waiting', {
    sql: readSql('reconcile/waiting-sessions'),
    parameters: { from_date: utcDate(fromMs), reorder_ms: limits.reorderMs },
  })
  const queryLimits = { maxRows: RECONCILE_ROWS_MAX, timeoutMs: QUERY_TIMEOUT_MS }
  const sessions = await session.query(
    { sql: 'SELECT DISTINCT session_id FROM reconcile_waiting' },
    queryLimits,
  )
  const minutes = await session.query({ sql: readSql('reconcile/waiting-minutes') }, queryLimits)
  return {
    sessions: new Set(sessions.map((row) => textOf(row, 'session_id') ?? '')),
    minutes: new Set(minutes.flatMap((row) => minuteIdsOf(row, cuts).map(nameOf))),
  }
}

function nameOf({ cut, key, minuteMs }: MinuteId): string {
  return `${cut}|${key}|${minuteMs}`
}

async function compareAllMinutes(
  { speed, view, cuts }: ReconcileParts,
  of: {
    readonly session: WarehouseSession
    readonly asOf: AsOf
    readonly range: TimeRange
    readonly waiting: Waiting
  },
): Promise<MinuteTally> {
  const { session, asOf, range, waiting } = of
  const isWaiting = (id: MinuteId) => waiting.minutes.has(nameOf(id))
  const all: MinuteTally = { compared: 0, equal: 0, pending: 0, differences: [] }
  for (const cut of cuts) {
    const tally = await compareMinutes({ session, speed, view, asOf, isWaiting }, cut, range)
    all.compared += tally.compared
    all.equal += tally.equal
    all.pending += tally.pending
    for (const difference of tally.differences) all.differences.push(difference)
  }
  return all
}

function refuseTooMany(minutes: MinuteTally, sessions: SessionTally): void {
  const differences = minutes.differences.length + sessions.differences.length
  if (differences <= RECONCILE_DIFFERENCES_MAX) return
  throw batchErrors.create('BATCH_RECONCILE_TOO_LARGE', {
    expected: `at most ${RECONCILE_DIFFERENCES_MAX} rows that differ`,
    received: `${differences}`,
  })
}

/** The newest verdict is one object that is replaced; every report is kept beside its run. */
async function keepReport({ objects }: ReconcileParts, report: ReconcileReport): Promise<void> {
  const summary = reconcileSummarySchema.parse(report)
  await putObject(objects, `batch/reconcile/${report.run}-${report.reconciledAtMs}.json`, report)
  await putObject(objects, RECONCILE_SUMMARY_OBJECT, summary)
}

async function putObject(objects: ObjectStore, name: string, value: object): Promise<void> {
  const earlier = await objects.stat(name)
  await objects.replace(name, jsonBytes(value), earlier?.generation ?? 0)
}
