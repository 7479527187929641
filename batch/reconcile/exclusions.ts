/**
 * What the live view did not apply, as far as the cut: `playback.exceptions`, from the table and,
 * beyond what runs have loaded of it, from the log.
 */
import type { EventLog } from '../../shared/log/event-log.ts'
import { decodeException } from '../../shared/log/exception-record.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import type { FoldException } from '../../shared/speed/rows.ts'
import { required, type ColumnSpec } from '../../shared/warehouse/table-spec.ts'
import type { Select, WarehouseSession } from '../../shared/warehouse/warehouse.ts'
import { scratchValues } from '../insert-values.ts'
import {
  RECONCILE_EXCEPTIONS_MAX,
  RECONCILE_FETCH_BYTES,
  RECONCILE_FETCH_RECORDS,
} from '../limits.ts'
import { readSql } from '../read-sql.ts'
import { batchErrors } from '../errors.ts'
import type { AsOf } from './as-of.ts'

/** Scratch table of the exclusions, in the columns that the facts ask for. */
const EXCLUSIONS = 'reconcile_exclusions'
const TAIL = 'reconcile_exceptions_of_log'
const CUTS = 'reconcile_cut_offsets'

export const EXCLUSIONS_SELECT: Select = {
  sql: `SELECT session_id, seq, log_partition, log_offset, accepted, seen, forgotten FROM ${EXCLUSIONS}`,
}

/** Sessions of which anything is excluded. */
export const EXCLUDED_SESSIONS: Select = { sql: readSql('reconcile/excluded-sessions') }

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

/** Makes the scratch table that `EXCLUSIONS_SELECT` reads. Throws `BATCH_RECONCILE_TOO_LARGE`. */
export async function scratchExclusions(
  session: WarehouseSession,
  log: EventLog,
  asOf: AsOf,
): Promise<Exclusions> {
  const tail = await readTail(log, asOf)
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
  await session.scratch(EXCLUSIONS, { sql: readSql('reconcile/exclusions') })
  const rows = await session.query(
    { sql: readSql('reconcile/exclusion-counts') },
    { maxRows: 100, timeoutMs: 60_000 },
  )
  const byReason = Object.fromEntries(
    rows.map((row) => [String(row['reason']), Number(row['copies'])]),
  )
  return { byReason, count: Object.values(byReason).reduce((sum, copies) => sum + copies, 0) }
}

async function readTail(log: EventLog, asOf: AsOf): Promise<FoldException[]> {
  const { partitions } = await log.describeTopic(TOPICS.exceptions)
  const found: FoldException[] = []
  for (let partition = 0; partition < partitions; partition++) {
    const { start, end } = await log.offsets(TOPICS.exceptions, partition)
    let fromOffset = Math.max(start, asOf.nextOffset(TOPICS.exceptions, partition))
    while (fromOffset < end) {
      const { records } = await log.read(TOPICS.exceptions, partition, {
        fromOffset,
        maxRecords: RECONCILE_FETCH_RECORDS,
        maxBytes: RECONCILE_FETCH_BYTES,
        waitMs: 0,
      })
      for (const { value } of records) {
        const exception = decodeException(value)
        if (exception !== undefined) found.push(exception)
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
