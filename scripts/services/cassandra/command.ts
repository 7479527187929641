import { parseArgs } from 'node:util'
import { startCassandra } from '../cassandra.ts'
import type { ServiceCommand } from '../command-line.ts'

const DEFAULT_PORT = 9_042

export const cassandraCommand: ServiceCommand = {
  usage: `[--port ${DEFAULT_PORT}] [--sync periodic|batch]`,
  async up(folder, args) {
    const options = { port: { type: 'string' }, sync: { type: 'string' } } as const
    const { values } = parseArgs({ args: [...args], options })
    const { sync = 'periodic' } = values
    if (sync !== 'periodic' && sync !== 'batch')
      throw new Error(`--sync is periodic or batch; received ${sync}`)
    const port = Number(values.port ?? DEFAULT_PORT)
    if (!Number.isInteger(port) || port < 1 || port > 65_535)
      throw new Error(`--port is a port from 1 to 65535; received ${values.port}`)
    const cassandra = await startCassandra({
      port,
      folder,
      profile: 'load',
      commitLogSync: sync,
      detached: true,
    })
    return `CASSANDRA_CONTACT_POINTS=${cassandra.contactPoint} CASSANDRA_REPLICATION_FACTOR=1`
  },
}
