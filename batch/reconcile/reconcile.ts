/**
 * Proves that live and history agree: every minute of every cut and every session, as of the cut of
 * the last run, to the integer; what differs must follow from exactly the events that the live view
 * listed as set aside, or from exactly those of viewers who were erased since, or it is a defect.
 *
 *   as of the cut → exclusions → what still waits → compare minutes, sessions → explain by exceptions,
 *   by erasures → repair → report
 */
import type { EventLog } from '../../shared/log/event-log.ts'
import { acquireLease, isHeld, type Lease } from '../../shared/objects/lease.ts'
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import type { Cut } from '../../shared/qoe/cuts.ts'
import { MINUTE_MS } from '../../shared/qoe/aggregates.ts'
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
import { oneRow } from '../facts.ts'
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
import { LEASE_NAME } from '../object-names.ts'
import { readSql } from '../read-sql.ts'
import { jsonBytes } from '../run-objects.ts'
import type { BatchTelemetry } from '../telemetry.ts'
import { readAsOf, type AsOf } from './as-of.ts'
import { scratchExceptions } from './exclusions.ts'
import { explain, type Unexplained } from './explain.ts'
import { explainErased } from './explain-erased.ts'
import {
  compareMinutes,
  minuteIdsOf,
  wholeMinutes,
  type MinuteId,
  type MinuteTally,
  type TimeRange,
} from './minutes.ts'
import { readLate, type LateCopies } from './late.ts'
import { readMoved } from './moved.ts'
import { repair, type Repaired } from './repair.ts'
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
  /** Of the lease under which a repair writes, ms. */
  readonly leaseMs: number
  /** Who repairs; shown to whoever is refused meanwhile. */
  readonly holder: string
  /** Ends a repair before its next write. */
  readonly signal?: AbortSignal
  /** Minutes of all cuts; how many sessions there are, nobody knows before. */
  onProgress?(what: 'minutes' | 'sessions', done?: number, total?: number): void
}

export interface ReconcileRequest {
  /** Minutes compared; by default the last day before the watermark at the cut. */
  readonly fromMs?: number
  readonly toMs?: number
  readonly repair?: boolean
}

/**
 * A repair holds the lease of the batch from beginning to end, so that the facts it writes from stay
 * as they are. Throws `LEASE_HELD` when it cannot have it, `BATCH_RECONCILE_NO_RUN` before the first
 * run, `BATCH_RECONCILE_TOO_LARGE`, or what the stores throw.
 */
export async function reconcile(
  parts: ReconcileParts,
  { repair: isRepair = false, ...range }: ReconcileRequest = {},
): Promise<ReconcileReport> {
  if (!isRepair) return reconcileUntilSure(parts, range, undefined)
  const { objects, holder, leaseMs: durationMs, clock } = parts
  const lease = await acquireLease(objects, { name: LEASE_NAME, holder, durationMs, clock })
  try {
    return await reconcileUntilSure(parts, range, lease)
  } finally {
    await lease.release()
  }
}

interface Asked extends Omit<ReconcileRequest, 'repair'> {
  /** The lease of the batch, where it is held to repair defects. */
  readonly lease: Lease | undefined
  /** Whether what differs is a defect now, and is repaired under the lease. */
  readonly isLast: boolean
}

async function reconcileUntilSure(
  parts: ReconcileParts,
  range: Omit<ReconcileRequest, 'repair'>,
  lease: Lease | undefined,
): Promise<ReconcileReport> {
  for (let attempt = 1; ; attempt++) {
    // An exception that is on its way to the log looks like a defect: the processor gets its time,
    // and nothing is repaired before.
    const isLast = attempt === RECONCILE_TRIES
    const report = await reconcileOnce(parts, { ...range, lease, isLast })
    if (report.verdict !== 'defect' || isLast) {
      await keepReport(parts, report)
      parts.telemetry.reconciled(report)
      return report
    }
    await parts.clock.sleep(RECONCILE_TRY_AGAIN_MS)
  }
}

async function reconcileOnce(parts: ReconcileParts, asked: Asked): Promise<ReconcileReport> {
  const session = await parts.warehouse.open()
  try {
    const asOf = await readAsOf(session, { ...parts, paneLifeMs: paneLifeOf(parts.limits) })
    if (asOf === undefined)
      throw batchErrors.create('BATCH_RECONCILE_NO_RUN', {
        expected: 'a completed batch run',
        received: 'none',
      })
    return await reconcileAsOf(parts, { session, asOf, asked })
  } finally {
    await session.close()
  }
}

interface Opened {
  readonly session: WarehouseSession
  readonly asOf: AsOf
  readonly asked: Asked
}

