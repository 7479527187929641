import { tmpdir } from 'node:os'
import { expect, test } from 'vitest'
import { systemClock } from '../../../shared/runtime/clock.ts'
import { CommandsOn, expectRefusal } from '../../testing/commands-on.ts'

const commands = new CommandsOn(tmpdir(), systemClock)

test('a cluster that cannot be reached is told by its address, and may be tried again', async () => {
  const ended = await commands.run('schema migrate', {
    CASSANDRA_CONTACT_POINTS: '127.0.0.1:1',
    CASSANDRA_CONNECT_TIMEOUT_MS: '500',
  })
  expect(ended.code).toBeGreaterThan(0)
  expect(ended.errors).toContain('SPEED_UNAVAILABLE: ')
  expect(ended.errors).toContain('127.0.0.1:1')
})

test('settings that cannot be used end it as such', async () => {
  const ended = await commands.run('schema migrate', { CASSANDRA_KEYSPACE: 'Not One' })
  expectRefusal(ended, 4, 'CONFIG_INVALID')
})
