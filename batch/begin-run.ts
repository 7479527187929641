/** What everybody who works on a run begins with: where the last one ended, and what this one takes. */
import type { FoldLimits } from '../shared/qoe/fold.ts'
import { allTables } from '../shared/warehouse/tables.ts'
import type { Warehouse } from '../shared/warehouse/warehouse.ts'
import { type Control, dateOf, readControl } from './control.ts'
import { type Cut, type CutContext, type Range, readCut, readFitCut, takeCut } from './cut.ts'
import { LATE_RUNS_MAX } from './limits.ts'
import { type Manifest, readManifest } from './manifest.ts'
import { hasParts } from './parts.ts'
import type { BatchTelemetry } from './telemetry.ts'
import { removeUnnamedRawFiles } from './unnamed-files.ts'
import { nextRun } from './unfinished-run.ts'

/** The control rows, of tables that are made where they are missing. */
export async function beginControl(warehouse: Warehouse): Promise<Control> {
  await warehouse.ensureTables(allTables)
  const session = await warehouse.open()
  try {
    return await readControl(session)
  } finally {
    await session.close()
  }
}

export interface BeginContext extends Omit<CutContext, 'outOfOrdernessMs'> {
  readonly limits: FoldLimits
  readonly warehouse: Pick<Warehouse, 'open'>
  readonly telemetry: BatchTelemetry
  /** Throws when the run must not go on. */
  assertMayGoOn(): void
}

/** The cut of the run that comes next, if there is one. */
export async function findCut(
  context: Pick<CutContext, 'log' | 'objects'>,
  control: Control,
): Promise<Cut | undefined> {
  return readFitCut(context, await nextRun(context.objects, control), control)
}

/**
 * The cut of the run that comes next: the one there is, or a new one. The lease must be held. Before a new one
 * what nothing names goes of the runs before, lest its names and other bytes meet those of the new run.
 */
export async function beginCut(context: BeginContext, control: Control): Promise<Cut> {
  const { outOfOrdernessMs } = context.limits
  const run = await nextRun(context.objects, control)
  const cutContext = { ...context, outOfOrdernessMs }
  const begun = await readFitCut(context, run, control)
  if (begun !== undefined) return begun
  await removeLeftOver(context, { lastRun: control.lastRun, run })
  return takeCut(cutContext, run, control)
}

/** Raw files of the last run, and of those whose number is spent, that shards or a failure may have left. */
async function removeLeftOver(
  context: BeginContext,
  { lastRun, run }: { readonly lastRun: number; readonly run: number },
): Promise<void> {
  const { objects, telemetry } = context
  let fromMs = Infinity
  for (let over = Math.max(1, lastRun, run - LATE_RUNS_MAX); over < run; over += 1) {
    const cut = await readCut(objects, over)
    const manifest = await readManifest(objects, over)
    if (cut === undefined || manifest === undefined) continue
    const isWhole = manifest.ranges.length === cut.ranges.length
    if (isWhole && !(await hasParts(objects, over))) continue
    fromMs = Math.min(fromMs, ...cut.ranges.map((range) => sinceMs(manifest, range)))
  }
  if (fromMs === Infinity) return
  const removed = await removeUnnamedRawFiles(context, dateOf(fromMs))
  if (removed.length > 0) telemetry.unnamedRemoved(removed)
}

/**
 * Nothing of the range was appended before, epoch ms; 0 where a history begins that no file tells. What came
 * before a range that has files may be weeks old, in a topic of few records.
 */
function sinceMs({ files }: Manifest, { topic, partition, loggedAtMaxMs }: Range): number {
  const own = files.filter((file) => file.topic === topic && file.partition === partition)
  if (own.length === 0) return loggedAtMaxMs ?? 0
  return Math.min(...own.map(({ loggedAtMinMs }) => loggedAtMinMs))
}
