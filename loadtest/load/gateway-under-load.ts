/** The gateway that a load is put on. */
import { GatewayOnKafka } from '../gateway-on-kafka.ts'
import type { LoadCommand } from './command-line.ts'

/** Started and ready. */
export async function startGatewayUnderLoad(
  { partitions, processes, kafkaClient, options }: LoadCommand,
  brokers: readonly string[],
): Promise<GatewayOnKafka> {
  // What is measured is the gateway, not its limits on a single client or on reconnecting ones.
  const gateway = await GatewayOnKafka.create({
    BACKHAUL_PARTITIONS: `${partitions}`,
    KAFKA_BROKERS: brokers.join(','),
    KAFKA_CLIENT: kafkaClient,
    GATEWAY_PROCESSES: `${processes}`,
    GATEWAY_CONNECTIONS_MAX: `${Math.max(20_000, options.connections)}`,
    GATEWAY_FRAMES_PER_SECOND_MAX: '100000',
    GATEWAY_FRAMES_BURST_MAX: '200000',
    GATEWAY_CONNECTION_EVENTS_PER_SECOND_MAX: '0',
    GATEWAY_CONNECTION_BYTES_PER_SECOND_MAX: '0',
    GATEWAY_UPGRADES_PER_SECOND_MAX: '10000',
    GATEWAY_UPGRADES_BURST_MAX: '20000',
  })
  await gateway.start()
  return gateway
}
