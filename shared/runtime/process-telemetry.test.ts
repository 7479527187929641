import { expect, test } from 'vitest'
import { ManualClock } from './clock.ts'
import { reportStart } from './process-telemetry.ts'
import { createTelemetryBase } from './telemetry.ts'

test('a process tells when it began, whenever it is asked', async () => {
  const telemetry = createTelemetryBase('silent')
  const clock = new ManualClock(1_780_000_000_500)
  reportStart(telemetry, clock)
  await clock.advance(60_000)
  expect(await telemetry.registry.metrics()).toContain(
    '\nbackhaul_process_start_time_seconds 1780000000.5\n',
  )
})
