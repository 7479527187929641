/** The scenarios of `npm run loadtest`: which load, for how long, and what happens to it meanwhile. */
import type { Stage } from '../k6/schedule.ts'

export interface LoadOptions {
  readonly eventsPerSecond: number
  readonly minutes: number
  readonly eventsPerFrame: number
  readonly connections: number
}

export interface Scenario {
  readonly description: string
  readonly defaults: LoadOptions
  stages(options: LoadOptions): readonly Stage[]
  /** Moments at which every connection breaks, ms after the start. */
  stormsAtMs?(options: LoadOptions): readonly number[]
  brokerOutage?(options: LoadOptions): BrokerOutage
  /** Time for what waits when the last frame falls due; a minute unless told. */
  readonly tailSeconds?: number
  /** Fails the run when exceeded; absent where the scenario is about something else. */
  ackP99MaxMs?(options: LoadOptions): number
}

export interface BrokerOutage {
  /** Standing still with its connections open, or gone and started again. */
  readonly how: 'pause' | 'kill'
  /** After the start. */
  readonly fromMs: number
  readonly forMs: number
}

const MINUTE_MS = 60_000
const CEILING_STEPS = 10

const flat = ({ eventsPerSecond, minutes }: LoadOptions): Stage[] => [
  { eventsPerSecond, seconds: minutes * 60 },
]

/** Shares of the full rate, one after another for equal times. */
function inSteps(shares: readonly number[]) {
  return ({ eventsPerSecond, minutes }: LoadOptions): Stage[] =>
    shares.map((share) => ({
      eventsPerSecond: Math.round(eventsPerSecond * share),
      seconds: (minutes * 60) / shares.length,
    }))
}

/** What frames of a hundred events must hold, and smaller ones, of which there are more. */
const ackP99MaxMs = ({ eventsPerFrame }: LoadOptions) => (eventsPerFrame >= 100 ? 100 : 200)

const HUNDRED = { eventsPerFrame: 100, connections: 50 } as const

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  steady: {
    description: 'one rate',
    defaults: { eventsPerSecond: 200_000, minutes: 2, ...HUNDRED },
    stages: flat,
    ackP99MaxMs,
  },
  ramp: {
    description: '10K → 50K → 100K → 125K → 200K of 200K',
    defaults: { eventsPerSecond: 200_000, minutes: 5, ...HUNDRED },
    stages: inSteps([0.05, 0.25, 0.5, 0.625, 1]),
    ackP99MaxMs,
  },
  spike: {
    description: 'a quarter of the rate, the whole of it at once, a quarter again',
    defaults: { eventsPerSecond: 200_000, minutes: 3, ...HUNDRED },
    stages: inSteps([0.25, 1, 0.25]),
  },
  soak: {
    description: 'half the rate for long',
    defaults: { eventsPerSecond: 100_000, minutes: 30, ...HUNDRED },
    stages: flat,
    ackP99MaxMs,
  },
  'reconnect-storm': {
    description: 'every connection breaks at once, every 20 s',
    defaults: { eventsPerSecond: 50_000, minutes: 2, eventsPerFrame: 10, connections: 2_000 },
    stages: flat,
    stormsAtMs: ({ minutes }) =>
      Array.from({ length: Math.ceil(minutes * 3) - 1 }, (_, storm) => (storm + 1) * 20_000),
  },
  'small-frames': {
    description: 'one event a frame',
    defaults: { eventsPerSecond: 20_000, minutes: 2, eventsPerFrame: 1, connections: 1_000 },
    stages: flat,
    ackP99MaxMs,
  },
  'slow-broker': {
    description: 'the broker stops for a sixth of the time in the middle; nothing is lost',
    defaults: { eventsPerSecond: 100_000, minutes: 2, ...HUNDRED },
    stages: flat,
    brokerOutage: ({ minutes }) => ({
      how: 'pause',
      fromMs: (minutes * MINUTE_MS) / 3,
      forMs: (minutes * MINUTE_MS) / 6,
    }),
  },
  'kafka-down': {
    description: 'the broker is killed for half of the time; all resumes alone',
    defaults: { eventsPerSecond: 200_000, minutes: 4, ...HUNDRED },
    stages: flat,
    brokerOutage: ({ minutes }) => ({
      how: 'kill',
      fromMs: (minutes * MINUTE_MS) / 4,
      forMs: (minutes * MINUTE_MS) / 2,
    }),
    tailSeconds: 240,
  },
  ceiling: {
    description: 'ten steps up to the rate, to find the highest that is held',
    defaults: { eventsPerSecond: 800_000, minutes: 2, ...HUNDRED },
    stages: inSteps(Array.from({ length: CEILING_STEPS }, (_, step) => (step + 1) / CEILING_STEPS)),
    tailSeconds: 120,
  },
}
