/**
 * Brings a keyspace to the newest tables. Processes that start together take turns: changes of
 * schema at the same time can leave a cluster with two tables of one name. Whoever has the lease
 * applies; a holder that dies loses it by its expiry, and the next goes on with the step that was
 * under way, whose statements may be repeated.
 */
import { createHash } from 'node:crypto'
import type { Client } from 'cassandra-driver'
import type { Clock } from '../runtime/clock.ts'
import type { Random } from '../runtime/random.ts'
import { MIGRATION_LEASE_MS, MIGRATION_POLL_MS, MIGRATION_WAIT_MS } from './cassandra-limits.ts'
import type { Migration } from './cassandra-migrations.ts'
import type { CassandraSpeedTelemetry } from './cassandra-telemetry.ts'
import { speedErrors } from './speed-errors.ts'

export interface MigratorParts {
  /** A client that is in no keyspace. */
  readonly client: Client
  readonly keyspace: string
  readonly dataCenter: string
  readonly replicationFactor: number
  readonly migrations: readonly Migration[]
  readonly clock: Clock
  readonly random: Random
  readonly telemetry: CassandraSpeedTelemetry
}

/** Version of the row that is the lease; steps begin at 1. */
const LEASE_VERSION = 0

/** Applies the steps that are missing; a keyspace that has them all is only read. */
export async function migrate(parts: MigratorParts): Promise<void> {
  if (!(await tableExists(parts))) await createKeyspace(parts)
  if ((await missing(parts)).length === 0) return
  const owner = parts.random.uuid()
  await takeLease(parts, owner)
  try {
    for (const migration of await missing(parts)) await apply(parts, migration, owner)
  } finally {
    await releaseLease(parts, owner)
  }
}

async function tableExists({ client, keyspace }: MigratorParts): Promise<boolean> {
  const query =
    'SELECT table_name FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?'
  const { rows } = await client.execute(query, [keyspace, 'schema_migrations'])
  return rows.length > 0
}

async function createKeyspace(parts: MigratorParts): Promise<void> {
  const { client, keyspace, dataCenter, replicationFactor } = parts
  const { rows } = await client.execute(
    'SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?',
    [keyspace],
  )
  const replication = `{'class': 'NetworkTopologyStrategy', '${dataCenter}': ${replicationFactor}}`
  if (rows.length === 0)
    await change(
      parts,
      `CREATE KEYSPACE IF NOT EXISTS ${keyspace} WITH replication = ${replication}`,
    )
  // Before there is a lease, processes may create this one at the same time: with a given id they
  // all create the same.
  await change(
    parts,
    `CREATE TABLE IF NOT EXISTS ${keyspace}.schema_migrations (
      version int PRIMARY KEY, checksum text, owner text
    ) WITH id = ${tableId(`${keyspace}.schema_migrations`)}`,
  )
}

/** Steps that are not applied. Throws `SPEED_SCHEMA_UNFIT` when an applied one was another. */
async function missing({ client, keyspace, migrations }: MigratorParts): Promise<Migration[]> {
  const { rows } = await client.execute(
    `SELECT version, checksum FROM ${keyspace}.schema_migrations`,
  )
  const applied = new Map(
    rows.map((row) => [row['version'] as number, row['checksum'] as string | null]),
  )
  return migrations.filter((migration) => {
    const found = applied.get(migration.version)
    const expected = checksum(migration)
    if (found === undefined || found === null) return true
    if (found === expected) return false
    throw speedErrors.create('SPEED_SCHEMA_UNFIT', {
      expected: `migration ${migration.version} with checksum ${expected} in ${keyspace}.schema_migrations`,
      received: found,
    })
  })
}

async function apply(parts: MigratorParts, migration: Migration, owner: string): Promise<void> {
  const { client, keyspace, telemetry } = parts
  for (const statement of migration.statements) await change(parts, inKeyspace(statement, keyspace))
  await client.execute(
    `INSERT INTO ${keyspace}.schema_migrations (version, checksum, owner) VALUES (?, ?, ?)`,
    [migration.version, checksum(migration), owner],
  )
  telemetry.migrated(keyspace, migration.version)
}

/** A change of schema; the driver waits until all nodes agree on it, and says so. */
async function change({ client }: MigratorParts, statement: string): Promise<void> {
  const { info } = await client.execute(statement, [], { prepare: false })
  if (!('isSchemaInAgreement' in info) || info.isSchemaInAgreement === true) return
  throw speedErrors.create('SPEED_UNAVAILABLE', {
    expected: 'all nodes to agree on the schema',
    received: 'nodes that do not yet',
  })
}

async function takeLease(parts: MigratorParts, owner: string): Promise<void> {
  const { client, keyspace, clock } = parts
  const deadlineMs = clock.monotonicMs() + MIGRATION_WAIT_MS
  const seconds = MIGRATION_LEASE_MS / 1_000
  for (;;) {
    const taken = await client.execute(
      `INSERT INTO ${keyspace}.schema_migrations (version, owner) VALUES (?, ?) IF NOT EXISTS USING TTL ${seconds}`,
      [LEASE_VERSION, owner],
    )
    if (taken.wasApplied()) return
    if (clock.monotonicMs() > deadlineMs)
      throw speedErrors.create('SPEED_UNAVAILABLE', {
        expected: 'another process to end its migrations',
        received: `its lease after ${MIGRATION_WAIT_MS} ms`,
      })
    await clock.sleep(MIGRATION_POLL_MS)
  }
}

async function releaseLease({ client, keyspace }: MigratorParts, owner: string): Promise<void> {
  await client.execute(`DELETE FROM ${keyspace}.schema_migrations WHERE version = ? IF owner = ?`, [
    LEASE_VERSION,
    owner,
  ])
}

function inKeyspace(statement: string, keyspace: string): string {
  return statement.replace(/TABLE IF NOT EXISTS /, `TABLE IF NOT EXISTS ${keyspace}.`)
}

function checksum({ statements }: Migration): string {
  return createHash('sha256').update(statements.join(';\n')).digest('hex').slice(0, 16)
}

/** A UUID that the name determines. */
function tableId(name: string): string {
  const hex = createHash('sha256').update(name).digest('hex')
  const parts = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `5${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
  ]
  return [...parts, hex.slice(20, 32)].join('-')
}
