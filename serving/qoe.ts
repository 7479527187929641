/** `GET /v1/qoe`: one question over live and history. */
import type { Clock } from '../shared/runtime/clock.ts'
import { assert } from '../shared/runtime/errors.ts'
import type { QoeResponse } from './api-schemas.ts'
import { splitAtBoundary } from './boundary.ts'
import { freshnessOf } from './freshness.ts'
import type { PartitionProgress } from './generations.ts'
import type { ServingLimits } from './limits.ts'
import type { MinuteReader } from './minute-reader.ts'
import { pinnedKeys, type MinuteRange, type QoeQuery, type Selection } from './qoe-query.ts'
import type { MergedMinutes } from './row-merge.ts'
import { groupKeys, toSeries, type BucketFacts } from './series.ts'

export interface QoeContext {
  readonly reader: MinuteReader
  readonly limits: ServingLimits
  readonly clock: Clock
  readonly paneLifeMs: number
  /** End of what the batch has completed, or `undefined` while none has. */
  readonly batchBoundaryMs: () => number | undefined
}

const NO_MINUTES: MergedMinutes = new Map()

export async function answerQoe(query: QoeQuery, context: QoeContext): Promise<QoeResponse> {
  const { reader, limits, clock } = context
  const progress = await reader.readProgress()
  const split = splitAtBoundary(query, query.stepMs, context.batchBoundaryMs())
  assert(split.history === undefined, 'a batch boundary needs a history reader')
  const minutes =
    split.speed === undefined
      ? NO_MINUTES
      : await readSelection(query, split.speed, reader, progress)
  const facts = bucketFacts(query, progress, context)
  return {
    from: new Date(query.fromMs).toISOString(),
    to: new Date(query.toMs).toISOString(),
    fromMs: query.fromMs,
    toMs: query.toMs,
    stepMs: query.stepMs,
    by: [...query.by],
    ...freshnessOf(query.cut, progress, clock.nowMs(), limits),
    series: groupKeys(minutes, query, query.seriesMax).map((group) =>
      toSeries(group, query, query.stepMs, facts),
    ),
  }
}

/** Reads the minutes a selection needs: single keys where the filter names them all. */
export function readSelection(
  selection: Selection,
  range: MinuteRange,
  reader: MinuteReader,
  progress: PartitionProgress,
): Promise<MergedMinutes> {
  const keys = selection.cut.dimensions.length === 0 ? undefined : pinnedKeys(selection)
  return reader.readMinutes(
    { cut: selection.cut, ...range, ...(keys === undefined ? {} : { keys }) },
    progress,
  )
}

export function bucketFacts(
  selection: Selection,
  progress: PartitionProgress,
  context: Pick<QoeContext, 'limits' | 'paneLifeMs'>,
): BucketFacts {
  return {
    source: 'speed',
    asOfMs: progress.asOfMs(selection.cut.width),
    paneLifeMs: context.paneLifeMs,
    limits: context.limits,
    viewersCounted: selection.cut.viewers,
  }
}
