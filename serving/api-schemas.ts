/**
 * Shapes of every answer of the serving API: the single source of its TypeScript types and of
 * `/openapi.json`. Fields are added, never renamed; metric names are those of the metric
 * definitions. `null` means undefined (no denominator, not counted, not known yet), never zero.
 */
import { z } from 'zod'
import { alertSchema } from '../shared/alerts/alert.ts'
import { RULE_METRICS } from '../shared/alerts/rule-metrics.ts'
import { servedMetadataSchema } from '../shared/content/content-record.ts'
import { reconcileSummarySchema } from '../shared/warehouse/reconcile-summary.ts'
import type { ServingLimits } from './limits.ts'

const count = (doc: string) => z.int().min(0).describe(doc)
const epochMs = (doc: string) => z.int().describe(`${doc}, epoch ms`)
const nullableEpochMs = (doc: string) => z.int().nullable().describe(`${doc}, epoch ms`)
const ratio = (doc: string) => z.number().nullable().describe(doc)
const flag = (doc: string) => z.boolean().describe(doc)
const oneOrZero = (doc: string) => z.union([z.literal(0), z.literal(1)]).describe(doc)

const metricFields = {
  sessions: count('Parts of sessions that began'),
  attempts: count('Parts with a request to play'),
  plays: count('Parts that began to play'),
  ebvs: count('Exits before the video start'),
  ebvsLong: count('Exits before the video start after a wait of at least 1 s'),
  vsf: count('Video start failures'),
  vpf: count('Video playback failures, after a start'),
  endedPlays: count('Plays that ended'),
  failures: count('Failures'),
  startups: count('Plays with a start-up time'),
  stalls: count('Stalls that began'),
  stallMs: count('Time stalled, ms'),
  playingMs: count('Time playing, ms'),
  watchedMs: count('Time starting, playing, stalled or seeking, ms'),
  mediaMs: count('Media time played: playing time × playback rate, ms'),
  bitsPlayed: z.number().describe('Bits played; rounded to a double above 2^53'),
  events: count('Distinct events applied'),
  lost: count('Events that never arrived, counted when a session closes'),
  duplicates: count('Repeated events that were dropped'),
  late: count('Events that came too late for the live view; 0 in the history, which counts them'),
  frames: count('Frames that arrived'),
  bytes: count('Bytes of their records'),
  averageStartupMs: ratio('Average start-up time, ms'),
  startupMsP50: ratio('Median start-up time, ms'),
  startupMsP95: ratio('95th percentile of the start-up time, ms'),
  startupMsP99: ratio('99th percentile of the start-up time, ms'),
  ebvsRatio: ratio('Exits before video start ÷ attempts'),
  vsfRatio: ratio('Video start failures ÷ attempts'),
  vpfRatio: ratio('Video playback failures ÷ ended plays'),
  playbackFailureRatio: ratio('Failures ÷ sessions (CTA-2066)'),
  stalledTimeRatio: ratio('Stalled time ÷ watched time (rebuffering ratio)'),
  averagePlaybackStalledCount: ratio('Stalls ÷ plays'),
  stallsPerPlayingHour: ratio('Stalls ÷ playing hours'),
  averageBitrateKbps: ratio('Bits played ÷ media time with a known bitrate, kbit/s'),
  playingHours: z.number().min(0).describe('Time playing, hours'),
  concurrentPlays: count('Plays started and not ended, largest of the 10 s instants'),
  concurrentViewers: count('Viewers starting, playing, seeking or briefly stalled, likewise'),
  distinctViewers: z
    .int()
    .min(0)
    .nullable()
    .describe('Distinct viewers (estimate); null where the cut does not count them'),
  eventsLostRatio: ratio('Lost ÷ (events + lost)'),
  lowSample: flag('Fewer than 25 attempts or plays: ratios say little'),
}
export const qoeMetricsSchema = z.object(metricFields)
export type QoeMetrics = z.infer<typeof qoeMetricsSchema>

