/** The queries of the API, each text as every one of them: refused by code, or within the limits. */
import { servingErrors } from '../../../serving/errors.ts'
import { DEFAULT_SERVING_LIMITS as limits } from '../../../serving/limits.ts'
import { parseQoeQuery, pinnedKeys, type QueryContext } from '../../../serving/qoe-query.ts'
import { parseSessionQuery } from '../../../serving/sessions.ts'
import { parseTopQuery } from '../../../serving/top.ts'
import { DEFAULT_CUT_IDS, DIMENSIONS, parseCut } from '../../../shared/qoe/cuts.ts'
import { RULE_METRICS } from '../../../shared/alerts/rule-metrics.ts'
import { assert } from '../../../shared/runtime/errors.ts'
import { codeOf, textOf, utf8, type FuzzTarget } from '../target.ts'

const context: QueryContext = {
  cuts: [...DEFAULT_CUT_IDS, 'cdn+player+country'].map(parseCut),
  limits,
  nowMs: 1_795_218_000_000,
}

/** Every key that a filter leaves is read by itself. */
const PINNED_KEYS_MAX = 2 ** limits.filtersMax

export const queryTarget: FuzzTarget = {
  name: 'query',
  seeds: [
    'by=cdn,player&where=country:DE&from=2026-01-31T20:00:00Z&to=2026-01-31T21:00:00Z&step=15m',
    'by=total&from=1795210000000&to=1795218000000&step=1h&series=5&window=2h',
    "where=cdn:a&where=cdn:b'%20OR%201=1--&where=player:%22;DROP%20TABLE%20events;",
    'metric=startupMsP95&by=cdn&order=asc&samples=10&limit=3&rest=true',
    'limit=10&cursor=5.7.0&incarnation=2',
    'from=0&to=99999999999999&step=1m',
  ].map(utf8),
  words: [
    ...'by= where= from= to= step= window= series= metric= order= limit= cursor= & %'.split(' '),
    ...DIMENSIONS,
    ...RULE_METRICS,
    ...`%00 %ff %27 %22 ; -- .. + %F0%9F%8E%AC 1m 1d 999999999999d T24:00:00Z __proto__`.split(' '),
  ],
  judge(bytes) {
    const text = textOf(bytes)
    return [
      verdictOf(() => {
        const query = parseQoeQuery(text, context)
        const { fromMs, toMs, stepMs, seriesMax } = query
        assert(fromMs < toMs && fromMs >= 0, `a range from ${fromMs} to ${toMs}`)
        assert((toMs - fromMs) / stepMs <= limits.bucketsPerSeriesMax, 'buckets within the limit')
        assert(seriesMax <= limits.seriesMax, 'series within the limit')
        assert((pinnedKeys(query)?.length ?? 0) <= PINNED_KEYS_MAX, 'keys within the limit')
        return `${query.cut.id} by ${query.by.length}`
      }),
      verdictOf(() => {
        const query = parseTopQuery(text, context)
        assert(query.limit <= limits.topItemsMax, 'items within the limit')
        return `${query.cut.id} ${query.metric} ${query.order}`
      }),
      verdictOf(() => {
        const { pageEvents, cursor } = parseSessionQuery('s', text, limits)
        assert(pageEvents <= limits.timelinePageEventsMax, 'a page within the limit')
        return cursor === undefined ? 'first page' : 'next page'
      }),
    ].join(' ')
  },
}

function verdictOf(parse: () => string): string {
  try {
    return parse()
  } catch (error) {
    return codeOf(error, servingErrors.catalogue)
  }
}
