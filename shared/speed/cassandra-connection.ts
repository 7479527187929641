/**
 * The client that all statements go through, connected and its tables up to date. A cluster that
 * cannot be reached yet is tried again by the next call; once it was, the driver keeps the
 * connections up.
 */
import type { Client } from 'cassandra-driver'
import type { Clock } from '../runtime/clock.ts'
import type { Random } from '../runtime/random.ts'
import { createCassandraClient } from './cassandra-client.ts'
import type { CassandraConfig } from './cassandra-config.ts'
import { openingFailure } from './cassandra-failure.ts'
import { RECONNECT_MS } from './cassandra-limits.ts'
import { MIGRATIONS } from './cassandra-migrations.ts'
import { migrate } from './cassandra-migrator.ts'
import type { CassandraSpeedTelemetry } from './cassandra-telemetry.ts'
import { speedErrors } from './speed-errors.ts'

export interface CassandraConnectionParts {
  readonly config: CassandraConfig
  readonly clock: Clock
  readonly random: Random
  readonly telemetry: CassandraSpeedTelemetry
}

export class CassandraConnection {
  readonly #parts: CassandraConnectionParts
  #client: Promise<Client> | undefined
  #wasUnreachable = false
  #closed = false

  constructor(parts: CassandraConnectionParts) {
    this.#parts = parts
  }

  /** The connected client; calls share one attempt. Throws what `openingFailure` says. */
  async client(): Promise<Client> {
    if (this.#closed) throw speedErrors.create('SPEED_CLOSED')
    this.#client ??= this.#open()
    return await this.#client
  }

  async close(): Promise<void> {
    this.#closed = true
    const client = await this.#client?.catch(() => undefined)
    await client?.shutdown()
  }

  async #open(): Promise<Client> {
    const { config, telemetry } = this.#parts
    try {
      await connected(createCassandraClient(config), async (client) => {
        await this.#migrate(client)
        await client.shutdown()
      })
      const client = createCassandraClient(config, config.keyspace)
      await connected(client, async () => undefined)
      if (this.#wasUnreachable) telemetry.reachable()
      return client
    } catch (error) {
      // Until then all calls are told of this failure, however many they are.
      this.#parts.clock.after(RECONNECT_MS, () => (this.#client = undefined))
      const failure = openingFailure(error)
      if (!this.#wasUnreachable) telemetry.unreachable(failure)
      this.#wasUnreachable = true
      throw failure
    }
  }

  #migrate(client: Client): Promise<void> {
    const { config, clock, random, telemetry } = this.#parts
    const { keyspace, localDataCenter, replicationFactor } = config
    return migrate({
      client,
      keyspace,
      dataCenter: localDataCenter,
      replicationFactor,
      migrations: MIGRATIONS,
      clock,
      random,
      telemetry,
    })
  }
}

/** Connects and does `work`; a client that fails is shut down. */
async function connected(client: Client, work: (client: Client) => Promise<void>): Promise<void> {
  try {
    await client.connect()
    await work(client)
  } catch (error) {
    await client.shutdown()
    throw error
  }
}