export const qoeBucketSchema = z.object({
  startMs: epochMs('Start of its step; it covers `windowMs` up to the end of the step'),
  source: z
    .enum(['speed', 'history'])
    .describe('Which side answered; `speed` as soon as one of its minutes is live'),
  complete: flag('No event can change it any more on the live side'),
  concurrencyComplete: flag('All its instants are a heartbeat interval behind `asOfMs`'),
  asOfMs: nullableEpochMs('Watermark up to which its rows are in the store; null when unknown'),
  ...metricFields,
  concurrentPlaysByInstant: z
    .array(z.int().min(0).nullable())
    .optional()
    .describe(
      'With a window of 1m: the 6 instants at 0 s, 10 s, … 50 s; null when not reached yet',
    ),
  concurrentViewersByInstant: z.array(z.int().min(0).nullable()).optional().describe('Likewise'),
})
export type QoeBucket = z.infer<typeof qoeBucketSchema>

const keySchema = z
  .record(z.string(), z.string())
  .describe('Value of each dimension of `by`, e.g. {"cdn":"a"}')
const titleSchema = z
  .string()
  .optional()
  .describe('Title of the key’s content, or of its series, where the metadata has one')
const contentStateSchema = z.object({
  contents: count('Contents whose metadata is known; all others are `unknown`'),
  asOfMs: nullableEpochMs('When its source was last read without a failure; null before the first'),
  stale: flag('It was not read for long: what came since may be missing'),
})
export type ContentState = z.infer<typeof contentStateSchema>
const contentStateField = contentStateSchema
  .optional()
  .describe('How old the content metadata is, where the question has a dimension of it')
const seriesSchema = z.object({
  key: keySchema,
  title: titleSchema,
  other: z
    .literal(true)
    .optional()
    .describe('The sum of all keys that have no series of their own; always the last series'),
  summary: qoeMetricsSchema.describe(
    'Over the range from `fromMs` to `toMs`; percentiles are exact, not averages',
  ),
  buckets: z.array(qoeBucketSchema),
})
export type QoeSeries = z.infer<typeof seriesSchema>

const degradedSchema = z.object({
  code: z.string().describe('Stable error code, see docs/errors.md'),
  detail: z.string(),
})
export type Degraded = z.infer<typeof degradedSchema>

const freshnessFields = {
  cut: z.string().describe('The configured cut that answered'),
  asOfMs: nullableEpochMs('Watermark up to which the cut’s rows are in the store'),
  concurrencyCompleteToMs: nullableEpochMs('Instants before this time are complete'),
  nowMs: epochMs('The server’s clock'),
  stale: flag('The rows are older than they should be; their age is `nowMs − asOfMs`'),
  historyToMs: nullableEpochMs(
    'The batch-complete boundary: whole steps before it come from the history; null when no batch has completed or the range is all live',
  ),
  degraded: z
    .array(degradedSchema)
    .optional()
    .describe('Why minutes of the history were taken from the live side, as far as it has them'),
}

export const qoeResponseSchema = z.object({
  from: z.string().describe('RFC 3339'),
  to: z.string().describe('RFC 3339, exclusive'),
  fromMs: epochMs('Start of the range, widened to whole steps'),
  toMs: epochMs('End of the range, exclusive'),
  stepMs: z.int(),
  windowMs: z.int().describe('What each bucket covers; `stepMs` unless a window was asked for'),
  by: z.array(z.string()),
  ...freshnessFields,
  content: contentStateField,
  series: z.array(seriesSchema).describe('Most events first'),
})
export type QoeResponse = z.infer<typeof qoeResponseSchema>

export const TOP_ORDERS = ['highest', 'lowest'] as const

export const topResponseSchema = z.object({
  metric: z.enum(RULE_METRICS),
  order: z.enum(TOP_ORDERS),
  samples: count('Samples without which a key is not ranked'),
  by: z.array(z.string()),
  fromMs: epochMs('Start of the window'),
  toMs: epochMs('End of the window, exclusive'),
  ...freshnessFields,
  content: contentStateField,
  items: z.array(
    z.object({
      key: keySchema,
      title: titleSchema,
      value: z.number().describe('The metric asked for'),
      samples: z.number().min(0).describe('What the value rests on; of a count the count itself'),
      metrics: qoeMetricsSchema,
    }),
  ),
  rest: z
    .object({
      keys: count('Keys that are no item; those that the live view had summed count as none'),
      metrics: qoeMetricsSchema,
    })
    .optional()
    .describe('With `rest=true`: all keys that are no item, taken together'),
})
export type TopResponse = z.infer<typeof topResponseSchema>

