/**
 * What a compaction is about to do, as an object that stands while it does it. Its joined files are in
 * no ledger until all of a day are there, and its old files are in force until then; after a kill both
 * are settled by this object: what the ledger does not name is deleted, be it the new or the old.
 */
import { z } from 'zod'
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import { type Failpoints, noFailpoints } from '../../shared/runtime/failpoints.ts'
import type { WarehouseSession } from '../../shared/warehouse/warehouse.ts'
import { COMPACTION_NAME } from '../object-names.ts'
import { readLedger } from '../raw-archive.ts'
import { createOnce, jsonBytes, readJsonObject } from '../run-objects.ts'
import type { DayOfJoins } from './plan.ts'

const planSchema = z.object({
  format: z.literal(1),
  day: z.string(),
  joins: z.array(z.object({ name: z.string(), parts: z.array(z.string()) })),
})

/** Before the first joined file is written. */
export function keepPlan(objects: ObjectStore, { day, joins }: DayOfJoins): Promise<void> {
  const plan: z.infer<typeof planSchema> = {
    format: 1,
    day,
    joins: joins.map(({ name, parts }) => ({ name, parts: parts.map(({ file }) => file) })),
  }
  return createOnce(objects, COMPACTION_NAME, jsonBytes(plan))
}

/**
 * Ends what the plan began, if one stands. The lease of the batch must be held, and the session be
 * younger than it.
 */
export async function settleCompaction(
  objects: ObjectStore,
  session: WarehouseSession,
  { failpoints, assertMayGoOn }: Settling = { failpoints: noFailpoints },
): Promise<void> {
  const plan = await readJsonObject(objects, COMPACTION_NAME, planSchema)
  if (plan === undefined) return
  const ofDay = { sql: 'file LIKE @of_day', parameters: { of_day: `%/dt=${plan.day}/%` } }
  const inForce = new Set((await readLedger(session, ofDay)).map(({ file }) => file))
  for (const { name, parts } of plan.joins)
    for (const file of [name, ...parts]) {
      if (inForce.has(file)) continue
      assertMayGoOn?.()
      await objects.delete(file)
      await failpoints.hit('compact.afterSomeDeletions')
    }
  await objects.delete(COMPACTION_NAME)
}

interface Settling {
  readonly failpoints: Failpoints
  /** Throws when the work must not go on. */
  assertMayGoOn?(): void
}
