/**
 * Bounds of the serving API. Each has a unit in its name; `assertServingLimits` states how they
 * hang together and is called at start.
 */
import { assert } from '../shared/runtime/errors.ts'

/** How often serving on its own looks whether a processor has begun a view. */
export const VIEW_LOOK_MS = 1_000

export interface ServingLimits {
  /** Longest range of one query. Rows live 90 days in the speed store. */
  readonly rangeMaxMs: number
  /** Buckets of one series; 1,500 hold a day by the minute. */
  readonly bucketsPerSeriesMax: number
  /** Longest window that slides over the steps of a query. */
  readonly windowMaxMs: number
  /** Buckets of all series of one answer with such a window, each of which merges anew. */
  readonly slidingBucketsMax: number
  /** Series of one answer; further keys are summed into the series marked `other`. */
  readonly seriesMax: number
  /** Series of one answer when the query names no number. */
  readonly seriesDefault: number
  /** Rows one query may read from the speed store. */
  readonly rowsPerQueryMax: number
  /** Length of a query, without the question mark. */
  readonly queryMaxChars: number
  /** `where` conditions of one query. */
  readonly filtersMax: number
  /** Length of one `where` condition. */
  readonly filterMaxChars: number
  /** Keys of one answer of `/v1/top`. */
  readonly topItemsMax: number
  /** Keys of one answer of `/v1/top` when the query names no number. */
  readonly topItemsDefault: number
  /** Largest number of samples that a query of `/v1/top` may demand of a key. */
  readonly topSamplesMax: number
  /** Sessions of one answer of `/v1/sessions`. */
  readonly recentSessionsMax: number
  /** Sessions of one answer of `/v1/sessions` when the query names no number. */
  readonly recentSessionsDefault: number
  /** Sessions of one page of `/v1/viewers/{pseudonym}/sessions`. */
  readonly viewerSessionsMax: number
  /** Sessions of such a page when the query names no number. */
  readonly viewerSessionsDefault: number
  /** Sessions of one viewer that began in one millisecond and are paged through. */
  readonly viewerSessionsAtOnceMax: number
  /** Events of one page of a timeline. */
  readonly timelinePageEventsMax: number
  /** Events of one page of a timeline when the query names no number. */
  readonly timelinePageEventsDefault: number
  /** Frames of a session that are read to label its timeline; later ones are not shown. */
  readonly timelineFramesMax: number
  /** Labelled timelines kept for paging. */
  readonly timelineCacheSessionsMax: number
  /** Events of all labelled timelines kept for paging. */
  readonly timelineCacheEventsMax: number
  /** Rows of closed minutes kept in memory, and one for each minute. */
  readonly closedMinuteRowsMax: number
  /** A repair may restate a closed minute: it is seen after this time at the latest. */
  readonly closedMinuteTtlMs: number
  /** Queries worked on at a time; beyond, 503. */
  readonly requestsInFlightMax: number
  /** How long a query may take; then it is answered 503. */
  readonly requestTimeoutMs: number
  /** History queries that run at a time; further ones wait. */
  readonly historyQueriesInFlightMax: number
  /** History queries that wait; beyond, the answer is made of what the live side has. */
  readonly historyQueriesWaitingMax: number
  /** How long an answer waits for the history before it is made of what the live side has. */
  readonly historyTimeoutMs: number
  /** The same for the live feed, whose subscribers all wait for one poll. */
  readonly liveHistoryTimeoutMs: number
  /** How often a newer batch run is looked for, in the background. */
  readonly historyRefreshMs: number
  /** Age at which a snapshot that was not looked after must be confirmed before it is used. */
  readonly historySnapshotMaxAgeMs: number
  /** Age at which a snapshot is opened anew without a newer run: its files are not kept for ever. */
  readonly historySnapshotLifeMs: number
  /** How long a warehouse that failed is left alone. */
  readonly historyRetryMs: number
  /** Rows one query may read from the history. */
  readonly historyRowsPerQueryMax: number
  /** Rows of the history's minutes kept in memory, and one for each minute. */
  readonly historyMinuteRowsMax: number
  /** Parts of a session id that are read from the history. */
  readonly historyPartsMax: number
  /** Events of a session that are read from the history for its timeline; later ones are not shown. */
  readonly historyTimelineEventsMax: number
  /** Live connections; beyond, 503. */
  readonly liveConnectionsMax: number
  /** Subscriptions of one live connection. */
  readonly liveSubscriptionsPerConnectionMax: number
  /** Length of the id that a client gives a subscription. */
  readonly liveSubscriptionIdMaxChars: number
  /** Dimensions that one live subscription is split by. */
  readonly liveDimensionsMax: number
  /** Distinct subscriptions over all connections. */
  readonly liveChannelsMax: number
  /** Longest window of a live subscription. */
  readonly liveMinutesMax: number
  /** Largest message of a live client; one that sends more is closed. */
  readonly liveMessageMaxBytes: number
  /** Messages of one client between two polls. */
  readonly liveMessagesPerPollMax: number
  /** Bytes waiting in one connection above which it is not sent to. */
  readonly liveBufferedMaxBytes: number
  /** How long a connection may stay above that before it is closed. */
  readonly liveBehindMaxMs: number
  /** How often the store is read for the live subscriptions. */
  readonly livePollMs: number
  /** Newest minutes read at every poll; older ones change rarely and are read every `liveFullReadMs`. */
  readonly liveNewestMinutes: number
  /** How often the whole window of a live subscription is read. */
  readonly liveFullReadMs: number
  /** How long a live connection may answer nothing, not even a ping, before it is closed. */
  readonly liveIdleTimeoutMs: number
  /** Alerts that wait while the open ones are read for a live client; beyond, it is closed. */
  readonly liveAlertsWaitingMax: number
  /** Open alerts of one answer of `/v1/alerts`. */
  readonly alertsOpenMax: number
  /** Resolved alerts of one answer of `/v1/alerts`. */
  readonly alertsResolvedMax: number
  /** Ids of alerts that the live feed knows again. */
  readonly alertIdsMax: number
  /** Alerts of one read of a partition of their topic. */
  readonly alertsPerReadMax: number
  /** Bytes of such a read. */
  readonly alertReadMaxBytes: number
  /** How long such a read waits for the next alert. */
  readonly alertFeedWaitMs: number
  /** Pause after one that failed. */
  readonly alertFeedRetryMs: number
  /** Longest heartbeat interval of a player: an instant is complete once it is this far behind. */
  readonly heartbeatIntervalMs: number
  /** Age of a narrow cut's rows from which an answer says `stale`. */
  readonly narrowStaleAfterMs: number
  /** The same for wide cuts, whose rows are written less often. */
  readonly wideStaleAfterMs: number
  /** Age of content metadata, beyond the interval at which it is looked for, from which it is stale. */
  readonly contentStaleAfterMs: number
  /** How often playback is looked at for the metrics of the process. */
  readonly observeEveryMs: number
  /** How often a newer run is looked for, for them, though nobody asks for the history. */
  readonly observeHistoryEveryMs: number
  /** CDNs that these metrics name, those with most events; the others are one. */
  readonly observedCdnsMax: number
  /** Attempts or plays below which ratios are marked `lowSample`. */
  readonly lowSampleBelow: number
}