const stateSchema = z.enum([
  'idle',
  'starting',
  'playing',
  'paused',
  'stalled',
  'seeking',
  'ended',
  'failed',
])
const endReasonSchema = z.enum(['finish', 'sessionEnd', 'fail', 'content', 'timeout'])

const sessionSummarySchema = z.object({
  part: z.int().min(0).describe('A new part begins when the content changes'),
  contentId: z.string().optional(),
  content: servedMetadataSchema
    .optional()
    .describe('Metadata of the content as of `firstEventTimeMs`; absent while none is known'),
  firstEventTimeMs: epochMs('Session time of the first event'),
  lastEventTimeMs: epochMs('Session time of the last event'),
  state: stateSchema,
  endReason: endReasonSchema.optional(),
  attempt: oneOrZero('Playback was requested'),
  play: oneOrZero('Playback began'),
  ebvs: oneOrZero('Left before the video start'),
  ebvsLong: oneOrZero('Left before the video start after at least 1 s'),
  vsf: oneOrZero('Failed before the start'),
  vpf: oneOrZero('Failed after the start'),
  endedPlay: oneOrZero('A play that ended'),
  failed: oneOrZero('Failed'),
  startupMs: z.int().min(0).optional().describe('Absent without a start'),
  playerStartupMs: z.int().min(0).optional().describe('The player’s own measure; not used'),
  stallCount: count('Stalls'),
  stallMs: count('Time stalled, ms'),
  playingMs: count('Time playing, ms'),
  watchedMs: count('Time starting, playing, stalled or seeking, ms'),
  mediaMs: count('Media time played, ms'),
  bitsPlayed: z.number().describe('Bits played'),
  averageBitrateKbps: ratio('Average bitrate, kbit/s'),
  stalledTimeRatio: ratio('Stalled time ÷ watched time'),
  events: count('Events applied'),
})
export type SessionSummary = z.infer<typeof sessionSummarySchema>

const timelineEntrySchema = z.object({
  seq: z.int().min(0),
  type: z.string().describe('Event type; `rejected` for an event the gateway refused'),
  eventTimeMs: epochMs('Session time: the device’s time, corrected'),
  status: z
    .enum([
      'applied',
      'waiting',
      'duplicate',
      'late',
      'amended',
      'afterClose',
      'capped',
      'rejected',
    ])
    .describe('What the live view did with it; `waiting`: for a lower seq'),
  state: stateSchema.optional().describe('State after an applied event'),
  part: z.int().min(0).optional(),
  atMs: z.int().optional().describe('Device clock, epoch ms'),
  receivedAtMs: epochMs('Arrival at the gateway'),
  loggedAtMs: epochMs('Append time in the log'),
  offset: z.int().min(0).describe('Position in its partition of the log'),
  fields: z.record(z.string(), z.unknown()).describe('The event’s own fields'),
})
export type TimelineEntry = z.infer<typeof timelineEntrySchema>

const sessionQualitySchema = z.object({
  lost: count('Events that never arrived, counted when the session closes'),
  duplicates: count('Repeated events'),
  late: count('Too late for the live view; 0 in the history, as are the next two'),
  amended: count('Came after their gap was given up'),
  afterClose: count('Came after the close by time-out'),
  rejected: count('Refused by the gateway'),
  repairs: z.record(z.string(), z.int().min(0)),
})

