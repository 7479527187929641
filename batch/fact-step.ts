/** The fifth step: the metrics of every session and minute that the run touched, by SQL. */
import type { Cut } from '../shared/qoe/cuts.ts'
import type { FoldLimits } from '../shared/qoe/fold.ts'
import type { Failpoints } from '../shared/runtime/failpoints.ts'
import type { Warehouse } from '../shared/warehouse/warehouse.ts'
import type { BatchConfig } from './config.ts'
import { beginContent, finishContent, type ContentOfRun } from './content-facts.ts'
import { dateOf, type PartitionWatermark } from './control.ts'
import { computeHistory, replaceFacts, type ReplacedFacts } from './facts.ts'

export interface FactStepContext {
  readonly warehouse: Warehouse
  readonly config: BatchConfig
  readonly limits: FoldLimits
  readonly cuts: readonly Cut[]
  /** Content metadata as it is now; what the history holds of it stays when absent. */
  readonly content?: ContentOfRun | undefined
  /** Off when absent. */
  readonly failpoints?: Failpoints
}

export interface FactsOfRun {
  readonly run: number
  /** UTC days of the arrival of what the run loaded, ascending. */
  readonly dates: readonly string[]
  readonly watermarks: readonly PartitionWatermark[]
  /** What the names of its jobs begin with. */
  readonly jobs: string
}

export async function computeFacts(
  context: FactStepContext,
  of: FactsOfRun,
): Promise<ReplacedFacts> {
  const { warehouse, config, limits, cuts, content, failpoints } = context
  const { run, dates, watermarks, jobs } = of
  if (watermarks.length === 0) return { sessionDates: [] }
  const lastMs = Math.max(...watermarks.map(({ watermarkMs }) => watermarkMs))
  const session = await warehouse.open()
  try {
    const changed = content && (await beginContent(session, content, of))
    await computeHistory(session, {
      run,
      fromDate: dates[0] ?? dateOf(lastMs),
      limits,
      cuts,
      watermarks,
      bucketCount: config.factBuckets,
      ...(changed === undefined ? {} : { content: changed.select }),
    })
    const replaced = await replaceFacts(session, `${jobs}-facts`, failpoints)
    if (changed !== undefined) await finishContent(session, changed)
    return replaced
  } finally {
    await session.close()
  }
}
