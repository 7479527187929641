/**
 * The event schema: the single source of the protocol's shapes. TypeScript types are inferred
 * from it; `docs/schema.json`, the tables of `docs/protocol.md`, the client's types and the
 * warehouse's columns are generated from it. Names follow CTA-2066; times are epoch milliseconds
 * and durations milliseconds unless the name says otherwise. Unknown fields are ignored and stay
 * in the event's bytes; unknown types are rejected.
 */
import { z } from 'zod'

/** Largest `seq` a session may use. */
export const SEQ_MAX = 1_000_000
/** Last millisecond of the year 9999, the largest time that every store can hold. */
export const EPOCH_MS_MAX = 253_402_300_799_999

/** Labels of one context. */
export const LABELS_MAX = 8

/** Refinements have names, because the scanner knows them by these. */
export const isWellFormed = (value: string) => value.isWellFormed()
export const hasFewLabels = (labels: Readonly<Record<string, string>>) =>
  Object.keys(labels).length <= LABELS_MAX

/** Text of at least one character, which every store can hold. */
export const text = (maxChars: number) =>
  z.string().min(1).max(maxChars).refine(isWellFormed, 'well-formed Unicode')
export const whole = (max: number) => z.int().min(0).max(max)
/** A device or server clock's reading. */
export const epochMsSchema = whole(EPOCH_MS_MAX)
const durationMs = whole(86_400_000)
const kbps = whole(1_000_000)
const pixels = whole(65_535)

export const sessionIdSchema = text(64).describe(
  'Identity of the playback session; a UUID is recommended.',
)

const deviceSchema = z.object({
  type: text(32)
    .optional()
    .describe('Kind of device: tv, phone, tablet, desktop, console, set-top, …'),
  make: text(64).optional().describe('Maker of the device.'),
  model: text(64).optional().describe('The maker’s name of the model.'),
  os: text(64).optional().describe('Operating system.'),
  osVersion: text(64).optional().describe('Version of the operating system.'),
})
const nameAndVersionSchema = (what: string) =>
  z.object({
    name: text(64).optional().describe(`Name of the ${what}.`),
    version: text(64).optional().describe(`Version of the ${what}.`),
  })

const contextFields = {
  sessionId: sessionIdSchema,
  contentId: text(128)
    .optional()
    .describe('What is played; a change begins a new part of the session.'),
  contentTitle: text(256).optional().describe('Title of the content, for people.'),
  seriesId: text(128).optional().describe('The series that the content belongs to.'),
  streamType: z
    .enum(['vod', 'live', 'lowLatencyLive'])
    .optional()
    .describe('On demand, live, or live with low latency.'),
  streamingFormat: z
    .enum(['hls', 'dash', 'smooth', 'other'])
    .optional()
    .describe('How the media is packaged.'),
  cdn: text(64).optional().describe('The CDN that delivers when the frame is sent.'),
  device: deviceSchema.optional(),
  player: nameAndVersionSchema('player').optional(),
  app: nameAndVersionSchema('application').optional(),
  country: z
    .string()
    .regex(/^[A-Z]{2}$/)
    .optional()
    .describe('Country, ISO 3166-1 alpha-2.'),
  isp: text(128).optional().describe('The viewer’s internet provider.'),
  autoplay: z.boolean().optional().describe('Whether playback began without the viewer asking.'),
  labels: z
    .record(text(32), text(64))
    .refine(hasFewLabels, `at most ${LABELS_MAX} labels`)
    .optional()
    .meta({ description: 'The application’s own dimensions.', maxProperties: LABELS_MAX }),
}

/** The context as a client sends it, once per frame. */
export const sessionContextSchema = z.object({
  ...contextFields,
  viewerId: text(256)
    .optional()
    .describe('Raw viewer id; pseudonymised at the gateway, never written.'),
})

/** The context as it stands in the log: the raw viewer id replaced by its pseudonym. */
export const enrichedContextSchema = z.object({
  ...contextFields,
  viewerPseudonym: z
    .string()
    .regex(/^[0-9a-f]{32}$/)
    .optional()
    .describe('Keyed hash of the viewer id: 32 hex digits.'),
})

