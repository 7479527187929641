import { expect, it } from 'vitest'
import { createProcessorTelemetry } from './telemetry.ts'
import { metricValue, ScriptedFold, silentTelemetry } from './testing/test-doubles.ts'

it('tells nothing more of a partition that it has given up, but that it did', async () => {
  const base = silentTelemetry()
  const telemetry = createProcessorTelemetry(base)
  const { status } = new ScriptedFold()
  for (const partition of [3, 4]) {
    telemetry.stateChanged(partition, 'running')
    telemetry.foldReported(partition, status)
    telemetry.queueReported(partition, 'narrow', { dirty: 5, inFlight: 1 })
    telemetry.oldestWrite(partition, 90_000)
    telemetry.dataLost(partition, { from: 1, to: 9 })
    telemetry.checkpointSaved(partition, { offset: 1, bytes: 2, durationMs: 3 })
    telemetry.taskReported({
      partition,
      state: 'running',
      nextOffset: 1,
      endOffset: 9,
      lagRecords: 8,
      lagMs: 70_000,
      watermarkMs: 5,
      checkpointOffset: 1,
      generation: 1,
      pausedReason: undefined,
      failureCode: undefined,
    })
  }
  telemetry.stateChanged(3, 'stopped')
  const gauges = (await base.registry.getMetricsAsJSON()).filter(
    ({ type }) => `${type}` === 'gauge',
  )
  const told = (partition: number) =>
    gauges.flatMap(({ name, values }) =>
      values.some(({ labels }) => labels['partition'] === partition) ? [name] : [],
    )
  expect(told(3)).toEqual(['processor_partition_state'])
  expect(told(4).length).toBeGreaterThan(10)
  const state = (of: string) =>
    metricValue(base, 'processor_partition_state', { partition: 3, state: of })
  expect([await state('running'), await state('stopped')]).toEqual([0, 1])
})
