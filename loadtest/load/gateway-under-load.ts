/** The gateway that a load is put on, as it is or with one part replaced. */
import { GatewayOnKafka } from '../gateway-on-kafka.ts'
import { VARIANTS } from '../variants/variants.ts'
import type { LoadCommand } from './command-line.ts'

export interface GatewayUnderLoad {
  /** Of `/v1/events` as a WebSocket. */
  readonly url: string
  readonly pid: number
  /** Where its inspector listens, when it was started with one. */
  readonly inspectorUrl: string | undefined
  /** SIGTERM, and its end. */
  stop(): Promise<void>
}

const INSPECTOR_LINE = /Debugger listening on (ws:\S+)/
const INSPECTOR_SAYS = /^(Debugger|For help).*\n/gm

/** Started and ready. */
export async function startGatewayUnderLoad(
  { partitions, processes, kafkaClient, variant, options }: LoadCommand,
  brokers: readonly string[],
  nodeOptions: readonly string[] = [],
): Promise<GatewayUnderLoad> {
  // What is measured is the gateway, not its limits on a single client or on reconnecting ones.
  const settings = {
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
  }
  const gateway = await GatewayOnKafka.create(settings, [...VARIANTS[variant], ...nodeOptions])
  await gateway.start()
  return {
    url: gateway.url,
    pid: gateway.pid,
    inspectorUrl: INSPECTOR_LINE.exec(gateway.output)?.[1],
    async stop() {
      await gateway.stop()
      const said = gateway.output.replaceAll(INSPECTOR_SAYS, '')
      if (said !== '') console.log(`the gateway said:\n${said}`)
    },
  }
}
