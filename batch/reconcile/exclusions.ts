/**
 * What the live view did not apply, as far as the cut: `playback.exceptions`, from the table and,
 * beyond what runs have loaded of it, from the log.
 */
import type { EventLog } from '../../shared/log/event-log.ts'
import { decodeException } from '../../shared/log/exception-record.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import type { FoldException } from '../../shared/speed/rows.ts'
import { required, type ColumnSpec } from '../../shared/warehouse/table-spec.ts'
import type { WarehouseSession } from '../../shared/warehouse/warehouse.ts'
import { EXCEPTIONS_SCRATCH } from '../facts.ts'
import { scratchValues } from '../insert-values.ts'
import {
  QUERY_TIMEOUT_MS,
  RECONCILE_EXCEPTIONS_MAX,
  RECONCILE_FETCH_BYTES,
  RECONCILE_FETCH_RECORDS,
} from '../limits.ts'
import { readSql } from '../read-sql.ts'
import { batchErrors } from '../errors.ts'
import type { AsOf } from './as-of.ts'

/** More reasons than there are. */
const REASONS_MAX = 100
const TAIL = 'reconcile_exceptions_of_log'
const CUTS = 'reconcile_cut_offsets'

/** Sessions of which anything is excluded. */
export const EXCLUDED_SESSIONS = readSql('reconcile/excluded-sessions')

const TAIL_COLUMNS: readonly ColumnSpec[] = [
  required('session_id', 'STRING', 'The session.'),
  required('seq', 'INT64', 'The event’s place in the session.'),
  required('reason', 'STRING', 'Why it was not applied.'),
  required('type', 'STRING', 'Type of the event, or rejected.'),
  required('forgotten', 'BOOL', 'Whether the fold no longer knew of it.'),
  required('source_partition', 'INT64', 'Partition of the copy.'),
  required('source_offset', 'INT64', 'Offset of the copy.'),
]

export interface Exclusions {
  /** Excluded copies by reason. */
  readonly byReason: Readonly<Record<string, number>>
  readonly count: number
}

export interface ExclusionsParts {
  readonly log: EventLog
  readonly view: string
  /** Sessions whose exceptions are in no table any more: they are read from the log's start on. */
  readonly erased?: ReadonlySet<string>
}

/** Makes the scratch table that `computeExplained` reads. Throws `BATCH_RECONCILE_TOO_LARGE`. */
export async function scratchExceptions(
  session: WarehouseSession,
  parts: ExclusionsParts,
  asOf: AsOf,
): Promise<Exclusions> {
  const { view } = parts
  const tail = await readExceptions(parts, asOf)
  await scratchValues(session, {
    scratch: TAIL,
    columns: TAIL_COLUMNS,
    rows: tail.map(({ sessionId, seq, reason, type, forgotten, partition, offset }) => ({
      session_id: sessionId,
      seq,
      reason,
      type,
      forgotten,
      source_partition: partition,
      source_offset: offset,
    })),
  })
  await scratchValues(session, {
    scratch: CUTS,
    columns: [
      required('log_partition', 'INT64', 'Partition.'),
      required('next_offset', 'INT64', 'Offset after the cut.'),
    ],
    rows: asOf.watermarks.map(({ partition }) => ({
      log_partition: partition,
      next_offset: asOf.nextOffset(TOPICS.events, partition),
    })),
  })
  await session.scratch(EXCEPTIONS_SCRATCH, {
    sql: readSql('reconcile/exceptions'),
    parameters: { view },
  })
  const rows = await session.query(
    { sql: readSql('reconcile/exception-counts') },
    { maxRows: REASONS_MAX, timeoutMs: QUERY_TIMEOUT_MS },
  )
  const byReason = Object.fromEntries(
    rows.map((row) => [String(row['reason']), Number(row['copies'])]),
  )
  return { byReason, count: Object.values(byReason).reduce((sum, copies) => sum + copies, 0) }
}

/** Those that no table holds. */
async function readExceptions(
  { log, view, erased }: ExclusionsParts,
  asOf: AsOf,
): Promise<FoldException[]> {
  const { partitions } = await log.describeTopic(TOPICS.exceptions)
  const found: FoldException[] = []
  for (let partition = 0; partition < partitions; partition++) {
    const { start, end } = await log.offsets(TOPICS.exceptions, partition)
    const tailOffset = asOf.nextOffset(TOPICS.exceptions, partition)
    let fromOffset = erased === undefined ? Math.max(start, tailOffset) : start
    while (fromOffset < end) {
      const { records } = await log.read(TOPICS.exceptions, partition, {
        fromOffset,
        maxRecords: RECONCILE_FETCH_RECORDS,
        maxBytes: RECONCILE_FETCH_BYTES,
        waitMs: 0,
      })
      for (const { offset, value, headers } of records) {
        const exception = decodeException(value)
        if (exception === undefined || (headers['view'] ?? view) !== view) continue
        if (offset >= tailOffset || erased?.has(exception.sessionId)) found.push(exception)
      }
      if (found.length > RECONCILE_EXCEPTIONS_MAX)
        throw batchErrors.create('BATCH_RECONCILE_TOO_LARGE', {
          expected: `at most ${RECONCILE_EXCEPTIONS_MAX} exceptions beyond the last run`,
          received: 'more',
        })
      fromOffset = (records.at(-1)?.offset ?? end) + 1
    }
  }
  return found
}
