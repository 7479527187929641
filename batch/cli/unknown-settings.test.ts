import { tmpdir } from 'node:os'
import { expect, test } from 'vitest'
import { systemClock } from '../../shared/runtime/clock.ts'
import { CommandsOn, expectRefusal } from '../testing/commands-on.ts'

const commands = new CommandsOn(tmpdir(), systemClock)

test.each([
  ['view list', 'PROCESSOR_SPEED_STOR', {}],
  ['batch run', 'KAFKA_SECURTIY', { EVENT_LOG: 'kafka' }],
  ['schema migrate', 'CASSANDRA_TSL', {}],
  ['ledger show a/0', 'GCS_BUKET', { OBJECT_STORE: 'gcs', GCS_BUCKET: 'bucket' }],
])('%s refuses %s, which would not be in force', async (line, name, environment) => {
  const ended = await commands.run(line, { ...environment, [name]: 'x' })
  expectRefusal(ended, 4, 'CONFIG_UNKNOWN')
  expect(ended.errors).toContain(name)
})

test('settings of stores that are not used, and of a server beside, are nobody’s concern', async () => {
  const unused = { CASSANDRA_TSL: 'x', KAFKA_SECURTIY: 'x', BATCH_EVERY_MS: '0', GATEWAY_PORT: '1' }
  expectRefusal(await commands.run('ledger show a/0', unused), 4, 'STANDALONE_DATA_ABSENT')
})
