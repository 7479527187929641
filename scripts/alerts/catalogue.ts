/** Whether what an expression asks for is there: the metrics of the services, and the recorded ones. */
import { serviceMetrics } from '../docs/service-metrics.ts'
import { askedBy } from './promql.ts'

/** What whoever scrapes adds to every series. */
const TARGET_LABELS = ['instance', 'job', 'namespace', 'pod']
const HISTOGRAM_SUFFIX = /_(?:bucket|count|sum)$/
const RECORDED = /^backhaul:/

const labelsByMetric = new Map(
  serviceMetrics
    .flatMap(({ metrics }) => metrics.flatMap((table) => Object.values(table)))
    .map((spec) => [spec.name, spec]),
)

export interface RecordedMetric {
  readonly record: string
  readonly expr: string
}

/** Everything that is wrong with an expression, in words; nothing when it can be answered. */
export function problemsOf(expression: string, recorded: readonly RecordedMetric[]): string[] {
  const { selectors, grouping } = askedBy(expression)
  const problems: string[] = []
  const known = new Set(TARGET_LABELS)
  for (const { metric, labels } of selectors) {
    const own = labelsOf(metric, recorded)
    if (own === undefined) problems.push(`there is no metric ${metric}`)
    for (const label of own ?? []) known.add(label)
    for (const label of labels)
      if (own !== undefined && ![...own, ...TARGET_LABELS].includes(label))
        problems.push(`${metric} has no label ${label}`)
  }
  for (const label of grouping)
    if (!known.has(label)) problems.push(`no metric here has the label ${label}`)
  return problems
}

/** Labels that results of an expression may have. */
export function labelsIn(expression: string, recorded: readonly RecordedMetric[]): string[] {
  const { selectors } = askedBy(expression)
  return [...TARGET_LABELS, ...selectors.flatMap(({ metric }) => labelsOf(metric, recorded) ?? [])]
}

/** `undefined` when there is no such metric. */
function labelsOf(
  metric: string,
  recorded: readonly RecordedMetric[],
): readonly string[] | undefined {
  if (RECORDED.test(metric)) {
    const rule = recorded.find(({ record }) => record === metric)
    return rule === undefined ? undefined : labelsIn(rule.expr, recorded)
  }
  const plain = labelsByMetric.get(metric)
  if (plain !== undefined && plain.kind !== 'histogram') return plain.labels ?? []
  const histogram = labelsByMetric.get(metric.replace(HISTOGRAM_SUFFIX, ''))
  if (histogram?.kind !== 'histogram' || !HISTOGRAM_SUFFIX.test(metric)) return undefined
  return [...(histogram.labels ?? []), 'le']
}
