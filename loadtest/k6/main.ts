/**
 * The load that k6 runs: one virtual user with many WebSockets, because what is prebuilt is copied
 * for every virtual user. Settings come as one JSON text in `LOAD`; each second one line of JSON
 * goes to the console, and the end's metrics are what the thresholds judge.
 */
import { Counter, Gauge } from 'k6/metrics'
import { WebSocket } from 'k6/websockets'
import { runAudience, type LoadTotals } from './audience.ts'
import type { LoadSocket } from './load-connection.ts'
import type { LoadSettings } from './settings.ts'

/** k6 takes a subprotocol; its published types do not say so yet. */
const OpenWebSocket = WebSocket as unknown as new (url: string, protocol: string) => LoadSocket

const load = JSON.parse(__ENV['LOAD'] ?? '{}') as LoadSettings

const eventsSent = new Counter('events_sent')
const eventsAcknowledged = new Counter('events_acknowledged')
const eventsUnacknowledged = new Counter('events_unacknowledged')
const errors = new Counter('errors')
const slowed = new Counter('slowed')
const reconnects = new Counter('reconnects')
const ackQuantiles = {
  p50: new Gauge('ack_p50_ms'),
  p99: new Gauge('ack_p99_ms'),
  max: new Gauge('ack_max_ms'),
}

export const options = {
  thresholds: {
    errors: ['count==0'],
    events_unacknowledged: ['count==0'],
    ...(load.ackP99MaxMs === undefined ? {} : { ack_p99_ms: [`value<=${load.ackP99MaxMs}`] }),
  },
  scenarios: {
    load: {
      executor: 'per-vu-iterations',
      vus: 1,
      iterations: 1,
      maxDuration: `${load.secondsMax}s`,
      gracefulStop: '0s',
    },
  },
}

export default function run(): void {
  runAudience(load, {
    open: (url, protocol) => new OpenWebSocket(url, protocol),
    second: (line) => console.log(`second ${JSON.stringify(line)}`),
    rejected: (detail) => console.error(`rejected: ${detail}`),
    over: keep,
  })
}

function keep(totals: LoadTotals): void {
  eventsSent.add(totals.eventsSent)
  eventsAcknowledged.add(totals.eventsAcknowledged)
  eventsUnacknowledged.add(totals.eventsSent - totals.eventsAcknowledged)
  errors.add(totals.errors)
  slowed.add(totals.slowed)
  reconnects.add(totals.reconnects)
  ackQuantiles.p50.add(totals.ackP50Ms)
  ackQuantiles.p99.add(totals.ackP99Ms)
  ackQuantiles.max.add(totals.ackMaxMs)
}

/** The end's metrics as JSON, for the runner. */
export function handleSummary(data: { readonly metrics: object }): Record<string, string> {
  return { [load.summaryPath]: JSON.stringify(data.metrics) }
}
