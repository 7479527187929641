/**
 * The driver's connection for news of the cluster, which it opens anew when its node goes. Openings may
 * overlap when a node is slow to come back; the one that was overtaken then finds no host, and what it
 * throws nobody catches: without this the process ends (cassandra-driver 4.10.0).
 */
import type { Client } from 'cassandra-driver'

type Refresh = (...args: readonly unknown[]) => Promise<void>

interface ControlConnection {
  _refresh: Refresh
}

/** Lets an opening that fails give way to the other; the client's log says so. */
export function keepControlConnection(client: Client): void {
  const control: unknown = Reflect.get(client, 'controlConnection')
  // Another driver may have none.
  if (!isControlConnection(control)) return
  const refresh = control._refresh.bind(control)
  control._refresh = async (...args) => {
    try {
      await refresh(...args)
    } catch (error) {
      client.emit('log', 'warning', 'ControlConnection', 'gave way to another opening', error)
    }
  }
}

function isControlConnection(value: unknown): value is ControlConnection {
  return typeof value === 'object' && value !== null && '_refresh' in value
}
