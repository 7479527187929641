/** What the parent of a pool reports beside the merged metrics of its processes. */
import { createMetrics, defineMetrics, type TelemetryBase } from '../../shared/runtime/telemetry.ts'
import type { MemberObserver, MemberState, PoolMember } from './member.ts'

export const poolMetrics = defineMetrics({
  processes: {
    kind: 'gauge',
    name: 'gateway_pool_processes',
    help: 'Processes of the pool by state (limit: GATEWAY_PROCESSES over all states).',
    labels: ['state'],
  },
  restarts: {
    kind: 'counter',
    name: 'gateway_pool_restarts_total',
    help: 'Processes that ended without being asked to and were started again.',
  },
})

const STATES: readonly MemberState[] = [
  'starting',
  'ready',
  'unready',
  'waiting',
  'draining',
  'stopped',
]

export interface PoolTelemetry extends MemberObserver {
  report(members: readonly PoolMember[]): void
}

export function createPoolTelemetry({ registry, log }: TelemetryBase): PoolTelemetry {
  const metrics = createMetrics(poolMetrics, registry)
  return {
    started({ index, pid }) {
      log.info({ index, pid }, 'gateway process started')
    },
    ended({ index }, how, restartAfterMs) {
      metrics.restarts.inc()
      log.error({ index, how, restartAfterMs: Math.round(restartAfterMs) }, 'gateway process ended')
    },
    drained({ index }, how) {
      log.info({ index, how }, 'gateway process drained')
    },
    report(members) {
      for (const state of STATES)
        metrics.processes.set({ state }, members.filter((each) => each.state === state).length)
    },
  }
}
