/** Settings that a node refuses: each ends the opening with an error that says what to change. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
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
    const operator = new Client({
      contactPoints: [cassandra.contactPoint],
      localDataCenter: 'datacenter1',
      credentials: { username: OPERATOR.user, password: OPERATOR.password },
    })
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
