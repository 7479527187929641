/** The ACLs that docs/security gives each role: it can do its work with them, and not another's. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { runTool } from '../../scripts/services/artefacts.ts'
import { startKafka, type Kafka } from '../../scripts/services/kafka.ts'
import { aclCalls, aclRules, putAcls } from '../../scripts/services/kafka/acls.ts'
import { kafkaSettings } from '../kafka/testing/kafka-settings.ts'
import { systemClock } from '../runtime/clock.ts'
import { BackhaulError } from '../runtime/errors.ts'
import { record } from './event-log.contract.ts'
import type { EventLog } from './event-log.ts'
import { openKafkaEventLog } from './kafka-event-log.ts'
import { TOPICS, topicSpecs } from './topics.ts'

const ROLES = ['setup', 'gateway', 'relay', 'processor', 'batch', 'serving', 'operator'] as const
type Role = (typeof ROLES)[number]

const TOOL = 'org.apache.kafka.tools.AclCommand'
const ROUTED = 'failures'
const SPECS = topicSpecs({ partitions: 1, logRetentionMs: 3_600_000, logRetentionBytes: 2 ** 30 }, [
  ROUTED,
])
const OURS = SPECS.filter(({ name }) => name !== ROUTED)

/** Topics by what a role does with them; everything else is refused to it. */
const WORK: Readonly<Record<Role, { readonly writes: string[]; readonly reads: string[] }>> = {
  setup: { writes: [], reads: [] },
  gateway: { writes: [TOPICS.events, TOPICS.rejects, ROUTED], reads: [] },
  relay: { writes: [TOPICS.events, TOPICS.rejects, ROUTED], reads: [] },
  processor: {
    writes: [TOPICS.events, TOPICS.rejects, TOPICS.exceptions, TOPICS.sessions, TOPICS.alerts],
    reads: [TOPICS.events],
  },
  batch: { writes: [], reads: [TOPICS.events, TOPICS.rejects, TOPICS.exceptions, TOPICS.content] },
  serving: { writes: [], reads: [TOPICS.events, TOPICS.alerts, TOPICS.content] },
  operator: {
    writes: [TOPICS.events, TOPICS.rejects, TOPICS.sessions, TOPICS.content],
    reads: [TOPICS.events, TOPICS.rejects, TOPICS.exceptions, TOPICS.content],
  },
}

const READ = { fromOffset: 0, maxRecords: 1, maxBytes: 1_000, waitMs: 0 } as const

let kafka: Kafka
const logs: EventLog[] = []

async function openAs(role: Role): Promise<EventLog> {
  const log = await openKafkaEventLog({
    config: kafkaSettings({
      brokers: [kafka.securedBootstrap.sasl],
      security: 'SASL_PLAINTEXT',
      saslMechanism: 'PLAIN',
      saslUser: role,
      saslPassword: `${role}-password`,
      requestTimeoutMs: 5_000,
    }),
    clock: systemClock,
  })
  logs.push(log)
  return log
}

beforeAll(async () => {
  kafka = await startKafka({
    security: { users: Object.fromEntries(ROLES.map((role) => [role, `${role}-password`])) },
    properties: {
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      // The listeners without credentials are the test's own.
      'super.users': 'User:ANONYMOUS',
      'allow.everyone.if.no.acl.found': 'false',
    },
  })
  const [broker = ''] = kafka.bootstrap
  await putAcls(broker, aclRules({ ROUTED_TOPICS: ROUTED }))
  await (await openAs('setup')).ensureTopics(OURS)
  const anybody = await openKafkaEventLog({
    config: kafkaSettings({ brokers: kafka.bootstrap }),
    clock: systemClock,
  })
  logs.push(anybody)
  await anybody.ensureTopics(SPECS)
  for (const { name } of SPECS) await anybody.append(name, 0, [record('before', { key: 'k' })])
})
afterAll(async () => {
  for (const log of logs) await log.close()
  await kafka.stop()
})

/** Whether it could, or the code by which it was refused; an append is told as one that may be repeated. */
async function outcomeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'done'
  } catch (error) {
    if (!(error instanceof BackhaulError)) throw error
    const { cause } = error
    return cause instanceof BackhaulError ? cause.code : error.code
  }
}

it.each(ROLES)('%s writes and reads what it works on, and nothing else', async (role) => {
  const log = await openAs(role)
  const { writes, reads } = WORK[role]
  for (const { name } of SPECS) {
    const wrote = await outcomeOf(log.append(name, 0, [record(role, { key: 'k' })]))
    const read = await outcomeOf(log.read(name, 0, READ))
    expect([name, wrote, read]).toEqual([
      name,
      writes.includes(name) ? 'done' : 'LOG_NOT_AUTHORIZED',
      reads.includes(name) ? 'done' : 'LOG_NOT_AUTHORIZED',
    ])
  }
})

it.each(['gateway', 'relay', 'processor'] as const)(
  '%s starts: topics are as it asks',
  async (role) => {
    await (await openAs(role)).ensureTopics(OURS)
  },
)

it('only the setup makes topics', async () => {
  const [spec] = OURS
  const fresh = { partitions: 1, retentionMs: 3_600_000, retentionBytes: 2 ** 30, ...spec }
  const processor = await openAs('processor')
  expect(await outcomeOf(processor.ensureTopics([{ ...fresh, name: 'playback.new' }]))).toBe(
    'LOG_NOT_AUTHORIZED',
  )
  const setup = await openAs('setup')
  expect(await outcomeOf(setup.ensureTopics([{ ...fresh, name: 'playback.new' }]))).toBe('done')
})

it('the processor joins its group, and nobody else does', async () => {
  const handler = {
    assigned: async () => undefined,
    revoked: async () => undefined,
    lost: async () => undefined,
  }
  const member = await (
    await openAs('processor')
  ).joinGroup('backhaul-processor.v1', TOPICS.events, handler)
  await member.leave()
  const serving = await openAs('serving')
  expect(await outcomeOf(serving.joinGroup('backhaul-processor.v1', TOPICS.events, handler))).toBe(
    'LOG_NOT_AUTHORIZED',
  )
})

it('the tool of Kafka takes the calls as they are', () => {
  const call = aclCalls({ PREFIX: 'tool-' }).find((args) => args.includes('--group')) ?? []
  const [bootstrap = ''] = kafka.bootstrap
  const tool = ['-XX:TieredStopAtLevel=1', '-cp', kafka.classPath, TOOL]
  const told = runTool('java', [...tool, '--bootstrap-server', bootstrap, ...call])
  expect(told).toMatch(/principal=User:tool-processor.*operation=READ.*ALLOW/s)
})
