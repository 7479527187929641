/** The speed store's contract on a real Cassandra node, and how its tables come to be. */
import { Client } from 'cassandra-driver'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startCassandra, type Cassandra } from '../../scripts/services/cassandra.ts'
import type { CassandraConfig } from './cassandra-config.ts'
import { MIGRATIONS } from './cassandra-migrations.ts'
import { systemClock } from '../runtime/clock.ts'
import { systemRandom } from '../runtime/random.ts'
import { openCassandraSpeedStore } from './cassandra-speed-store.ts'
import { migrateCassandra } from './migrate-cassandra.ts'
import { describeSpeedStore, minuteRow, partitionRow } from './speed-store.contract.ts'
import { cassandraSettings } from './testing/cassandra-settings.ts'

let cassandra: Cassandra
let operator: Client
const shared = cassandraSettings({})

beforeAll(async () => {
  cassandra = await startCassandra()
  operator = new Client({
    contactPoints: [cassandra.contactPoint],
    localDataCenter: 'datacenter1',
    socketOptions: { readTimeout: 60_000 },
  })
  await operator.connect()
})
afterAll(async () => {
  await operator.shutdown()
  await cassandra.stop()
})

/** Changes of schema take longer than everything else here: all tests share the tables, emptied. */
const TABLES = [
  'minutes',
  'sessions',
  'positions',
  'recent_sessions',
  'recent_minutes',
  'viewer_sessions',
  'partitions',
  'rule_states',
]

describeSpeedStore('the Cassandra speed store', async () => {
  const config = { ...shared, contactPoints: [cassandra.contactPoint] }
  return {
    open: () => openCassandraSpeedStore({ config, clock: systemClock, random: systemRandom }),
    nowMs: () => systemClock.nowMs(),
    pass: (durationMs) => systemClock.sleep(durationMs),
    dispose: async () => {
      const { keyspace } = config
      await Promise.all(TABLES.map((table) => operator.execute(`TRUNCATE ${keyspace}.${table}`)))
    },
  }
})

/** How a table says that it is compacted. */
type Compaction = Readonly<Record<string, string>>

const fresh = () => cassandraSettings({ contactPoints: [cassandra.contactPoint] })
const open = (config: CassandraConfig) =>
  openCassandraSpeedStore({ config, clock: systemClock, random: systemRandom })

describe('the tables of the Cassandra speed store', () => {
  it('are made once by stores that are opened at the same time, and kept by later ones', async () => {
    const config = fresh()
    const stores = await Promise.all(Array.from({ length: 4 }, () => open(config)))
    const rows = stores.map((_, partition) => partitionRow({ partition }))
    await Promise.all(
      stores.map((store, index) => store.putPartitions(rows.slice(index, index + 1))),
    )
    for (const store of stores) expect(await store.readPartitions('view-1')).toEqual(rows)
    const applied = await operator.execute(
      `SELECT version, owner FROM ${config.keyspace}.schema_migrations`,
    )
    expect(applied.rows.map((row) => row['version'] as number)).toEqual(
      MIGRATIONS.map(({ version }) => version),
    )
    const later = await open(config)
    expect(await later.readPartitions('view-1')).toEqual(rows)
    for (const store of [...stores, later]) await store.close()
  })

  it('of rows by event time expire in windows, some thirty of them in the 90 days of a row', async () => {
    const store = await open({ ...shared, contactPoints: [cassandra.contactPoint] })
    await store.close()
    const { rows } = await operator.execute(
      'SELECT table_name, compaction FROM system_schema.tables WHERE keyspace_name = ?',
      [shared.keyspace],
    )
    const windows = new Map(
      rows.map((row) => [row['table_name'] as string, row['compaction'] as Compaction]),
    )
    // Progress and the states of rules are few rows that are written again and again.
    const byTime = TABLES.filter((table) => !['partitions', 'rule_states'].includes(table))
    for (const table of byTime)
      expect(windows.get(table), table).toMatchObject({
        class: expect.stringContaining('TimeWindowCompactionStrategy'),
        compaction_window_unit: 'DAYS',
        compaction_window_size: '3',
      })
  })

  it('can be made before any store is opened, and again', async () => {
    const parts = { config: fresh(), clock: systemClock, random: systemRandom }
    const version = await migrateCassandra(parts)
    expect(await migrateCassandra(parts)).toBe(version)
    const { rows } = await operator.execute(
      `SELECT version FROM ${parts.config.keyspace}.schema_migrations`,
    )
    expect(Math.max(...rows.map((row) => row['version'] as number))).toBe(version)
  })

  it('are waited for while another process makes them, and made when it died', async () => {
    const config = fresh()
    const store = await open(config)
    await store.close()
    const migrations = `${config.keyspace}.schema_migrations`
    await operator.execute(`DELETE FROM ${migrations} WHERE version = 1`)
    await operator.execute(`DROP TABLE ${config.keyspace}.positions`)
    // The lease of a process that was killed in the middle of its work.
    await operator.execute(
      `INSERT INTO ${migrations} (version, owner) VALUES (0, 'gone') USING TTL 3`,
    )
    const startedMs = systemClock.monotonicMs()
    const next = await open(config)
    expect(systemClock.monotonicMs() - startedMs).toBeGreaterThan(1_000)
    await next.putMinutes([minuteRow()])
    await next.close()
  })

  it('are not searched for a time that has too many hours', async () => {
    const store = await open({ ...shared, contactPoints: [cassandra.contactPoint] })
    const query = { view: 'view-1', cut: 'cdn', fromMs: 0, toMs: 2 ** 47, limit: 1 }
    await expect(store.readMinutes(query)).rejects.toMatchObject({ code: 'SPEED_QUERY_TOO_LARGE' })
    await store.close()
  })

  it('are refused when an applied step was another than this program has', async () => {
    const config = fresh()
    const store = await open(config)
    await store.close()
    await operator.execute(
      `UPDATE ${config.keyspace}.schema_migrations SET checksum = 'other' WHERE version = 1`,
    )
    await expect(open(config)).rejects.toMatchObject({
      code: 'SPEED_SCHEMA_UNFIT',
      spec: { retryable: false },
    })
  })
})
