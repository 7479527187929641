/**
 * Stopping without losing anyone: unready at once, every client asked to reconnect elsewhere at its
 * own random moment, what is in flight acknowledged, then closed with 1001. Bounded by a grace.
 */
import type { Clock } from '../shared/runtime/clock.ts'
import type { Random } from '../shared/runtime/random.ts'
import type { Admission } from './admission.ts'
import type { Clients } from './clients.ts'
import type { Connection } from './connection.ts'
import type { Lanes } from './lanes.ts'
import { DRAIN_POLL_MS, LEAVE_MARGIN_MS } from './limits.ts'
import type { GatewayTelemetry } from './telemetry.ts'

export interface DrainOptions {
  readonly clients: Clients
  readonly admission: Admission
  readonly lanes: Lanes
  readonly clock: Clock
  readonly random: Random
  readonly telemetry: GatewayTelemetry
  readonly spreadMs: number
  readonly graceMs: number
}

/** Resolves when nothing is open or in flight any more, at the latest after the grace. */
export async function drain(options: DrainOptions): Promise<void> {
  const { clients, admission, lanes, clock, telemetry, graceMs } = options
  const startedAtMs = clock.monotonicMs()
  admission.drain()
  telemetry.drainStarted(clients.size)
  const leaveAtMs = new Map<Connection, number>()
  while (admission.connections > 0 || admission.requests > 0 || !lanes.isIdle) {
    const nowMs = clock.monotonicMs()
    if (nowMs - startedAtMs >= graceMs) break
    // Upgrades that were under way may still come in: they are sent away like the others.
    for (const connection of clients) {
      const dueMs = leaveAtMs.get(connection)
      if (dueMs === undefined) leaveAtMs.set(connection, nowMs + sendAway(connection, options))
      else if (nowMs >= dueMs) connection.leave()
    }
    await clock.sleep(DRAIN_POLL_MS)
  }
  const left = { connections: admission.connections, requests: admission.requests }
  for (const connection of clients) connection.close('GATEWAY_DRAINING')
  telemetry.drained({ ...left, durationMs: Math.round(clock.monotonicMs() - startedAtMs) })
}

/** Returns after how long the gateway closes the connection itself. */
function sendAway(connection: Connection, { random, spreadMs }: DrainOptions): number {
  const reconnectAfterMs = random.below(spreadMs + 1)
  connection.goAway(reconnectAfterMs)
  return reconnectAfterMs + LEAVE_MARGIN_MS
}
