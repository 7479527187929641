/** What an operator can get wrong with a log on Kafka, and what it is told. */
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startKafka, type Kafka } from '../../scripts/services/kafka.ts'
import { freePorts } from '../../scripts/services/ports.ts'
import { kafkaSettings } from '../kafka/testing/kafka-settings.ts'
import { systemClock } from '../runtime/clock.ts'
import { assert } from '../runtime/errors.ts'
import { failureText } from '../runtime/failure.ts'
import { createTelemetryBase, loggedError } from '../runtime/telemetry.ts'
import { awaitTopics } from './await-topics.ts'
import { record, topicSpec } from './event-log.contract.ts'
import type { EventLog } from './event-log.ts'
import type { KafkaConfig } from './kafka-config.ts'
import { openKafkaEventLog } from './kafka-event-log.ts'

const CLIENTS = ['platformatic', 'kafkajs'] as const
const MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const
const USER = { saslUser: 'alice', saslPassword: 'alice-secret' } as const

let kafka: Kafka
let folder: string
let caFile: string
let log: EventLog | undefined

async function open(config: Partial<KafkaConfig> = {}): Promise<EventLog> {
  const brokers = config.brokers ?? kafka.bootstrap
  log = await openKafkaEventLog({
    config: kafkaSettings({ requestTimeoutMs: 2_000, ...config, brokers }),
    clock: systemClock,
  })
  return log
}

beforeAll(async () => {
  kafka = await startKafka({ security: { users: { alice: 'alice-secret' } } })
  folder = mkdtempSync(join(tmpdir(), 'backhaul-ca-'))
  caFile = join(folder, 'ca.pem')
  writeFileSync(caFile, kafka.certificate ?? '')
})
afterEach(async () => log?.close())
afterAll(async () => {
  rmSync(folder, { recursive: true })
  await kafka.stop()
})

describe.each(CLIENTS)('over %s', (client) => {
  const tls = () => ({ client, brokers: [kafka.securedBootstrap.saslTls], tlsCaFile: caFile })
  const sasl = () => ({ client, brokers: [kafka.securedBootstrap.sasl] })

  it.each(MECHANISMS)(
    'takes the right credentials, with and without TLS (%s)',
    async (mechanism) => {
      for (const way of [
        { ...sasl(), security: 'SASL_PLAINTEXT' } as const,
        { ...tls(), security: 'SASL_SSL' } as const,
      ]) {
        const opened = await open({ ...way, ...USER, saslMechanism: mechanism })
        const spec = topicSpec()
        await opened.ensureTopics([spec])
        expect(await opened.append(spec.name, 0, [record('a')])).toMatchObject({ baseOffset: 0 })
        await opened.close()
      }
    },
  )

  it.each(MECHANISMS)('says that credentials are refused (%s)', async (saslMechanism) => {
    const wrong = { ...USER, saslPassword: 'canary-password' }
    const opened = await open({ ...sasl(), ...wrong, saslMechanism, security: 'SASL_PLAINTEXT' })
    const error: unknown = await opened.ensureTopics([topicSpec()]).catch((reason) => reason)
    expect(error).toMatchObject({ code: 'LOG_CREDENTIALS_REFUSED' })
    expect(`${failureText(error)} ${JSON.stringify(loggedError(error))}`).not.toContain('canary')
  })

  it('says that a certificate is not trusted', async () => {
    const opened = await open({ ...tls(), ...USER, tlsCaFile: '', security: 'SASL_SSL' })
    await expect(opened.ensureTopics([topicSpec()])).rejects.toMatchObject({
      code: 'LOG_SECURITY_MISMATCH',
    })
  })

  it('tells a topic that is missing from one whose brokers are', async () => {
    const opened = await open({ client })
    await expect(opened.append('absent', 0, [record('a')])).rejects.toMatchObject({
      code: 'LOG_TOPIC_UNKNOWN',
    })
    const [port = 0] = await freePorts(1)
    await opened.close()
    const lost = await open({ client, brokers: [`127.0.0.1:${port}`] })
    await expect(lost.append('absent', 0, [record('a')])).rejects.toMatchObject({
      code: 'LOG_UNAVAILABLE',
    })
  })

  it('says how many partitions the topic has when fewer or more are configured', async () => {
    const opened = await open({ client })
    const spec = topicSpec({ partitions: 2 })
    await opened.ensureTopics([spec])
    const ensured = opened.ensureTopics([{ ...spec, partitions: 200 }])
    await expect(ensured).rejects.toMatchObject({ code: 'LOG_TOPIC_MISMATCH' })
    await expect(ensured).rejects.toThrow(`the 2 partitions that ${spec.name} has, received 200`)
  })

  it('says that there are too few brokers for the replicas', async () => {
    const opened = await open({ client, replicationFactor: 3, minInsyncReplicas: 2 })
    const ensured = opened.ensureTopics([topicSpec()])
    await expect(ensured).rejects.toMatchObject({ code: 'LOG_TOPIC_NOT_CREATED' })
    await expect(ensured).rejects.toThrow('3 replicas each')
  })

  it('refuses a record that the brokers refuse as too large, and takes the next', async () => {
    const opened = await open({ client, batchMaxBytes: 65_536 })
    const spec = topicSpec()
    await opened.ensureTopics([spec])
    const [large, other] = [1, 2].map(() => ({ ...record(''), value: randomBytes(60_000) }))
    assert(large !== undefined && other !== undefined, 'there are two records')
    const tooLarge = { code: 'LOG_RECORD_TOO_LARGE' }
    await expect(opened.append(spec.name, 0, [large, other])).rejects.toMatchObject(tooLarge)
    const huge = { ...record(''), value: new Uint8Array(33 * 2 ** 20) }
    await expect(opened.append(spec.name, 0, [huge])).rejects.toMatchObject(tooLarge)
    expect(await opened.append(spec.name, 0, [large])).toMatchObject({ baseOffset: 0 })
  })
})

it('refuses a topic whose least in-sync replicas are below what is promised', async () => {
  const spec = topicSpec({ name: `weak-${randomUUID()}` })
  await (await open()).ensureTopics([spec])
  await log?.close()
  const opened = await open({ replicationFactor: 2, minInsyncReplicas: 2 })
  const ensured = opened.ensureTopics([spec])
  await expect(ensured).rejects.toMatchObject({ code: 'LOG_TOPIC_UNFIT' })
  await expect(ensured).rejects.toThrow('min.insync.replicas')
})

it('waits for brokers that are not there yet, with one line in the log', async () => {
  await kafka.broker(1).stop()
  const telemetry = createTelemetryBase('silent')
  const lines: string[] = []
  const { log: logger } = telemetry
  logger.error = (_: unknown, text?: string) => void lines.push(text ?? '')
  const opened = await openKafkaEventLog({
    config: kafkaSettings({ brokers: kafka.bootstrap, requestTimeoutMs: 500 }),
    clock: systemClock,
    telemetry,
  })
  log = opened
  const spec = topicSpec()
  const ready = awaitTopics(opened, [spec], { clock: systemClock })
  await expect.poll(() => lines).toHaveLength(1)
  await kafka.broker(1).start()
  await ready
  expect(lines).toEqual(['no Kafka broker answers; trying again until one does'])
  expect(await opened.describeTopic(spec.name)).toMatchObject({ partitions: 3 })
})

function randomBytes(length: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(length))
}
