/**
 * Deletes what a view has beside its sessions. A view that is dropped never comes back, so whole
 * Cassandra partitions go, at a stamp above every one of theirs and within their time window.
 */
import { types } from 'cassandra-driver'
import { HOUR_MS, hourOf, keyBuckets } from './cassandra-rows.ts'
import type { CassandraStatements } from './cassandra-statements.ts'
import type { RowWrite } from './cassandra-write-lane.ts'
import type { ViewMinutes } from './speed-store.ts'

const DELETE_MINUTES = `DELETE FROM minutes USING TIMESTAMP ?
  WHERE view_id = ? AND cut = ? AND key_bucket = ? AND hour_ms = ?`
const TABLES = [
  { table: 'partitions', column: 'progress' },
  { table: 'rule_states', column: 'state' },
] as const

/** Rows of one hour are stamped by their minute, and by how many records their pane has seen. */
const MINUTE_STAMP_MARGIN_MS = 24 * HOUR_MS

export async function deleteViewRows(
  statements: CassandraStatements,
  view: string,
  { cuts, fromMs, toMs }: ViewMinutes,
): Promise<void> {
  // By the class whose batches do not wait for more: there are some thousand hours, one after another.
  for (let hourMs = hourOf(fromMs); hourMs < toMs; hourMs += HOUR_MS)
    await statements.write(
      'session',
      cuts.flatMap((cut) => minuteDeletions(view, cut, hourMs)),
    )
  for (const { table, column } of TABLES) {
    const highest = `SELECT MAX(WRITETIME(${column})) AS stamp_us FROM ${table} WHERE view_id = ?`
    const [found] = (await statements.readPage(highest, [view])).rows
    const stamp: unknown = found?.['stamp_us']
    if (stamp === null || stamp === undefined) continue
    await statements.write('narrow', [
      {
        partition: `${table}\n${view}`,
        query: `DELETE FROM ${table} USING TIMESTAMP ? WHERE view_id = ?`,
        params: [stamp, view],
        bytes: 0,
      },
    ])
  }
}

function minuteDeletions(view: string, cut: string, hourMs: number): RowWrite[] {
  const stamp = types.Long.fromNumber((hourMs + MINUTE_STAMP_MARGIN_MS) * 1_000)
  return Array.from({ length: keyBuckets(cut) }, (_, bucket) => ({
    partition: `minutes\n${view}\n${cut}\n${bucket}\n${hourMs}`,
    query: DELETE_MINUTES,
    params: [stamp, view, cut, bucket, hourMs],
    bytes: 0,
  }))
}
