/** `GET /v1/qoe`: one question over live and history. */
import { MINUTE_MS } from '../shared/qoe/aggregates.ts'
import type { QoeResponse } from './api-schemas.ts'
import { freshnessOf } from './freshness.ts'
import { contentStateOf, type MinuteRange, type QoeQuery, type Selection } from './qoe-query.ts'
import { openMoment, readMinutes, type Reading, type ReadingContext } from './reading.ts'
import { groupKeys, toSeries, type BucketFacts } from './series.ts'

export async function answerQoe(query: QoeQuery, context: ReadingContext): Promise<QoeResponse> {
  const { limits, clock } = context
  const reading = await readOnce(query, minutesNeeded(query), context)
  const facts = bucketFacts(query, reading, context)
  return {
    from: new Date(query.fromMs).toISOString(),
    to: new Date(query.toMs).toISOString(),
    fromMs: query.fromMs,
    toMs: query.toMs,
    stepMs: query.stepMs,
    windowMs: query.windowMs,
    by: [...query.by],
    ...freshnessOf(query.cut, reading, clock.nowMs(), limits),
    ...contentStateOf(query),
    series: groupKeys(reading.minutes, query, query.seriesMax).map((group) =>
      toSeries(group, query, facts),
    ),
  }
}

/** A window also covers minutes before the range, and may cover both sides of the boundary. */
function minutesNeeded(query: QoeQuery): MinuteRange & { readonly stepMs: number } {
  const { fromMs, toMs, stepMs, windowMs } = query
  if (windowMs === stepMs) return { fromMs, toMs, stepMs }
  return { fromMs: Math.max(0, fromMs + stepMs - windowMs), toMs, stepMs: MINUTE_MS }
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
  reading: Pick<Reading, 'sidesOf'>,
  context: Pick<ReadingContext, 'limits' | 'paneLifeMs'>,
): BucketFacts {
  return {
    sidesOf: reading.sidesOf,
    paneLifeMs: context.paneLifeMs,
    limits: context.limits,
    viewersCounted: selection.cut.viewers,
  }
}
