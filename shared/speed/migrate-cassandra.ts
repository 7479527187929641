/**
 * Cassandra's tables brought forward and nothing else: for who installs, before any service of the new
 * version is there. Services do the same when they open, and find it done.
 */
import type { Clock } from '../runtime/clock.ts'
import type { Random } from '../runtime/random.ts'
import { createTelemetryBase } from '../runtime/telemetry.ts'
import type { CassandraConfig } from './cassandra-config.ts'
import { CassandraConnection } from './cassandra-connection.ts'
import { MIGRATIONS } from './cassandra-migrations.ts'
import { createCassandraSpeedTelemetry } from './cassandra-telemetry.ts'

export interface MigrateOptions {
  readonly config: CassandraConfig
  readonly clock: Clock
  readonly random: Random
}

/** Returns the version that the tables are of now. Throws `SPEED_…`; safe to repeat. */
export async function migrateCassandra(options: MigrateOptions): Promise<number> {
  const telemetry = createCassandraSpeedTelemetry(createTelemetryBase('silent'))
  const connection = new CassandraConnection({ ...options, telemetry })
  try {
    await connection.client()
    return Math.max(...MIGRATIONS.map(({ version }) => version))
  } finally {
    await connection.close()
  }
}