async function reconcileAsOf(
  parts: ReconcileParts,
  { session, asOf, asked }: Opened,
): Promise<ReconcileReport> {
  const { partsPerSessionMax: partsMax, maxAgeMs } = parts.limits
  const expiredBeforeMs = parts.clock.nowMs() - parts.rowRetentionMs
  const range = rangeOf(asked, asOf, expiredBeforeMs)
  const exclusions = await scratchExceptions(session, parts, asOf)
  const waiting = await readWaiting(parts, session, asOf)
  const late = await readLate(session, asOf.run)
  const minutes = await compareAllMinutes(parts, { session, asOf, range, waiting })
  parts.onProgress?.('sessions')
  const sessions = await compareSessions(
    {
      ...parts,
      session,
      asOf,
      partsMax,
      maxAgeMs,
      expiredBeforeMs,
      waiting: new Set([...waiting.sessions, ...(late?.restored.sessions ?? [])]),
    },
    // What was logged up to the cut is compared, and what came after it is pending.
    { fromMs: asked.fromMs ?? range.fromMs, toMs: asked.toMs ?? Number.MAX_SAFE_INTEGER },
  )
  refuseTooMany(minutes, sessions)
  const differences = { minutes: minutes.differences, sessions: sessions.differences }
  const historyMoves = asked.lease === undefined && (await isHeld(parts, LEASE_NAME))
  const facts = await factsRequest(parts, session, { asOf, range, late })
  const isEqual = differences.minutes.length + differences.sessions.length === 0
  const moved = isEqual ? undefined : await readMoved(session, facts.fromDate)
  const request = {
    facts,
    partsMax,
    historyMoves,
    owesMinutes: late?.isBeingSettled === true,
    ...(late === undefined ? {} : { restored: late.restored }),
    ...(moved === undefined ? {} : { moved }),
  }
  const unexplained = await explain(session, differences, request)
  const judged = await explainErased(session, unexplained, { ...parts, asOf, explain: request })
  return reportOf({
    run: asOf.run,
    view: parts.view,
    range,
    reconciledAtMs: parts.clock.nowMs(),
    minutes,
    sessions,
    judged,
    exceptions: exclusions.byReason,
    late,
    moved: moved?.sessions,
    repaired: await repairAll(parts, { session, asOf, asked }, judged.defects),
  })
}

async function repairAll(
  parts: ReconcileParts,
  { session, asOf, asked: { lease, isLast } }: Opened,
  defects: Unexplained,
): Promise<Repaired | undefined> {
  if (lease === undefined || !isLast) return undefined
  return repair(
    {
      ...parts,
      session,
      asOf,
      partsMax: parts.limits.partsPerSessionMax,
      paneLifeMs: paneLifeOf(parts.limits),
      assertMayWrite: () => {
        lease.assertHeld()
        parts.signal?.throwIfAborted()
      },
    },
    defects,
  )
}

/** Minutes whose live rows have expired are not looked at. */
function rangeOf(
  { fromMs, toMs }: Asked,
  { watermarkMs }: AsOf,
  expiredBeforeMs: number,
): TimeRange {
  const endMs = toMs ?? watermarkMs
  const beginMs = fromMs ?? endMs - RECONCILE_RANGE_MS
  return wholeMinutes({ fromMs: Math.max(0, beginMs, expiredBeforeMs), toMs: endMs })
}

interface Explained {
  readonly asOf: AsOf
  readonly range: TimeRange
  readonly late: LateCopies | undefined
}

async function factsRequest(
  parts: ReconcileParts,
  session: WarehouseSession,
  { asOf, range: { fromMs }, late }: Explained,
) {
  // What arrived up to the longest age before may have its session time in the range.
  const { maxAgeMs, sessionTimeoutMs, sessionKeepMs } = parts.limits
  const earliestMs = Math.max(0, fromMs - maxAgeMs - sessionTimeoutMs - sessionKeepMs)
  const [excluded] = await session.query(
    { sql: readSql('reconcile/explained-from-date'), parameters: { from_ms: earliestMs } },
    oneRow,
  )
  // What is computed again is computed from all that there is of its sessions.
  const days = [utcDate(earliestMs), late?.fromDate, textOf(excluded ?? {}, 'from_date')]
  return {
    run: asOf.run,
    fromDate: days.flatMap((day) => day ?? []).toSorted()[0] ?? '',
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
  { speed, view, cuts, onProgress }: ReconcileParts,
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
  const minutesTo = (ms: number) => (ms - range.fromMs) / MINUTE_MS
  const ofCut = minutesTo(range.toMs)
  for (const [index, cut] of cuts.entries()) {
    const onWindow = (toMs: number) =>
      onProgress?.('minutes', index * ofCut + minutesTo(toMs), cuts.length * ofCut)
    const parts = { session, speed, view, asOf, isWaiting, onWindow }
    const tally = await compareMinutes(parts, cut, range)
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
