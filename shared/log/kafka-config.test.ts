import { describe, expect, it } from 'vitest'
import { readConfig } from '../runtime/config.ts'
import { kafkaConfig } from './kafka-config.ts'

const read = (environment: Readonly<Record<string, string>>) =>
  readConfig(kafkaConfig, environment, (path) => `read from ${path}\n`)

describe('the settings of a log on Kafka', () => {
  it('have defaults for a cluster of three on this machine', () => {
    expect(read({})).toMatchObject({
      brokers: ['127.0.0.1:9092'],
      client: 'platformatic',
      security: 'PLAINTEXT',
      replicationFactor: 3,
      minInsyncReplicas: 2,
    })
  })

  it('take the password from a file', () => {
    const values = read({
      KAFKA_SECURITY: 'SASL_SSL',
      KAFKA_SASL_USER: 'alice',
      KAFKA_SASL_PASSWORD_FILE: '/secrets/kafka',
    })
    expect(values.saslPassword).toBe('read from /secrets/kafka')
  })

  it.each([
    [{ KAFKA_BROKERS: '' }, 'KAFKA_BROKERS'],
    [{ KAFKA_BROKERS: 'kafka-1' }, 'host:port'],
    [{ KAFKA_BROKERS: 'kafka-1:70000' }, 'host:port'],
    [{ KAFKA_CLIENT: 'other' }, 'one of platformatic, kafkajs'],
    [{ KAFKA_MIN_INSYNC_REPLICAS: '4' }, 'at most KAFKA_REPLICATION_FACTOR = 3, received 4'],
    [{ KAFKA_SECURITY: 'SASL_SSL' }, 'KAFKA_SASL_USER and KAFKA_SASL_PASSWORD'],
    [{ KAFKA_TLS_CA_FILE: '/ca.pem' }, 'KAFKA_SECURITY = SSL or SASL_SSL'],
  ])('refuse %o and say why', (environment, reason) => {
    expect(() => read(environment)).toThrow(reason)
  })

  it('take several brokers, by name or IPv6 address', () => {
    const brokers = ['kafka-1.example:9092', '[::1]:9093']
    expect(read({ KAFKA_BROKERS: brokers.join(', ') }).brokers).toEqual(brokers)
  })
})
