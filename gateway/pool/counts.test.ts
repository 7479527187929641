import { Registry } from 'prom-client'
import { expect, test } from 'vitest'
import { createMetrics } from '../../shared/runtime/telemetry.ts'
import { gatewayMetrics } from '../telemetry.ts'
import { EndedCounts, countsOf } from './counts.ts'

/** What a process says that has received 10 events, of which 3 are in flight. */
async function said(connections: number) {
  const registry = new Registry()
  const metrics = createMetrics(gatewayMetrics, registry)
  const outcomes = { received: 10, accepted: 5, rejected: 1, refused: 1, inFlight: 3 }
  for (const [outcome, count] of Object.entries(outcomes)) metrics.events.set({ outcome }, count)
  metrics.refusals.set({ reason: 'overload' }, 1)
  metrics.connections.set(connections)
  metrics.closes.inc({ code: 'client' }, 4)
  metrics.appendMs.observe({ topic: 'playback.events' }, 7)
  return await registry.getMetricsAsJSON()
}

function samples(counts: EndedCounts, name: string): Record<string, number> {
  const { values = [] } = counts.metrics.find((metric) => metric.name === name) ?? {}
  return Object.fromEntries(
    values.map((value) => [Object.values(value.labels).join(' '), value.value]),
  )
}

test('counts add up over processes that ended, gauges go, and what was in flight was given back', async () => {
  const counts = new EndedCounts()
  expect(counts.metrics).toEqual([])
  for (const connections of [7, 8]) counts.add(await said(connections))
  expect(samples(counts, 'gateway_events')).toEqual({
    received: 20,
    accepted: 10,
    rejected: 2,
    refused: 8,
  })
  expect(samples(counts, 'gateway_refused_events')).toEqual({ overload: 2, processEnded: 6 })
  expect(samples(counts, 'gateway_closes_total')).toEqual({ client: 8 })
  expect(samples(counts, 'gateway_connections')).toEqual({})
  const appends = counts.metrics.find(({ name }) => name === 'gateway_append_ms')
  expect(appends?.values).toContainEqual(
    expect.objectContaining({ metricName: 'gateway_append_ms_sum', value: 14 }),
  )
})

test('the counts of a process that ended have no more series than one that runs', async () => {
  const one = countsOf(await said(1))
  const counts = new EndedCounts()
  for (let ended = 0; ended < 50; ended += 1) counts.add(await said(ended))
  const series = (metrics: typeof one) => metrics.flatMap(({ values }) => values).length
  // `inFlight` became `refused`; `processEnded` is a reason more.
  expect(series(counts.metrics)).toBe(series(one))
})
