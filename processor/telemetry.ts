/**
 * What the processor reports: its metrics, and the named events that move them. The parts are
 * `fold-telemetry.ts`, `row-telemetry.ts` and `recovery-telemetry.ts`.
 */
import { createMetrics, type TelemetryBase } from '../shared/runtime/telemetry.ts'
import { foldEvents, foldMetrics, forgetFold } from './fold-telemetry.ts'
import { forgetRecovery, recoveryEvents, recoveryMetrics } from './recovery-telemetry.ts'
import { forgetRows, rowEvents, rowMetrics } from './row-telemetry.ts'
import type { TaskState } from './task-state.ts'

export const processorMetrics = { ...foldMetrics, ...rowMetrics, ...recoveryMetrics }

export type ProcessorTelemetry = ReturnType<typeof createProcessorTelemetry>

export function createProcessorTelemetry({ registry, log }: TelemetryBase) {
  const metrics = createMetrics(processorMetrics, registry)
  const fold = foldEvents(metrics, log)
  return {
    log,
    ...fold,
    ...rowEvents(metrics, log),
    ...recoveryEvents(metrics, log),
    /**
     * What stood of a partition that is somebody else's now is forgotten: a lag that nobody works off
     * any more, or a state that nobody leaves, would go on to alert. Its state stays, as stopped.
     */
    stateChanged(of: number, state: TaskState) {
      fold.stateChanged(of, state)
      if (state !== 'stopped') return
      forgetFold(metrics, of)
      forgetRows(metrics, of)
      forgetRecovery(metrics, of)
    },
  }
}
