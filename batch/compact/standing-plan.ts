/**
 * What a compaction is about to do, as an object that stands until it is done. Whoever finds one goes
 * on with it: a try that was cut off is never taken back, only finished. So nobody deletes what another
 * may bring into force meanwhile, though a compaction that has lost its lease, or was stopped for hours,
 * goes on from any step beside a newer one:
 *
 *   - a joined file is written with the same bytes by both;
 *   - the ledger changes for one of them, the other one's session is older than that and is refused;
 *   - what is deleted are files that the ledger says are replaced, which none is ever again in force;
 *   - the plan goes by its generation, so that a newer one stays.
 */
import { z } from 'zod'
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import type { Failpoints } from '../../shared/runtime/failpoints.ts'
import type { WarehouseSession } from '../../shared/warehouse/warehouse.ts'
import { inParallel } from '../in-parallel.ts'
import { COMPACTION_NAME } from '../object-names.ts'
import { type LedgerEntry, readWholeLedger } from '../raw-archive.ts'
import { createOnce, jsonBytes, readJsonObject } from '../run-objects.ts'
import { type Joined, supersedeParts } from './ledger.ts'
import type { DayOfJoins, Join } from './plan.ts'
import { writeJoined } from './write-joined.ts'

const planSchema = z.object({
  format: z.literal(1),
  day: z.string(),
  joins: z.array(z.object({ name: z.string(), parts: z.array(z.string()) })),
})
type StandingPlan = z.infer<typeof planSchema>

/** Before the first joined file is written. */
export function keepPlan(objects: ObjectStore, { day, joins }: DayOfJoins): Promise<void> {
  const plan: StandingPlan = {
    format: 1,
    day,
    joins: joins.map(({ name, parts }) => ({ name, parts: parts.map(({ file }) => file) })),
  }
  return createOnce(objects, COMPACTION_NAME, jsonBytes(plan))
}

/** Whether a plan stands, of whoever has kept it. */
export async function isCompacting(objects: ObjectStore): Promise<boolean> {
  return (await objects.stat(COMPACTION_NAME)) !== undefined
}

export interface FinishParts {
  readonly objects: ObjectStore
  readonly failpoints: Failpoints
  /** Joined files that are written at a time. */
  readonly atOnce: number
  /** Throws when the work must not go on. */
  assertMayGoOn(): void
}

/**
 * Does what is left of the plan, if one stands; resolves with the files that it has brought into force.
 * The lease of the batch must be held, and the session be younger than it and than the plan.
 */
export async function finishCompaction(
  parts: FinishParts,
  session: WarehouseSession,
): Promise<readonly Joined[]> {
  const { objects, failpoints, atOnce, assertMayGoOn } = parts
  const generation = (await objects.stat(COMPACTION_NAME))?.generation
  const plan = await readJsonObject(objects, COMPACTION_NAME, planSchema)
  if (plan === undefined) return []
  const joins = joinsLeft(plan, await ledgerOf(session, plan))
  const joined = await inParallel(joins, atOnce, async (join) => {
    assertMayGoOn()
    const written = await writeJoined(objects, join)
    await failpoints.hit('compact.afterSomeFiles')
    return written
  })
  assertMayGoOn()
  if (joined.length > 0) await supersedeParts(session, joined)
  await failpoints.hit('compact.afterLedger')
  await deleteReplaced(parts, plan, await ledgerOf(session, plan))
  await objects.delete(COMPACTION_NAME, generation)
  return joined
}

/** Of a ledger whose rows of the day are read, those that are in force and those that are not. */
interface LedgerOfDay {
  readonly present: ReadonlyMap<string, LedgerEntry>
  readonly replaced: ReadonlySet<string>
}

async function ledgerOf(session: WarehouseSession, { day }: StandingPlan): Promise<LedgerOfDay> {
  const entries = await readWholeLedger(session, {
    sql: 'file LIKE @of_day',
    parameters: { of_day: `%/dt=${day}/%` },
  })
  const present = entries.filter(({ supersededBy }) => supersededBy === null)
  const replaced = entries.filter(({ supersededBy }) => supersededBy !== null)
  return {
    present: new Map(present.map((entry) => [entry.file, entry])),
    replaced: new Set(replaced.map(({ file }) => file)),
  }
}

/**
 * Joins that the ledger does not have yet. Those of a plan that somebody kept long after it was made may
 * be of files that were replaced since: they are dropped.
 */
function joinsLeft({ joins }: StandingPlan, { present, replaced }: LedgerOfDay): Join[] {
  return joins.flatMap(({ name, parts }) => {
    if (present.has(name) || replaced.has(name)) return []
    const entries = parts.flatMap((part) => present.get(part) ?? [])
    return entries.length === parts.length ? [{ name, parts: entries }] : []
  })
}

async function deleteReplaced(
  { objects, failpoints, assertMayGoOn }: FinishParts,
  { joins }: StandingPlan,
  { present, replaced }: LedgerOfDay,
): Promise<void> {
  for (const part of joins.flatMap(({ parts }) => parts)) {
    if (present.has(part) || !replaced.has(part)) continue
    assertMayGoOn()
    await objects.delete(part)
    await failpoints.hit('compact.afterSomeDeletions')
  }
}