/** Shortest and longest idle timeout that the WebSocket server takes; others end the process. */
const SOCKET_IDLE_TIMEOUT_MS = { min: 8_000, max: 960_000 } as const

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

export const DEFAULT_SERVING_LIMITS: ServingLimits = {
  rangeMaxMs: 31 * DAY_MS,
  bucketsPerSeriesMax: 1_500,
  windowMaxMs: DAY_MS,
  slidingBucketsMax: 3_000,
  seriesMax: 100,
  seriesDefault: 20,
  rowsPerQueryMax: 500_000,
  queryMaxChars: 4_096,
  filtersMax: 16,
  filterMaxChars: 256,
  topItemsMax: 100,
  topItemsDefault: 10,
  topSamplesMax: 1_000_000,
  recentSessionsMax: 200,
  recentSessionsDefault: 50,
  viewerSessionsMax: 200,
  viewerSessionsDefault: 50,
  viewerSessionsAtOnceMax: 800,
  timelinePageEventsMax: 2_000,
  timelinePageEventsDefault: 500,
  timelineFramesMax: 16_384,
  timelineCacheSessionsMax: 32,
  timelineCacheEventsMax: 200_000,
  closedMinuteRowsMax: 200_000,
  closedMinuteTtlMs: 5 * MINUTE_MS,
  requestsInFlightMax: 64,
  requestTimeoutMs: 15_000,
  historyQueriesInFlightMax: 4,
  historyQueriesWaitingMax: 64,
  historyTimeoutMs: 5_000,
  liveHistoryTimeoutMs: 1_000,
  historyRefreshMs: 5_000,
  historySnapshotMaxAgeMs: 60_000,
  historySnapshotLifeMs: 5 * MINUTE_MS,
  historyRetryMs: 2_000,
  historyRowsPerQueryMax: 50_000,
  historyMinuteRowsMax: 100_000,
  historyPartsMax: 1_000,
  historyTimelineEventsMax: 20_000,
  liveConnectionsMax: 256,
  liveSubscriptionsPerConnectionMax: 16,
  liveSubscriptionIdMaxChars: 64,
  liveDimensionsMax: 8,
  liveChannelsMax: 256,
  liveMinutesMax: 120,
  liveMessageMaxBytes: 4_096,
  liveMessagesPerPollMax: 64,
  liveBufferedMaxBytes: 4 * 2 ** 20,
  liveBehindMaxMs: 30_000,
  livePollMs: 1_000,
  liveNewestMinutes: 3,
  liveFullReadMs: 30_000,
  liveIdleTimeoutMs: 120_000,
  liveAlertsWaitingMax: 256,
  alertsOpenMax: 500,
  alertsResolvedMax: 100,
  alertIdsMax: 10_000,
  alertsPerReadMax: 256,
  alertReadMaxBytes: 2 ** 20,
  alertFeedWaitMs: 5_000,
  alertFeedRetryMs: 1_000,
  heartbeatIntervalMs: 30_000,
  narrowStaleAfterMs: 20_000,
  wideStaleAfterMs: 60_000,
  contentStaleAfterMs: 60_000,
  observeEveryMs: 15_000,
  observeHistoryEveryMs: 5 * MINUTE_MS,
  observedCdnsMax: 20,
  lowSampleBelow: 25,
}

