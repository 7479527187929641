/** `schema migrate`: Cassandra's tables brought forward, before an upgrade. */
import { systemRandom } from '../../../shared/runtime/random.ts'
import { migrateCassandra } from '../../../shared/speed/migrate-cassandra.ts'
import { type Command, EXIT } from '../command.ts'

export const schemaMigrate: Command = {
  name: 'schema migrate',
  summary: 'bring the tables of the speed store on Cassandra forward',
  about: `Makes the keyspace and the tables that are missing, by the settings CASSANDRA_…. Steps only add, so
services of the version before go on beside the newer tables; whoever opens the store does the same and
finds it done. May be repeated, and run by several at once. Needs no data folder.`,
  examples: ['schema migrate', 'schema migrate --json'],
  options: {},
  positionals: [],
  async run({ stores, clock }) {
    const config = stores.cassandra
    const version = await migrateCassandra({ config, clock, random: systemRandom })
    const { keyspace } = config
    return {
      exitCode: EXIT.done,
      json: { keyspace, version },
      text: `the tables of keyspace ${keyspace} are of version ${version}`,
    }
  },
}
