import { describe, expect, it } from 'vitest'
import { readConfig } from '../runtime/config.ts'
import { cassandraConfig } from './cassandra-config.ts'

const read = (environment: Readonly<Record<string, string>>) =>
  readConfig(cassandraConfig, environment, (path) => `read from ${path}\n`)

describe('the settings of a speed store on Cassandra', () => {
  it('have defaults for a cluster that is reached on this machine', () => {
    expect(read({})).toMatchObject({
      contactPoints: ['127.0.0.1:9042'],
      keyspace: 'backhaul',
      replicationFactor: 3,
      tls: false,
    })
  })

  it('take the password from a file', () => {
    const values = read({ CASSANDRA_USER: 'alice', CASSANDRA_PASSWORD_FILE: '/secrets/cassandra' })
    expect(values.password).toBe('read from /secrets/cassandra')
  })

  it.each([
    [{ CASSANDRA_CONTACT_POINTS: '' }, 'CASSANDRA_CONTACT_POINTS'],
    [{ CASSANDRA_CONTACT_POINTS: 'node-1' }, 'host:port'],
    [{ CASSANDRA_KEYSPACE: 'Backhaul; DROP' }, 'lower-case letters'],
    [{ CASSANDRA_USER: 'alice' }, 'CASSANDRA_USER and CASSANDRA_PASSWORD together'],
    [{ CASSANDRA_TLS_CA_FILE: '/ca.pem' }, 'CASSANDRA_TLS = true'],
  ])('refuse %o and say why', (environment, reason) => {
    expect(() => read(environment)).toThrow(reason)
  })
})
