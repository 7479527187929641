import type { Registry } from 'prom-client'

/** Reads one value as Prometheus would: the line of the metric with exactly these labels. */
export async function metricIn(registry: Registry, name: string, labels = ''): Promise<number> {
  const prefix = labels === '' ? `${name} ` : `${name}{${labels}} `
  const lines = (await registry.metrics()).split('\n')
  const line = lines.find((candidate) => candidate.startsWith(prefix))
  if (line === undefined) throw new Error(`no metric ${prefix}`)
  return Number(line.slice(prefix.length))
}
