import { CMCD_RECORDS_MAX, DEFAULT_FRAME_LIMITS } from '../shared/events/limits.ts'
import { adminSettings, checkAdminTls } from '../shared/http/admin-config.ts'
import { checkListenerTls, listenerTlsSettings } from '../shared/http/listener-tls.ts'
import {
  configErrors,
  defineConfig,
  environmentName,
  setting,
  type ValuesOf,
} from '../shared/runtime/config.ts'
import { LEAVE_MAX_MS, SEND_BUFFER_MIN_BYTES } from './limits.ts'
import { checkProxies, checkRates, rateSettings } from './rate-settings.ts'
import { parseRoutes, routedTopics } from './routes.ts'

const KIB = 2 ** 10
const MIB = 2 ** 20
const MINUTE_MS = 60_000

const addressSettings = {
  host: setting.text({
    default: '127.0.0.1',
    doc: 'Address the gateway listens on. Any other than loopback needs authentication.',
  }),
  port: setting.integer({
    default: 8080,
    min: 0,
    max: 65_535,
    unit: 'port',
    doc: 'Port the gateway listens on, exclusively; 0 takes a free one.',
  }),
  processes: setting.integer({
    default: 1,
    min: 1,
    max: 64,
    unit: 'processes',
    doc: 'Processes that share GATEWAY_PORT, under a parent that restarts and drains them. Limits per process hold for each. `npm start` runs one.',
  }),
  ...adminSettings({
    port: 8_079,
    paths:
      'Port for operators of a gateway on its own: /healthz, /readyz and /metrics, of all processes together.',
  }),
  ...listenerTlsSettings,
  allowedOrigins: setting.list({
    default: ['*'],
    doc: 'Origins whose pages may send events, by WebSocket or POST; others are answered 403. `*` for all. What is no page sends no origin, and is let in by its token or ingest key.',
    expected: 'comma-separated origins such as https://player.example, or *',
  }),
  trustedCountryHeader: setting.text({
    default: '',
    pattern: /^[a-z0-9-]{0,64}$/,
    expected: 'a header name in lower case',
    doc: 'Header in which a trusted load balancer tells the country; it wins over the client’s. Empty: none is trusted.',
  }),
  traceContext: setting.boolean({
    default: false,
    doc: 'Whether the header `traceparent` of a request or an upgrade is written into the headers of its records (docs/decisions/0034-trace-context.md).',
  }),
  cmcdOffKeys: setting.list({
    default: [],
    doc: 'Ingest keys of `/cmcd/{ingestKey}` that are switched off: players are answered 410 and stop reporting. `default` stands for plain `/cmcd`.',
    expected: 'comma-separated ingest keys',
  }),
} as const

const frameSettings = {
  frameMaxBytes: setting.integer({
    default: 256 * KIB,
    min: KIB,
    max: 16 * MIB,
    unit: 'bytes',
    doc: 'Largest frame, on WebSocket and HTTP. A larger one is closed with 1009 or answered 413.',
  }),
  frameEventsMax: setting.integer({
    default: DEFAULT_FRAME_LIMITS.eventsMax,
    // The welcome does not tell it: clients rely on what the protocol guarantees.
    min: DEFAULT_FRAME_LIMITS.eventsMax,
    max: 10_000,
    unit: 'events',
    doc: 'Most events in one frame; the protocol guarantees clients at least 1,000.',
  }),
  cmcdBodyMaxBytes: setting.integer({
    default: 256 * KIB,
    min: KIB,
    max: 16 * MIB,
    unit: 'bytes',
    doc: 'Largest body of a CMCD request.',
  }),
  creditFrames: setting.integer({
    default: 64,
    min: 1,
    max: 4_096,
    unit: 'frames',
    doc: 'Frames a client may have in flight.',
  }),
  creditBytes: setting.integer({
    default: MIB,
    min: KIB,
    max: 64 * MIB,
    unit: 'bytes',
    doc: 'Bytes a client may have in flight. At least GATEWAY_FRAME_MAX_BYTES.',
  }),
  heartbeatMs: setting.integer({
    default: 10_000,
    min: 1_000,
    max: 30_000,
    unit: 'ms',
    doc: 'Interval of heartbeats that the welcome asks players for.',
  }),
} as const

const admissionSettings = {
  connectionsMax: setting.integer({
    default: 20_000,
    min: 1,
    max: 1_000_000,
    unit: 'connections',
    doc: 'WebSocket connections at a time; further ones are answered 503.',
  }),
  requestsMax: setting.integer({
    default: 1_000,
    min: 1,
    max: 100_000,
    unit: 'requests',
    doc: 'HTTP requests that bring events at a time; further ones are answered 429.',
  }),
  inFlightMaxBytes: setting.integer({
    default: 256 * MIB,
    min: MIB,
    max: 64 * 1_024 * MIB,
    unit: 'bytes',
    doc: 'Bytes of all bodies being read and records not yet in the log. Beyond, clients are told `slow` or answered 429.',
  }),
  contextCacheEntriesMax: setting.integer({
    default: 50_000,
    min: 1,
    max: 10_000_000,
    unit: 'contexts',
    doc: 'Enriched session contexts kept.',
  }),
  sendBufferMaxBytes: setting.integer({
    default: 512 * KIB,
    min: SEND_BUFFER_MIN_BYTES,
    max: 64 * MIB,
    unit: 'bytes per connection',
    doc: 'Bytes waiting for a client that does not read; beyond, it is closed with 1013.',
  }),
} as const

