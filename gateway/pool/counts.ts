/**
 * What a process of a pool counted outlives it: a total that fell when one ends would be taken for
 * a restart of them all, and rates and the equations of conservation would be wrong. It is what the
 * process said last; what it counted after that is lost with it (`POOL_TELL_MS`). Its gauges go.
 *
 * What was in flight in it nobody was told is durable. Clients send it again, so it counts as given
 * back, and the equations hold.
 */
import type { MetricSpec } from '../../shared/runtime/telemetry.ts'
import { gatewayMetrics } from '../telemetry.ts'
import type { Metrics } from './messages.ts'

/** The `reason` in `gateway_refused_events` of what was in flight in a process that ended. */
const PROCESS_ENDED = 'processEnded'

const RISING_GAUGES: ReadonlySet<string> = new Set(
  Object.values<MetricSpec>(gatewayMetrics)
    .filter(({ rises }) => rises === true)
    .map(({ name }) => name),
)

type Metric = Metrics[number]
/** A histogram's buckets, sum and count have names of their own. */
type Sample = Metric['values'][number] & { readonly metricName?: string }

/** Counters, histograms, and gauges that stand for a count. */
export function countsOf(metrics: Metrics): Metrics {
  return metrics.filter(({ name, type }) => String(type) !== 'gauge' || RISING_GAUGES.has(name))
}

/** The counts of all processes that have ended, as one: as many series as a process has. */
export class EndedCounts {
  readonly #totals = new Map<string, { metric: Metric; samples: Map<string, Sample> }>()

  /** Adds what a process said last. */
  add(last: Metrics): void {
    for (const metric of givenBack(countsOf(last))) {
      const { name } = metric
      const total = this.#totals.get(name) ?? { metric, samples: new Map<string, Sample>() }
      this.#totals.set(name, total)
      for (const sample of metric.values) {
        const key = keyOf(sample)
        const value = (total.samples.get(key)?.value ?? 0) + sample.value
        total.samples.set(key, { ...sample, value })
      }
    }
  }

  get metrics(): Metrics {
    return [...this.#totals.values()].map(({ metric, samples }) => ({
      ...metric,
      values: [...samples.values()],
    }))
  }
}

/** Every process runs the same code, so it names the labels of a metric in the same order. */
function keyOf({ metricName = '', labels }: Sample): string {
  return JSON.stringify([metricName, labels])
}

function givenBack(metrics: Metrics): Metrics {
  const events = metrics.find(({ name }) => name === gatewayMetrics.events.name)
  const inFlight = events?.values.find(({ labels }) => labels['outcome'] === 'inFlight')?.value ?? 0
  return metrics.map((metric) => {
    const values = metric.values.map((sample) =>
      sample.labels['outcome'] === 'inFlight'
        ? { ...sample, labels: { ...sample.labels, outcome: 'refused' } }
        : sample,
    )
    if (metric.name === gatewayMetrics.refusals.name)
      values.push({ labels: { reason: PROCESS_ENDED }, value: inFlight })
    return { ...metric, values }
  })
}
