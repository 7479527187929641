import type { DecodedRecord } from '../../shared/log/record.ts'
import type { Cut } from '../../shared/qoe/cuts.ts'
import type { FoldLimits } from '../../shared/qoe/fold.ts'
import { tables } from '../../shared/warehouse/tables.ts'
import type { Warehouse } from '../../shared/warehouse/warehouse.ts'
import { compareHistoryFacts } from './compare-history.ts'
import { readFacts } from './facts-run.ts'
import { historyOf } from './history-reference.ts'

export interface WholeLog {
  /** All records of each partition, as an independent reader gives them. */
  readonly partitions: ReadonlyMap<number, readonly DecodedRecord[]>
  readonly limits: FoldLimits
  readonly cuts: readonly Cut[]
}

/** What the sessions and minutes of a warehouse say otherwise than the oracle does of the log, one a line. */
export async function historyDifferences(
  warehouse: Warehouse,
  { partitions, limits, cuts }: WholeLog,
): Promise<string[]> {
  const logs = [...partitions].map(([partition, records]) => ({ partition, records }))
  const session = await warehouse.open()
  try {
    const facts = await readFacts(session, tables.sessions.name, tables.qoeMinute.name)
    return compareHistoryFacts(facts, historyOf({ limits, logs }, cuts))
  } finally {
    await session.close()
  }
}
