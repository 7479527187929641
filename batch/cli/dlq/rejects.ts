/** Every reject that is still held: older ones from raw files, the others from the log. */
import type { EventLog } from '../../../shared/log/event-log.ts'
import { decodeReject, type RejectRecord } from '../../../shared/log/reject-record.ts'
import { TOPICS } from '../../../shared/log/topics.ts'
import type { ObjectStore } from '../../../shared/objects/object-store.ts'
import { BackhaulError } from '../../../shared/runtime/errors.ts'
import type { Warehouse } from '../../../shared/warehouse/warehouse.ts'
import { archivedRecords, readLedger } from '../../raw-archive.ts'
import { cliErrors } from '../errors.ts'
import { FETCH_BYTES, FETCH_RECORDS, REJECTS_MAX } from '../limits.ts'

export interface HeldReject {
  readonly partition: number
  readonly offset: number
  readonly reject: RejectRecord
}

export interface RejectFilter {
  /** Codes of the errors; empty: all. */
  readonly codes: readonly string[]
  /** Earliest arrival, epoch ms. */
  readonly sinceMs: number
}

export interface RejectSources {
  readonly log: EventLog
  readonly objects: ObjectStore
  readonly warehouse: Warehouse
}

interface Record {
  readonly partition: number
  readonly offset: number
  readonly value: Uint8Array
}

/** By partition, oldest first; throws `CLI_RANGE_TOO_LARGE` beyond `REJECTS_MAX`. */
export async function* readRejects(
  sources: RejectSources,
  filter: RejectFilter,
): AsyncGenerator<HeldReject> {
  let found = 0
  const { partitions } = await sources.log.describeTopic(TOPICS.rejects)
  for (let partition = 0; partition < partitions; partition += 1)
    for await (const record of recordsOf(sources, partition)) {
      const reject = readReject(record)
      if (reject === undefined || !isWanted(reject, filter)) continue
      if ((found += 1) > REJECTS_MAX)
        throw cliErrors.create('CLI_RANGE_TOO_LARGE', {
          expected: `at most ${REJECTS_MAX} rejects`,
          received: 'more',
        })
      yield { partition: record.partition, offset: record.offset, reject }
    }
}

async function* recordsOf(
  { log, objects, warehouse }: RejectSources,
  partition: number,
): AsyncGenerator<Record> {
  const { start, end } = await log.offsets(TOPICS.rejects, partition)
  const session = await warehouse.open()
  try {
    const archived = await readLedger(session, {
      sql: 'topic = @topic AND log_partition = @partition AND first_offset < @start',
      parameters: { topic: TOPICS.rejects, partition, start },
    })
    for (const entry of archived)
      for await (const record of archivedRecords({ objects, warehouse }, entry))
        if (record.offset < start) yield record
  } finally {
    await session.close()
  }
  for (let fromOffset = start; fromOffset < end;) {
    const { records } = await log.read(TOPICS.rejects, partition, {
      fromOffset,
      maxRecords: FETCH_RECORDS,
      maxBytes: FETCH_BYTES,
      waitMs: 0,
    })
    const last = records.at(-1)
    if (last === undefined) return
    yield* records
    fromOffset = last.offset + 1
  }
}

/** What another producer wrote is no reject. */
function readReject({ value }: Record): RejectRecord | undefined {
  try {
    return decodeReject(value)
  } catch (error) {
    if (error instanceof BackhaulError) return undefined
    throw error
  }
}

function isWanted(reject: RejectRecord, { codes, sinceMs }: RejectFilter): boolean {
  return reject.receivedAtMs >= sinceMs && (codes.length === 0 || codes.includes(reject.code))
}
