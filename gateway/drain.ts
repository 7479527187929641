/**
 * Stopping without losing anyone and without a storm: unready at once, so that nobody new is sent
 * here; then every client is asked to reconnect elsewhere at its own random moment, what is in
 * flight acknowledged, and the connection closed with 1001. Bounded by a grace.
 */
import type { Clock } from '../shared/runtime/clock.ts'
import type { Random } from '../shared/runtime/random.ts'
import type { Admission } from './admission.ts'
import type { Clients } from './clients.ts'
import type { Connection } from './connection.ts'
import { DRAIN_POLL_MS, GOAWAY_RECONNECT_MAX_MS } from './limits.ts'
import type { GatewayTelemetry } from './telemetry.ts'

export interface DrainOptions {
  readonly clients: Clients
  readonly admission: Admission
  /** What must be empty before the end. */
  readonly queues: readonly { readonly isIdle: boolean }[]
  readonly clock: Clock
  readonly random: Random
  readonly telemetry: GatewayTelemetry
  /** Between turning unready and the first client that is asked to go. */
  readonly delayMs: number
  readonly spreadMs: number
  readonly graceMs: number
}

/** Resolves when nothing is open or in flight any more, at the latest after the grace. */
export async function drain(options: DrainOptions): Promise<void> {
  const { clients, admission, queues, clock, random, telemetry } = options
  const { delayMs, spreadMs, graceMs } = options
  const startedAtMs = clock.monotonicMs()
  admission.drain()
  telemetry.drainStarted(clients.size)
  const goAwayAtMs = new Map<Connection, number>()
  while (admission.connections > 0 || admission.requests > 0 || !queues.every(isIdle)) {
    const nowMs = clock.monotonicMs()
    if (nowMs - startedAtMs >= graceMs) break
    // Upgrades that were under way may still come in: they are sent away like the others.
    for (const connection of clients) {
      const dueMs = goAwayAtMs.get(connection)
      if (dueMs === undefined)
        goAwayAtMs.set(connection, startedAtMs + delayMs + random.below(spreadMs + 1))
      else if (nowMs >= dueMs) {
        connection.goAway(random.below(Math.min(spreadMs, GOAWAY_RECONNECT_MAX_MS) + 1))
        goAwayAtMs.set(connection, Number.POSITIVE_INFINITY)
      }
      connection.sweep()
    }
    await clock.sleep(DRAIN_POLL_MS)
  }
  const left = { connections: admission.connections, requests: admission.requests }
  for (const connection of clients) connection.close('GATEWAY_DRAINING')
  telemetry.drained({ ...left, durationMs: Math.round(clock.monotonicMs() - startedAtMs) })
}

function isIdle(queue: { readonly isIdle: boolean }): boolean {
  return queue.isIdle
}
