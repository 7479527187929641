/** What everybody who works on a run begins with: where the last one ended, and what this one takes. */
import type { FoldLimits } from '../shared/qoe/fold.ts'
import { allTables } from '../shared/warehouse/tables.ts'
import type { Warehouse } from '../shared/warehouse/warehouse.ts'
import { type Control, readControl } from './control.ts'
import { type Cut, type CutContext, readFitCut, takeCut } from './cut.ts'
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
}

/** The cut of the run that comes next, if there is one. */
export async function findCut(
  context: Pick<CutContext, 'log' | 'objects'>,
  control: Control,
): Promise<Cut | undefined> {
  return readFitCut(context, await nextRun(context.objects, control), control)
}

/** The cut of the run that comes next: the one there is, or a new one. The lease must be held. */
export async function beginCut(context: BeginContext, control: Control): Promise<Cut> {
  const { outOfOrdernessMs } = context.limits
  const run = await nextRun(context.objects, control)
  return takeCut({ ...context, outOfOrdernessMs }, run, control)
}
