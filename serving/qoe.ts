/** `GET /v1/qoe`: one question over live and history. */
import type { QoeResponse } from './api-schemas.ts'
import { freshnessOf } from './freshness.ts'
import type { MinuteRange, QoeQuery, Selection } from './qoe-query.ts'
import { openMoment, readMinutes, type Reading, type ReadingContext } from './reading.ts'
import { groupKeys, toSeries, type BucketFacts } from './series.ts'

export async function answerQoe(query: QoeQuery, context: ReadingContext): Promise<QoeResponse> {
  const { limits, clock } = context
  const reading = await readOnce(query, query, context)
  const facts = bucketFacts(query, reading, context)
  return {
    from: new Date(query.fromMs).toISOString(),
    to: new Date(query.toMs).toISOString(),
    fromMs: query.fromMs,
    toMs: query.toMs,
    stepMs: query.stepMs,
    by: [...query.by],
    ...freshnessOf(query.cut, reading, clock.nowMs(), limits),
    series: groupKeys(reading.minutes, query, query.seriesMax).map((group) =>
      toSeries(group, query, query.stepMs, facts),
    ),
  }
}

/** One reading as of a moment of its own. */
export async function readOnce(
  selection: Selection,
  range: MinuteRange & { readonly stepMs: number },
  context: ReadingContext,
): Promise<Reading> {
  const patience = { timeoutMs: context.limits.historyTimeoutMs, waitsForSnapshot: true }
  const moment = await openMoment(range, patience, context)
  try {
    return await readMinutes(selection, range, moment, context)
  } finally {
    moment.release()
  }
}

export function bucketFacts(
  selection: Selection,
  reading: Pick<Reading, 'sideOf'>,
  context: Pick<ReadingContext, 'limits' | 'paneLifeMs'>,
): BucketFacts {
  return {
    sideOf: reading.sideOf,
    paneLifeMs: context.paneLifeMs,
    limits: context.limits,
    viewersCounted: selection.cut.viewers,
  }
}