export const sessionResponseSchema = z.object({
  sessionId: z.string(),
  source: z
    .enum(['speed', 'history'])
    .describe('Which side holds the summary; the history does once the speed store has let it go'),
  incarnation: z
    .int()
    .min(0)
    .describe('Which use of the id: it rises when an id is used again after it was forgotten'),
  incarnations: z.array(z.int().min(0)).describe('Newest first'),
  context: z
    .record(z.string(), z.unknown())
    .describe('Context of the latest part; no raw viewer id'),
  closed: flag('Closed for good by time-out'),
  clockOffsetMs: z.number().describe('What was added to the device’s clock, ms'),
  firstReceivedAtMs: epochMs('First arrival at the gateway'),
  lastLoggedAtMs: epochMs('Append time of the last applied frame'),
  position: z
    .object({ topicEpoch: z.int(), partition: z.int(), generation: z.int(), lastOffset: z.int() })
    .optional()
    .describe('Log position that summary and timeline show; absent from the history'),
  summary: sessionSummarySchema.describe('The latest part'),
  parts: z.array(sessionSummarySchema),
  quality: sessionQualitySchema,
  timeline: z.array(timelineEntrySchema).describe('Ascending by seq, then by offset'),
  timelineFrames: z.object({
    total: count('Frames of the session'),
    expired: count('Frames that the log no longer holds: their events are not shown'),
    beyondLimit: count('Frames beyond the limit of a timeline: not shown'),
  }),
  nextCursor: z.string().optional().describe('Pass as `cursor` for the next page'),
  degraded: z
    .array(degradedSchema)
    .optional()
    .describe('Why events that the log no longer holds were not read from the history'),
})
export type SessionResponse = z.infer<typeof sessionResponseSchema>

const sessionListItemSchema = z.object({
  sessionId: z.string(),
  incarnation: z.int().min(0),
  contentId: z.string().optional(),
  contentTitle: z
    .string()
    .optional()
    .describe('As the player said, else as the content metadata says'),
  cdn: z.string().optional(),
  deviceType: z.string().optional(),
  player: z.string().optional(),
  country: z.string().optional(),
  firstReceivedAtMs: epochMs('First arrival'),
  lastEventTimeMs: epochMs('Session time of the last event'),
  state: stateSchema,
  endReason: endReasonSchema.optional(),
  startupMs: z.int().min(0).optional(),
  stallCount: count('Stalls over all parts'),
  stallMs: count('Time stalled over all parts, ms'),
  watchedMs: count('Time watched over all parts, ms'),
  failed: oneOrZero('A part failed'),
  lost: count('Events lost'),
  closed: z.boolean(),
})
export type SessionListItem = z.infer<typeof sessionListItemSchema>

export const sessionListResponseSchema = z.object({
  nowMs: epochMs('The server’s clock'),
  sessions: z.array(sessionListItemSchema).describe('Newest first'),
})
export type SessionListResponse = z.infer<typeof sessionListResponseSchema>

const viewerSessionSchema = sessionListItemSchema.extend({
  source: z
    .enum(['speed', 'history'])
    .describe(
      'Which side it is from; one of the history says its first event as its first arrival',
    ),
})
export type ViewerSession = z.infer<typeof viewerSessionSchema>

export const viewerSessionsResponseSchema = z.object({
  nowMs: epochMs('The server’s clock'),
  viewerPseudonym: z.string(),
  fromMs: epochMs('Start of the range'),
  toMs: epochMs('End of the range, exclusive'),
  sessions: z
    .array(viewerSessionSchema)
    .describe(
      'Those of the live view, newest first, then those that only the history holds, newest first',
    ),
  nextCursor: z
    .string()
    .optional()
    .describe(
      'Of the next page; a page may hold fewer than the limit, or none, and not be the last',
    ),
  degraded: z
    .array(degradedSchema)
    .optional()
    .describe('Why the history was not asked; the page can be asked for again'),
})
export type ViewerSessionsResponse = z.infer<typeof viewerSessionsResponseSchema>

