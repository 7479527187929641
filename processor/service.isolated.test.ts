/** A processor that is stopped while it joins its group, on a log whose group never answers. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, expect, test, vi } from 'vitest'
import { claimPort } from '../shared/http/listen.ts'
import type { GroupMember } from '../shared/log/event-log.ts'
import { kafkaConfig } from '../shared/log/kafka-config.ts'
import { logErrors } from '../shared/log/log-errors.ts'
import { systemClock } from '../shared/runtime/clock.ts'
import { readConfig } from '../shared/runtime/config.ts'
import { noFailpoints } from '../shared/runtime/failpoints.ts'
import { seededRandom } from '../shared/runtime/random.ts'
import { backhaulConfig } from '../shared/runtime/settings.ts'
import { ProcessorService } from './service.ts'
import { configOf, scriptedLog, silentTelemetry } from './testing/test-doubles.ts'

const folder = mkdtempSync(join(tmpdir(), 'backhaul-processor-service-'))
const backhaul = readConfig(
  backhaulConfig,
  { BACKHAUL_DATA_DIR: folder, BACKHAUL_SEAL_KEY: Buffer.alloc(32, 3).toString('base64') },
  () => '',
)
let joining: PromiseWithResolvers<void>
let joined: PromiseWithResolvers<GroupMember>

vi.mock(import('../shared/log/kafka-event-log.ts'), () => ({
  openKafkaEventLog: async () =>
    scriptedLog({
      ensureTopics: async () => undefined,
      describeTopic: async () => ({ partitions: backhaul.partitions, topicId: 'topic' }),
      joinGroup: () => {
        joining.resolve()
        return joined.promise
      },
      close: async () => joined.reject(logErrors.create('LOG_CLOSED')),
    }),
}))

beforeEach(() => {
  joining = Promise.withResolvers()
  joined = Promise.withResolvers()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function serviceOf(): Promise<ProcessorService> {
  const adminPort = await claimPort(
    { host: '127.0.0.1', port: 0 },
    (code) => new Error(`no free port: ${code}`),
  )
  return new ProcessorService({
    backhaul,
    config: configOf({ PROCESSOR_ADMIN_PORT: `${adminPort}` }),
    kafka: readConfig(kafkaConfig, {}, () => ''),
    cassandra: undefined,
    gcs: undefined,
    alerts: undefined,
    telemetry: silentTelemetry(),
    clock: systemClock,
    random: seededRandom(1),
    failpoints: noFailpoints,
  })
}

test('its start ends without an error, and it is never a member', async () => {
  const service = await serviceOf()
  const starting = service.start()
  await joining.promise
  await Promise.all([service.stop(), starting])
  expect(service.processor).toBeUndefined()
})

test('a join that is refused while it is not stopped fails the start', async () => {
  const service = await serviceOf()
  const starting = service.start()
  await joining.promise
  joined.reject(logErrors.create('LOG_TOPIC_UNKNOWN'))
  await expect(starting).rejects.toThrow('LOG_TOPIC_UNKNOWN')
})
