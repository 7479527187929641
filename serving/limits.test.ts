import { expect, it } from 'vitest'
import { assertServingLimits, DEFAULT_SERVING_LIMITS, type ServingLimits } from './limits.ts'

const check = (limits: Partial<ServingLimits>) => () =>
  assertServingLimits({ ...DEFAULT_SERVING_LIMITS, ...limits })

it('the default limits hang together', () => {
  expect(check({})).not.toThrow()
})

it.each<[string, Partial<ServingLimits>, Partial<ServingLimits>]>([
  ['a positive integer', { filtersMax: 1 }, { filtersMax: 0 }],
  ['a positive integer', { seriesMax: 20 }, { seriesMax: 20.5 }],
  ['seriesDefault ≤ seriesMax', { seriesMax: 20 }, { seriesMax: 19 }],
  ['topItemsDefault ≤ topItemsMax', { topItemsMax: 10 }, { topItemsMax: 9 }],
  [
    'recentSessionsDefault ≤ recentSessionsMax',
    { recentSessionsMax: 50 },
    { recentSessionsMax: 49 },
  ],
  [
    'viewerSessionsDefault ≤ viewerSessionsMax',
    { viewerSessionsMax: 50 },
    { viewerSessionsMax: 49 },
  ],
  [
    'viewerSessionsMax + viewerSessionsAtOnceMax ≤ historyRowsPerQueryMax',
    { viewerSessionsAtOnceMax: 49_800 },
    { viewerSessionsAtOnceMax: 49_801 },
  ],
  [
    'timelinePageEventsDefault ≤ timelinePageEventsMax',
    { timelinePageEventsMax: 500 },
    { timelinePageEventsMax: 499 },
  ],
  ['windowMaxMs ≤ rangeMaxMs', { rangeMaxMs: 86_400_000 }, { rangeMaxMs: 86_399_999 }],
  [
    'bucketsPerSeriesMax ≤ slidingBucketsMax',
    { slidingBucketsMax: 1_500 },
    { slidingBucketsMax: 1_499 },
  ],
  ['lowSampleBelow ≤ topSamplesMax', { topSamplesMax: 25 }, { topSamplesMax: 24 }],
  ['liveNewestMinutes ≤ liveMinutesMax', { liveMinutesMax: 3 }, { liveMinutesMax: 2 }],
  [
    'liveSubscriptionsPerConnectionMax ≤ liveMessagesPerPollMax',
    { liveMessagesPerPollMax: 16 },
    { liveMessagesPerPollMax: 15 },
  ],
  ['livePollMs ≤ liveFullReadMs', { liveFullReadMs: 1_000 }, { liveFullReadMs: 999 }],
  ['liveMinutesMax ≤ bucketsPerSeriesMax', { liveMinutesMax: 1_500 }, { liveMinutesMax: 1_501 }],
  ['liveIdleTimeoutMs', { liveIdleTimeoutMs: 8_000 }, { liveIdleTimeoutMs: 7_999 }],
  ['liveIdleTimeoutMs', { liveIdleTimeoutMs: 960_000 }, { liveIdleTimeoutMs: 960_001 }],
])('limits must keep to %s', (rule, kept, broken) => {
  expect(check(kept)).not.toThrow()
  expect(check(broken)).toThrow(rule)
})