export const statusResponseSchema = z.object({
  nowMs: epochMs('The server’s clock'),
  view: z.string().describe('Hash of fold version, cuts and value-changing limits'),
  stale: flag('A partition’s narrow rows are older than they should be'),
  asOfMs: nullableEpochMs('Watermark of the narrow cuts over all partitions'),
  log: z.array(
    z.object({
      partition: z.int().min(0),
      end: count('Offset of the next record'),
      applied: count('Every record below this offset is folded'),
      lagRecords: count('Records not folded yet'),
      lagMs: count('Age of the last folded record while there is lag, else 0'),
      watermarkMs: nullableEpochMs('Watermark of the partition'),
    }),
  ),
  cuts: z.array(
    z.object({
      id: z.string(),
      dimensions: z.array(z.string()),
      width: z.enum(['narrow', 'wide']),
      viewers: z.boolean(),
      asOfMs: nullableEpochMs('Watermark of its rows'),
      stale: z.boolean(),
    }),
  ),
  batch: z.object({
    lastRun: z
      .object({
        run: z.int().min(1),
        startedAtMs: epochMs('When it began'),
        endedAtMs: epochMs('When its control rows were written'),
        watermarkMs: epochMs('Smallest watermark of a partition at the last complete cuts'),
        historyToMs: epochMs('The batch-complete boundary: minutes before it are history'),
        records: count('Records of the log that it took'),
        events: count('Events that it put into the history'),
      })
      .nullable()
      .describe('The newest complete run; null while none is known'),
    isRunning: flag('A run is under way'),
    nextRunAtMs: nullableEpochMs('When the next run is due; null when none is scheduled'),
    failure: z
      .object({ code: z.string(), detail: z.string(), atMs: epochMs('When it failed') })
      .nullable()
      .describe('Why the last attempt did not complete; the next one goes on with it'),
  }),
  reconcile: z.object({
    lastRun: reconcileSummarySchema
      .nullable()
      .describe('The newest comparison of live and history; null before the first'),
  }),
  degraded: z.array(degradedSchema).optional().describe('Why the history cannot be read now'),
})
export type StatusResponse = z.infer<typeof statusResponseSchema>

export const alertsResponseSchema = z.object({
  nowMs: epochMs('The server’s clock'),
  open: z.array(alertSchema).describe('Worst first, then newest; as they were raised'),
  openTotal: count('Open alerts, also those beyond the length of the list'),
  resolved: z.array(alertSchema).describe('Resolved of late, newest first'),
})
export type AlertsResponse = z.infer<typeof alertsResponseSchema>

export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.string().describe('Stable error code, see docs/errors.md'),
  })
  .describe('RFC 9457 problem')

/** What a live client sends; the bounds are those of the server it speaks to. */
export function liveClientMessageSchema(
  limits: Pick<ServingLimits, 'liveSubscriptionIdMaxChars' | 'liveDimensionsMax'>,
) {
  const id = () => z.string().min(1).max(limits.liveSubscriptionIdMaxChars)
  return z.union([
    z.strictObject({
      subscribe: z.strictObject({
        id: id().describe('Chosen by the client; comes back in every update'),
        by: z.array(z.string()).max(limits.liveDimensionsMax).default([]),
        where: z.array(z.string()).default([]).describe('`dimension:value` conditions'),
        minutes: z.int().min(1).default(30).describe('Length of the window up to now'),
        series: z.int().min(1).optional().describe('Keys with a series of their own'),
      }),
    }),
    z.strictObject({ unsubscribe: z.strictObject({ id: id() }) }),
    z.strictObject({
      alerts: z
        .boolean()
        .describe(
          'Whether the client wants alerts: those that are open first, then each as it comes',
        ),
    }),
  ])
}

export const liveUpdateSchema = z.object({
  id: z.string(),
  full: flag('The whole window; else only the buckets that changed since the last update'),
  fromMs: epochMs('Start of the window; earlier buckets are to be dropped'),
  toMs: epochMs('End of the window, exclusive'),
  by: z.array(z.string()),
  ...freshnessFields,
  content: contentStateField,
  series: z.array(seriesSchema),
})
export type LiveUpdate = z.infer<typeof liveUpdateSchema>

export const liveServerMessageSchema = z.union([
  z.object({ update: liveUpdateSchema }),
  z.object({ alerts: alertsResponseSchema.describe('When the client began to want them') }),
  z.object({ alert: alertSchema.describe('Raised or resolved now; the same id may come again') }),
  z.object({
    error: z.object({ id: z.string().optional(), code: z.string(), detail: z.string() }),
  }),
])
export type LiveServerMessage = z.infer<typeof liveServerMessageSchema>
