import { assert, expect, test } from 'vitest'
import { createCassandraClient } from './cassandra-client.ts'
import { cassandraSettings } from './testing/cassandra-settings.ts'

interface Control {
  host: unknown
  connection: unknown
  _refresh(plan: Iterator<unknown>): Promise<void>
  _refreshControlConnection(): Promise<void>
  _refreshHosts(): Promise<void>
  _registerToConnectionEvents(): Promise<void>
}

function isControl(value: unknown): value is Control {
  return typeof value === 'object' && value !== null && '_refresh' in value && 'host' in value
}

test('an opening of the control connection that was overtaken ends without an error that nobody catches', async () => {
  const client = createCassandraClient(cassandraSettings({}))
  const control: unknown = Reflect.get(client, 'controlConnection')
  assert(isControl(control), 'the driver is another one: see whether it still needs this')
  const said: unknown[] = []
  client.on('log', (level: string, _name: string, message: string) => said.push([level, message]))
  control._refreshControlConnection = async () => {
    control.connection = { endpointFriendlyName: 'a node' }
    control.host = { once: () => undefined }
  }
  control._registerToConnectionEvents = async () => undefined
  // Another opening begins while this one asks for the topology.
  control._refreshHosts = async () => {
    control.host = null
  }
  await control._refresh([][Symbol.iterator]())
  expect(said).toContainEqual(['warning', 'gave way to another opening'])
  await client.shutdown()
})
