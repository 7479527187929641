/**
 * The base of telemetry. A service lists its metrics once in `telemetry.ts` (`defineMetrics`), and
 * wraps them in named events (`telemetry.framePublished({…})`) so that call sites know neither
 * metric names nor log keys. `docs/metrics.md` is generated from the same lists.
 */
import { pino, stdSerializers, type Logger } from 'pino'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { BackhaulError } from './errors.ts'

export type { Logger } from 'pino'

export interface MetricSpec {
  readonly kind: 'counter' | 'gauge' | 'histogram'
  /** `<service>_<noun>_<unit>[_total]`. */
  readonly name: string
  readonly help: string
  readonly labels?: readonly string[]
  /** Upper bounds of a histogram, in the metric's unit. */
  readonly buckets?: readonly number[]
  /** Of a gauge: it stands for a count that is kept elsewhere, and rises until the process ends. */
  readonly rises?: true
  /** How the values of several processes become one; without it they are added. */
  readonly merge?: 'sum' | 'min' | 'max' | 'average'
}
export type MetricTable = Readonly<Record<string, MetricSpec>>

type MetricOf<Spec extends MetricSpec> = Spec['kind'] extends 'counter'
  ? Counter
  : Spec['kind'] extends 'gauge'
    ? Gauge
    : Histogram
export type MetricsOf<Table extends MetricTable> = {
  readonly [Key in keyof Table]: MetricOf<Table[Key]>
}

export function defineMetrics<const Table extends MetricTable>(table: Table): Table {
  return table
}

/** Registers every metric of `table` in `registry`. */
export function createMetrics<Table extends MetricTable>(
  table: Table,
  registry: Registry,
): MetricsOf<Table> {
  const metrics: Record<string, Counter | Gauge | Histogram> = {}
  for (const [key, spec] of Object.entries(table)) {
    const base = {
      name: spec.name,
      help: spec.help,
      labelNames: [...(spec.labels ?? [])],
      registers: [registry],
      aggregator: spec.merge ?? 'sum',
    }
    if (spec.kind === 'counter') metrics[key] = new Counter(base)
    else if (spec.kind === 'gauge') metrics[key] = new Gauge(base)
    else metrics[key] = new Histogram({ ...base, buckets: [...(spec.buckets ?? LATENCY_MS)] })
  }
  return metrics as MetricsOf<Table>
}

/** Sets the gauge each time that metrics are read; prom-client takes the hook from the gauge. */
export function collect(gauge: Gauge, set: (gauge: Gauge) => void): void {
  Object.assign(gauge, { collect: () => set(gauge) })
}

/** Bucket bounds for latencies in milliseconds. */
const LATENCY_MS: readonly number[] = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000,
]

/** What every service's telemetry is made from. */
export interface TelemetryBase {
  readonly registry: Registry
  readonly log: Logger
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

/** JSON lines on standard error, so that standard output stays for people and pipes. */
export function createTelemetryBase(level: LogLevel): TelemetryBase {
  const options = { level, base: null, serializers: { err: loggedError } }
  const log = pino(options, pino.destination({ dest: 2, sync: true }))
  return { registry: new Registry(), log }
}

/**
 * An error with its own plain values. Objects are left out: libraries hang the request on their
 * errors, with the credentials it bore.
 */
export function loggedError(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const values = Object.entries(stdSerializers.err(error))
  const plain = values.filter(([, value]) => typeof value !== 'object')
  const known = error instanceof BackhaulError ? { spec: error.spec } : {}
  return { ...Object.fromEntries(plain), ...known }
}