export function assertServingLimits(limits: ServingLimits): void {
  for (const [name, value] of Object.entries(limits))
    assert(Number.isSafeInteger(value) && value > 0, `${name} is a positive integer`)
  assert(limits.windowMaxMs <= limits.rangeMaxMs, 'windowMaxMs ≤ rangeMaxMs')
  assert(
    limits.bucketsPerSeriesMax <= limits.slidingBucketsMax,
    'bucketsPerSeriesMax ≤ slidingBucketsMax',
  )
  assert(limits.seriesDefault <= limits.seriesMax, 'seriesDefault ≤ seriesMax')
  assert(
    limits.recentSessionsDefault <= limits.recentSessionsMax,
    'recentSessionsDefault ≤ recentSessionsMax',
  )
  assert(
    limits.viewerSessionsDefault <= limits.viewerSessionsMax,
    'viewerSessionsDefault ≤ viewerSessionsMax',
  )
  assert(
    limits.viewerSessionsMax + limits.viewerSessionsAtOnceMax <= limits.historyRowsPerQueryMax,
    'viewerSessionsMax + viewerSessionsAtOnceMax ≤ historyRowsPerQueryMax',
  )
  assert(limits.topItemsDefault <= limits.topItemsMax, 'topItemsDefault ≤ topItemsMax')
  assert(limits.observedCdnsMax <= limits.seriesMax, 'observedCdnsMax ≤ seriesMax')
  assert(limits.lowSampleBelow <= limits.topSamplesMax, 'lowSampleBelow ≤ topSamplesMax')
  assert(
    limits.timelinePageEventsDefault <= limits.timelinePageEventsMax,
    'timelinePageEventsDefault ≤ timelinePageEventsMax',
  )
  assert(limits.liveNewestMinutes <= limits.liveMinutesMax, 'liveNewestMinutes ≤ liveMinutesMax')
  assert(
    limits.liveSubscriptionsPerConnectionMax <= limits.liveMessagesPerPollMax,
    'liveSubscriptionsPerConnectionMax ≤ liveMessagesPerPollMax',
  )
  assert(
    limits.liveIdleTimeoutMs >= SOCKET_IDLE_TIMEOUT_MS.min &&
      limits.liveIdleTimeoutMs <= SOCKET_IDLE_TIMEOUT_MS.max,
    'liveIdleTimeoutMs is one that the WebSocket server takes',
  )
  assert(
    limits.liveHistoryTimeoutMs <= limits.historyTimeoutMs &&
      limits.historyTimeoutMs < limits.requestTimeoutMs,
    'liveHistoryTimeoutMs ≤ historyTimeoutMs < requestTimeoutMs',
  )
  assert(
    limits.historyRefreshMs <= limits.historySnapshotMaxAgeMs &&
      limits.historySnapshotMaxAgeMs <= limits.historySnapshotLifeMs,
    'historyRefreshMs ≤ historySnapshotMaxAgeMs ≤ historySnapshotLifeMs',
  )
  assert(
    Math.max(limits.historyTimelineEventsMax, limits.historyPartsMax) <=
      limits.historyRowsPerQueryMax,
    'historyTimelineEventsMax and historyPartsMax ≤ historyRowsPerQueryMax',
  )
  assert(limits.alertsPerReadMax <= limits.alertIdsMax, 'alertsPerReadMax ≤ alertIdsMax')
  assert(limits.livePollMs <= limits.liveFullReadMs, 'livePollMs ≤ liveFullReadMs')
  assert(
    limits.liveMinutesMax <= limits.bucketsPerSeriesMax,
    'liveMinutesMax ≤ bucketsPerSeriesMax',
  )
}