const laneSettings = {
  laneLingerMs: setting.integer({
    default: 5,
    min: 0,
    max: 1_000,
    unit: 'ms',
    doc: 'Least time between two turns in which lanes append what they have collected; the gateway starts with it.',
  }),
  laneLingerMaxMs: setting.integer({
    default: 25,
    min: 1,
    max: 1_000,
    unit: 'ms',
    doc: 'Most time between two turns, which is approached under load. At least GATEWAY_LANE_LINGER_MS.',
  }),
  appendRequestsPerSecond: setting.integer({
    default: 300,
    min: 1,
    max: 100_000,
    unit: 'requests per second and process',
    doc: 'Append requests that the time between turns aims at: a request costs the same whatever it carries.',
  }),
  laneMaxRecords: setting.integer({
    default: 50_000,
    min: 1,
    max: 10_000_000,
    unit: 'records per lane',
    doc: 'Records waiting in one lane (topic and partition).',
  }),
  laneMaxBytes: setting.integer({
    default: 64 * MIB,
    min: KIB,
    max: 16 * 1_024 * MIB,
    unit: 'bytes per lane',
    doc: 'Bytes waiting in one lane.',
  }),
  batchMaxRecords: setting.integer({
    default: 2_000,
    min: 1,
    max: 100_000,
    unit: 'records',
    doc: 'Records of one append.',
  }),
  batchMaxBytes: setting.integer({
    default: MIB,
    min: KIB,
    max: 64 * MIB,
    unit: 'bytes',
    doc: 'Bytes of one append; one record always fits.',
  }),
  appendDeadlineMs: setting.integer({
    default: 10_000,
    min: 50,
    max: 10 * MINUTE_MS,
    unit: 'ms',
    doc: 'A frame that is not in the log after this time is given back: `slow` on WebSocket, 503 on HTTP.',
  }),
  slowRetryMs: setting.integer({
    default: 2_000,
    min: 10,
    max: MINUTE_MS,
    unit: 'ms',
    doc: 'Mean wait asked of a client by `slow` and Retry-After; spread by half to either side.',
  }),
} as const

const routeSettings = {
  routes: setting.list({
    default: [],
    doc: 'Copies to further topics, as `type:<event type>=<topic>` or `content:<contentId>=<topic>`: every record that holds such an event, or is of that content, is copied whole. `playback.events` holds everything all the same, and no acknowledgement waits for a copy.',
    expected: 'comma-separated routes such as type:playbackFail=playback.failures',
  }),
  copiesMaxBytes: setting.integer({
    default: 32 * MIB,
    min: MIB,
    max: 16 * 1_024 * MIB,
    unit: 'bytes',
    doc: 'Bytes of copies not yet in their topics. Beyond, copies are dropped and counted.',
  }),
} as const

const timeSettings = {
  helloMs: setting.integer({
    default: 8_000,
    min: 50,
    max: 9_000,
    unit: 'ms',
    doc: 'A connection whose first frame has not come after this time is closed with 4408.',
  }),
  idleMs: setting.integer({
    default: 2 * MINUTE_MS,
    min: 1_000,
    max: 60 * MINUTE_MS,
    unit: 'ms',
    doc: 'A connection without a frame for this long is closed with 4408.',
  }),
  pingMs: setting.integer({
    default: 4_000,
    min: 50,
    max: 8_000,
    unit: 'ms',
    doc: 'A connection that was silent for this long is sent a ping.',
  }),
  pongTimeoutMs: setting.integer({
    default: 5_000,
    min: 50,
    max: 8_000,
    unit: 'ms',
    doc: 'A connection that neither answers a ping nor completes a frame in this time is closed with 4408: it is gone, or drips a frame. With GATEWAY_PING_MS at most 9,000.',
  }),
  maxLifetimeMs: setting.integer({
    default: 60 * MINUTE_MS,
    min: 0,
    max: 7 * 24 * 60 * MINUTE_MS,
    unit: 'ms',
    doc: 'A connection is asked to reconnect after this time, less up to a fifth by chance. 0: never.',
  }),
  bodyTimeoutMs: setting.integer({
    default: 8_000,
    min: 50,
    max: 9_000,
    unit: 'ms',
    doc: 'Time in which the body of a request must have arrived.',
  }),
  tokenGraceMs: setting.integer({
    default: 30_000,
    min: 0,
    max: 60 * MINUTE_MS,
    unit: 'ms',
    doc: 'How long after its token’s expiry a connection is closed with 4401.',
  }),
  maxClockSkewMs: setting.integer({
    default: 10_000,
    min: 100,
    max: 60 * MINUTE_MS,
    unit: 'ms',
    doc: 'A gateway whose clock differs by more than this from the log’s append times turns unready.',
  }),
  drainDelayMs: setting.integer({
    default: 1_000,
    min: 0,
    max: 5 * MINUTE_MS,
    unit: 'ms',
    doc: 'On a stop, how long the gateway is unready before it asks the first client to go: time for load balancers to notice.',
  }),
  drainSpreadMs: setting.integer({
    default: 5_000,
    min: 0,
    max: 10 * MINUTE_MS,
    unit: 'ms',
    doc: 'On a stop, clients are asked to reconnect elsewhere at random moments within this time after GATEWAY_DRAIN_DELAY_MS.',
  }),
  drainGraceMs: setting.integer({
    default: 15_000,
    min: 0,
    max: 20 * MINUTE_MS,
    unit: 'ms',
    doc: 'On a stop, everything still open after this time is closed.',
  }),
} as const

