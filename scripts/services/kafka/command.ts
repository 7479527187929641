import { parseArgs } from 'node:util'
import type { ServiceCommand } from '../command-line.ts'
import { startKafka } from '../kafka.ts'

const DEFAULT_PORT = 9_092

export const kafkaCommand: ServiceCommand = {
  usage: `[--brokers 1|3] [--port ${DEFAULT_PORT}]`,
  async up(folder, args) {
    const options = { brokers: { type: 'string' }, port: { type: 'string' } } as const
    const { values } = parseArgs({ args: [...args], options })
    if (values.brokers !== undefined && values.brokers !== '1' && values.brokers !== '3')
      throw new Error(`--brokers is 1 or 3; received ${values.brokers}`)
    const port = Number(values.port ?? DEFAULT_PORT)
    if (!Number.isInteger(port) || port < 1 || port > 65_533)
      throw new Error(`--port is a port from 1 to 65533; received ${values.port}`)
    const kafka = await startKafka({
      brokers: values.brokers === '3' ? 3 : 1,
      port,
      folder,
      profile: 'load',
      detached: true,
    })
    const replicas = values.brokers === '3' ? [3, 2] : [1, 1]
    return [
      `KAFKA_BROKERS=${kafka.bootstrap.join(',')}`,
      `KAFKA_REPLICATION_FACTOR=${replicas[0]}`,
      `KAFKA_MIN_INSYNC_REPLICAS=${replicas[1]}`,
    ].join('\n')
  },
}