export const seqSchema = whole(SEQ_MAX)
const base = {
  seq: seqSchema.describe('Position in the session, from 0 without gaps.'),
  at: epochMsSchema.describe('Device clock when it happened, epoch ms.'),
}
const playhead = {
  playheadMs: epochMsSchema.optional().describe('Position in the content, ms; live: epoch ms.'),
}
const buffer = {
  bufferMs: durationMs.optional().describe('Media buffered ahead of the playhead, ms.'),
}
const WIDTH = 'Width of the picture, pixels.'
const HEIGHT = 'Height of the picture, pixels.'
const problem = {
  code: text(64).describe('The player’s own error code.'),
  message: text(256).optional().describe('The player’s own words about the error.'),
}
const adBreak = {
  adId: text(128).optional().describe('The advertisement.'),
  position: text(32).optional().describe('Where the break stands: preroll, midroll, postroll, …'),
}

function event<const Type extends string, Fields extends z.ZodRawShape>(
  type: Type,
  doc: string,
  fields: Fields,
) {
  return z.object({ ...base, type: z.literal(type), ...fields }).describe(doc)
}

/** Every event type, in the order of the documentation. */
export const eventVariants = [
  event(
    'playbackRequest',
    'The viewer expects playback to start; also on resume and autoplay.',
    playhead,
  ),
  event(
    'playbackStart',
    'First frame rendered after not playing: after a request, pause, stall or seek.',
    {
      ...playhead,
      startupMs: durationMs
        .optional()
        .describe('The player’s own measure of start-up, ms; kept, never used.'),
    },
  ),
  event('playbackPause', 'Paused by the viewer.', playhead),
  event('playbackStall', 'Stopped for lack of data; never start-up, never seeking.', {
    ...playhead,
    ...buffer,
  }),
  event('seekStart', 'The viewer seeks.', playhead),
  event('seekEnd', 'The seek has reached its target.', playhead),
  event('playbackFinish', 'The natural end of the content.', playhead),
  event('playbackFail', 'A fatal error: playback ends.', {
    ...problem,
    domain: z
      .enum(['network', 'media', 'drm', 'player', 'other'])
      .optional()
      .describe('Where the error comes from.'),
  }),
  event('renditionUpdate', 'Bitrate, size or codec changed; an absent field keeps its value.', {
    videoBitrateKbps: kbps.optional().describe('Video bitrate, kbit/s.'),
    audioBitrateKbps: kbps.optional().describe('Audio bitrate, kbit/s.'),
    widthPx: pixels.optional().describe(WIDTH),
    heightPx: pixels.optional().describe(HEIGHT),
    codec: text(64).optional().describe('Codecs of the rendition.'),
    frameRate: z.number().min(0).max(1_000).optional().describe('Frames per second.'),
  }),
  event('playbackRateUpdate', 'The speed changed.', {
    playbackRate: z.number().min(0.001).max(16).describe('1 is normal speed.'),
  }),
  event('adBreakStart', 'An advertisement break begins.', adBreak),
  event('adBreakEnd', 'An advertisement break ends.', adBreak),
  event('playerResize', 'The player’s picture has another size.', {
    widthPx: pixels.describe(WIDTH),
    heightPx: pixels.describe(HEIGHT),
  }),
  event('cdnUpdate', 'Delivery moved to another CDN.', {
    cdn: text(64).describe('The CDN that delivers from now on.'),
  }),
  event('warning', 'An error that playback survives.', problem),
  event('heartbeat', 'Still here: every 10 to 30 s in any state.', {
    ...playhead,
    ...buffer,
    droppedFrames: whole(1_000_000_000)
      .optional()
      .describe('Frames dropped since the session began.'),
    liveLatencyMs: durationMs.optional().describe('Distance from the live edge, ms.'),
    throughputKbps: whole(100_000_000).optional().describe('Measured throughput, kbit/s.'),
  }),
  event('sessionEnd', 'Closed by the viewer before the end.', {}),
  event('custom', 'The application’s own.', {
    name: text(64).describe('The application’s name of what happened.'),
    value: text(256).optional().describe('What the application says of it.'),
  }),
] as const

export const eventSchema = z.discriminatedUnion('type', eventVariants)

/** The types, in the order of the variants. */
export const EVENT_TYPES = eventVariants.map((variant) => variant.shape.type.value)

export type SessionContext = z.infer<typeof sessionContextSchema>
export type EnrichedContext = z.infer<typeof enrichedContextSchema>
export type PlaybackEvent = z.infer<typeof eventSchema>
export type PlaybackEventType = PlaybackEvent['type']