const table = {
  ...addressSettings,
  ...frameSettings,
  ...admissionSettings,
  ...rateSettings,
  ...laneSettings,
  ...routeSettings,
  ...timeSettings,
} as const

export type GatewayConfig = ValuesOf<typeof table>

type NumberField = {
  [Field in keyof GatewayConfig]: GatewayConfig[Field] extends number ? Field : never
}[keyof GatewayConfig]

/** With the sweep's period on either side, a client that drips a frame is closed within 10 s. */
const DRIP_MAX_MS = 9_000

/** Room a record takes beyond the bytes of its frame: the enriched context and the envelope. */
const RECORD_OVERHEAD_BYTES = 16 * KIB

export const gatewayConfig = defineConfig({
  prefix: 'GATEWAY',
  table,
  check(values) {
    const atLeast = (field: NumberField, bound: number, meaning: string) => {
      if (values[field] >= bound) return
      throw configErrors.create('CONFIG_CONFLICT', {
        expected: `${environmentName('GATEWAY', field)} of at least ${meaning} = ${bound}`,
        received: `${values[field]}`,
      })
    }
    const bodyMaxBytes = Math.max(values.frameMaxBytes, values.cmcdBodyMaxBytes)
    atLeast('creditBytes', values.frameMaxBytes, 'GATEWAY_FRAME_MAX_BYTES')
    atLeast(
      'laneMaxBytes',
      bodyMaxBytes + RECORD_OVERHEAD_BYTES,
      'the largest frame or CMCD body and 16 KiB',
    )
    atLeast('laneMaxBytes', values.batchMaxBytes, 'GATEWAY_BATCH_MAX_BYTES')
    atLeast(
      'laneMaxRecords',
      Math.max(values.frameEventsMax, CMCD_RECORDS_MAX) + 1,
      `the larger of GATEWAY_FRAME_EVENTS_MAX (${values.frameEventsMax}) and the ${CMCD_RECORDS_MAX} records of a CMCD body, + 1`,
    )
    atLeast('inFlightMaxBytes', values.laneMaxBytes, 'GATEWAY_LANE_MAX_BYTES')
    atLeast('laneLingerMaxMs', values.laneLingerMs, 'GATEWAY_LANE_LINGER_MS')
    atLeast('appendDeadlineMs', values.laneLingerMaxMs + 1, 'GATEWAY_LANE_LINGER_MAX_MS + 1')
    atLeast('idleMs', 2 * values.heartbeatMs, 'twice GATEWAY_HEARTBEAT_MS')
    atLeast(
      'drainGraceMs',
      values.drainDelayMs + values.drainSpreadMs + LEAVE_MAX_MS,
      `GATEWAY_DRAIN_DELAY_MS + GATEWAY_DRAIN_SPREAD_MS + ${LEAVE_MAX_MS}`,
    )
    if (values.pingMs + values.pongTimeoutMs > DRIP_MAX_MS)
      throw configErrors.create('CONFIG_CONFLICT', {
        expected: `GATEWAY_PING_MS + GATEWAY_PONG_TIMEOUT_MS of at most ${DRIP_MAX_MS}`,
        received: `${values.pingMs} + ${values.pongTimeoutMs}`,
      })
    atLeast('framesBurstMax', values.creditFrames, 'GATEWAY_CREDIT_FRAMES')
    checkRates(values, {
      Events: Math.max(values.frameEventsMax, CMCD_RECORDS_MAX),
      Bytes: Math.max(values.frameMaxBytes, values.cmcdBodyMaxBytes),
    })
    checkProxies(values)
    checkListenerTls('GATEWAY', values)
    checkAdminTls('GATEWAY', values)
    checkRoutes(values)
  },
})

/** Topics that have to exist besides our own. */
export function extraTopics({ routes }: GatewayConfig): string[] {
  return routedTopics(parseRoutes(routes))
}

function checkRoutes({ routes }: GatewayConfig): void {
  try {
    parseRoutes(routes)
  } catch (cause) {
    throw configErrors.create('CONFIG_INVALID', {
      expected: `GATEWAY_ROUTES to hold ${(cause as Error).message}`,
      received: JSON.stringify(routes.join(',')).slice(0, 200),
      cause,
    })
  }
}

export { relayConfig } from './relay/config.ts'
