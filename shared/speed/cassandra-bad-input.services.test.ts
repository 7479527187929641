/** Settings that a node refuses: each ends the opening with an error that says what to change. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'cassandra-driver'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startCassandra, type Cassandra } from '../../scripts/services/cassandra.ts'
import { systemClock } from '../runtime/clock.ts'
import { systemRandom } from '../runtime/random.ts'
import type { CassandraConfig } from './cassandra-config.ts'
import { openCassandraSpeedStore } from './cassandra-speed-store.ts'
import { partitionRow } from './speed-store.contract.ts'
import type { SpeedStore } from './speed-store.ts'
import { cassandraSettings } from './testing/cassandra-settings.ts'

const OPERATOR = { user: 'cassandra', password: 'cassandra' }

let cassandra: Cassandra
let folder: string
let tls: Pick<CassandraConfig, 'tls' | 'tlsCaFile'>

const open = (changes: Partial<CassandraConfig>): Promise<SpeedStore> =>
  openCassandraSpeedStore({
    config: cassandraSettings({ contactPoints: [cassandra.contactPoint], ...changes }),
    clock: systemClock,
    random: systemRandom,
  })

const clientOf = ({ user, password }: { readonly user: string; readonly password: string }) =>
  new Client({
    contactPoints: [cassandra.contactPoint],
    localDataCenter: 'datacenter1',
    credentials: { username: user, password },
  })

beforeAll(async () => {
  cassandra = await startCassandra({ secured: true })
  folder = mkdtempSync(join(tmpdir(), 'backhaul-cassandra-ca-'))
  tls = { tls: true, tlsCaFile: join(folder, 'ca.pem') }
  writeFileSync(tls.tlsCaFile, cassandra.certificate ?? '')
})
afterAll(async () => {
  await cassandra.stop()
  rmSync(folder, { recursive: true })
})

describe('a secured Cassandra', () => {
  it('is reached with credentials over TLS', async () => {
    const store = await open({ ...OPERATOR, ...tls })
    await store.putPartitions([partitionRow()])
    expect(await store.readPartitions('view-1')).toEqual([partitionRow()])
    await store.close()
  })

  it.each([
    ['no credentials', {}, 'SPEED_CREDENTIALS_REFUSED'],
    ['a wrong password', { user: 'cassandra', password: 'no' }, 'SPEED_CREDENTIALS_REFUSED'],
    ['an authority that is not trusted', { ...OPERATOR, tls: true }, 'SPEED_SECURITY_MISMATCH'],
    ['a data center that is not there', { ...OPERATOR, localDataCenter: 'mars' }, 'CONFIG_INVALID'],
    ['a file that is not there', { tls: true, tlsCaFile: '/absent.pem' }, 'CONFIG_INVALID'],
  ])('refuses %s', async (_name, changes, code) => {
    await expect(open(changes)).rejects.toMatchObject({ code, spec: { retryable: false } })
  })

  it('lets a user do what it is granted, and says what it is not', async () => {
    const config = { keyspace: cassandraSettings({}).keyspace, ...OPERATOR }
    const store = await open(config)
    await store.close()
    const reader = { user: 'reader', password: 'reader-password' }
    const operator = clientOf(OPERATOR)
    await operator.execute(
      `CREATE ROLE ${reader.user} WITH PASSWORD = '${reader.password}' AND LOGIN = true`,
    )
    await operator.execute(`GRANT SELECT ON KEYSPACE ${config.keyspace} TO ${reader.user}`)
    await operator.shutdown()
    const granted = await open({ ...config, ...reader })
    expect(await granted.readPartitions('view-1')).toEqual([])
    // An open store says so also while it cannot read its roles.
    await expect(granted.putPartitions([partitionRow()])).rejects.toMatchObject({
      code: 'SPEED_UNAVAILABLE',
      spec: { retryable: true },
    })
    await granted.close()
    await expect(open(reader)).rejects.toMatchObject({ code: 'SPEED_NOT_AUTHORIZED' })
  })
})

const GRANTS = join(import.meta.dirname, '..', '..', 'docs', 'security', 'cassandra-grants.cql')

describe('the roles of docs/security', () => {
  const config = { keyspace: 'backhaul', requestTimeoutMs: 25_000 }
  const loginOf = (role: string) => ({ user: `${role}_login`, password: `${role}-password` })

  beforeAll(async () => {
    await (await open({ ...config, ...OPERATOR })).close()
    const operator = clientOf(OPERATOR)
    const statements = readFileSync(GRANTS, 'utf8')
      .replace(/^--.*$/gm, '')
      .split(';')
    for (const statement of statements)
      if (statement.trim() !== '') await operator.execute(statement)
    for (const role of ['setup', 'serving', 'processor', 'batch']) {
      const { user, password } = loginOf(role)
      await operator.execute(
        `CREATE ROLE IF NOT EXISTS ${user} WITH PASSWORD = '${password}' AND LOGIN = true`,
      )
      await operator.execute(`GRANT backhaul_${role} TO ${user}`)
    }
    await operator.shutdown()
  })

  it.each([
    ['processor', 'done'],
    ['batch', 'done'],
    ['serving', 'SPEED_UNAVAILABLE'],
    ['setup', 'SPEED_UNAVAILABLE'],
  ])('%s writes rows or is refused: %s', async (role, expected) => {
    const store = await open({ ...config, ...loginOf(role) })
    const outcome = await store.putPartitions([partitionRow({ view: role })]).then(
      () => 'done',
      ({ code }: { code: string }) => code,
    )
    expect(outcome).toBe(expected)
    await store.close()
  })

  it('serving reads what the processor wrote', async () => {
    const processor = await open({ ...config, ...loginOf('processor') })
    await processor.putPartitions([partitionRow({ view: 'served' })])
    await processor.close()
    const serving = await open({ ...config, ...loginOf('serving') })
    expect(await serving.readPartitions('served')).toHaveLength(1)
    await serving.close()
  })

  it.each(['processor', 'batch', 'serving'])('%s changes no tables', async (role) => {
    const client = clientOf(loginOf(role))
    for (const statement of [
      'ALTER TABLE backhaul.minutes ADD more text',
      'DROP TABLE backhaul.minutes',
      'CREATE TABLE backhaul.more (a int PRIMARY KEY)',
      "INSERT INTO backhaul.schema_migrations (version, checksum) VALUES (1, 'x')",
      'SELECT role FROM system_auth.roles',
    ])
      await expect(client.execute(statement), statement).rejects.toThrow(/has no .* permission/)
    await client.shutdown()
  })

  it('the setup adds to tables and takes none away', async () => {
    const client = clientOf(loginOf('setup'))
    await client.execute('CREATE TABLE IF NOT EXISTS backhaul.next_step (a int PRIMARY KEY)')
    await client.execute('ALTER TABLE backhaul.positions ADD next_step text')
    await expect(client.execute('DROP TABLE backhaul.minutes')).rejects.toThrow(/permission/)
    await client.shutdown()
  })
})
