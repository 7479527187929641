import type { MetricTable } from '../../shared/runtime/telemetry.ts'

export interface ServiceMetrics {
  readonly title: string
  readonly metrics: readonly MetricTable[]
}

/** `docs/metrics.md`: every metric a service exposes on `/metrics`. */
export function metricsPage(services: readonly ServiceMetrics[]): string {
  const parts = [
    '# Service metrics',
    '',
    'Prometheus metrics of the services themselves, on `/metrics`. The metrics of playback are',
    'defined in [metrics-definitions.md](metrics-definitions.md).',
  ]
  for (const { title, metrics } of services) {
    parts.push('', `## ${title}`, '', '| metric | kind | labels | meaning |', '|---|---|---|---|')
    for (const spec of metrics.flatMap((table) => Object.values(table))) {
      const labels = (spec.labels ?? []).map((label) => `\`${label}\``).join(', ')
      parts.push(
        `| \`${spec.name}\` | ${spec.kind} | ${labels === '' ? '–' : labels} | ${spec.help} |`,
      )
    }
  }
  return `${parts.join('\n')}\n`
}
