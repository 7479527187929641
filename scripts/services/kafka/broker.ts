/** One Kafka broker, which is its own controller: its settings, its data folder and its process. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runTool } from '../artefacts.ts'
import { ServerProcess } from '../server-process.ts'
import { saslProperties, type KafkaSecurity } from './security.ts'

export interface KafkaOptions {
  /** 1 by default; topics get as many replicas at most. */
  readonly brokers?: 1 | 3
  /** Port of the first broker for clients; the others follow. Free ones by default. */
  readonly port?: number
  /** Where data and logs are kept; by default a temporary folder that goes when Kafka is stopped. */
  readonly folder?: string
  /** Added to every broker's `server.properties`. */
  readonly properties?: Readonly<Record<string, string>>
  /** `tests` starts fast and is small; `load` has the heap and the compiler that a load needs. */
  readonly profile?: 'tests' | 'load'
  /** Clients reach each broker through a fault proxy; brokers reach one another directly. */
  readonly proxied?: boolean
  /** Adds listeners that ask for credentials, and for TLS. */
  readonly security?: KafkaSecurity
  /** Brokers outlive this process. */
  readonly detached?: boolean
}

/** The ports of a broker's listeners. */
export type BrokerPorts = Readonly<
  Record<'client' | 'internal' | 'controller' | 'sasl' | 'saslTls', number>
>

export interface BrokerParts {
  readonly nodeId: number
  readonly ports: BrokerPorts
  readonly advertisedPort: number
  readonly voters: string
  readonly folder: string
  readonly storePath: string | undefined
  readonly classPath: string
  readonly options: KafkaOptions
}

/** Any 22 characters of base64 that decode to 16 bytes: the cluster is known by its folder. */
const CLUSTER_ID = 'YmFja2hhdWwtc2VydmljZQ'
const JAVA_FLAGS = {
  tests: ['-Xms128m', '-Xmx320m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC'],
  load: ['-Xms512m', '-Xmx1g', '-XX:+UseG1GC', '-XX:MaxGCPauseMillis=20'],
} as const
const COMMON_FLAGS = [
  '-XX:+ExitOnOutOfMemoryError',
  '-Djava.awt.headless=true',
  `-Dlog4j2.configurationFile=${join(import.meta.dirname, 'log4j2.xml')}`,
] as const

export class KafkaBroker {
  readonly nodeId: number
  readonly ports: BrokerPorts
  readonly advertisedPort: number
  readonly #parts: BrokerParts
  readonly #server: ServerProcess
  #properties: Readonly<Record<string, string>>
  #formatted = false

  constructor(parts: BrokerParts) {
    this.nodeId = parts.nodeId
    this.ports = parts.ports
    this.advertisedPort = parts.advertisedPort
    this.#parts = parts
    this.#properties = parts.options.properties ?? {}
    this.#server = new ServerProcess({
      name: `kafka broker ${parts.nodeId}`,
      folder: parts.folder,
      ...this.#command({}),
      port: parts.ports.client,
      readyLine: 'Kafka Server started',
      detached: parts.options.detached ?? false,
    })
  }

  get isRunning(): boolean {
    return this.#server.isRunning
  }

  /** Process id, while it runs. */
  get pid(): number | undefined {
    return this.#server.pid
  }

  get logPath(): string {
    return this.#server.logPath
  }

  /**
   * Starts the broker and waits until it serves. Properties given here hold from now on; with
   * `fileMaxBytes` no file of the broker can grow beyond that, as if the disk were full.
   */
  async start(
    changes: {
      readonly properties?: Readonly<Record<string, string>>
      readonly fileMaxBytes?: number
    } = {},
  ): Promise<void> {
    this.#properties = { ...this.#properties, ...changes.properties }
    mkdirSync(this.#parts.folder, { recursive: true })
    writeFileSync(this.#propertiesPath, propertiesText(this.#allProperties()))
    if (!this.#formatted) this.#format()
    this.#formatted = true
    await this.#server.start(this.#command(changes))
  }

  async stop(): Promise<void> {
    await this.#server.stop()
  }

  async kill(): Promise<void> {
    await this.#server.kill()
  }

  /** Stops and starts it again, as a rolling restart does. */
  async restart(): Promise<void> {
    await this.stop()
    await this.start()
  }

  pause(): void {
    this.#server.pause()
  }

  continue(): void {
    this.#server.continue()
  }

  /** Resolves when the broker has ended by itself or by a signal. */
  ended(): Promise<void> {
    return this.#server.ended()
  }

  get #propertiesPath(): string {
    return join(this.#parts.folder, 'server.properties')
  }

  #command({ fileMaxBytes }: { readonly fileMaxBytes?: number }) {
    const { classPath, options } = this.#parts
    const flags = [...JAVA_FLAGS[options.profile ?? 'tests'], ...COMMON_FLAGS]
    const java = [...flags, '-cp', classPath, 'kafka.Kafka', this.#propertiesPath]
    if (fileMaxBytes === undefined) return { command: 'java', args: java }
    // The shell's unit is 512 bytes.
    const limit = `ulimit -f ${Math.floor(fileMaxBytes / 512)}; exec java "$@"`
    return { command: 'sh', args: ['-c', limit, 'sh', ...java] }
  }

  /** Gives the data folder its identity; a folder that has one keeps it. */
  #format(): void {
    const { classPath, options } = this.#parts
    const users = Object.entries(options.security?.users ?? {}).flatMap(([name, password]) =>
      ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((mechanism) => [
        '--add-scram',
        `${mechanism}=[name=${name},password=${password}]`,
      ]),
    )
    const tool = ['-XX:TieredStopAtLevel=1', '-cp', classPath, 'kafka.tools.StorageTool', 'format']
    const target = ['-t', CLUSTER_ID, '-c', this.#propertiesPath, '--ignore-formatted']
    runTool('java', [...tool, ...target, ...users])
  }

  #allProperties(): Readonly<Record<string, string>> {
    const { nodeId, voters, folder, ports, options, storePath } = this.#parts
    const replicas = `${options.brokers ?? 1}`
    const minIsr = options.brokers === 3 ? '2' : '1'
    const listeners: (readonly [name: string, port: number, advertised: number])[] = [
      ['PLAINTEXT', ports.client, this.advertisedPort],
      ['INTERNAL', ports.internal, ports.internal],
      ['SASL_PLAINTEXT', ports.sasl, ports.sasl],
      ['SASL_SSL', ports.saslTls, ports.saslTls],
    ]
    const open = options.security === undefined ? listeners.slice(0, 2) : listeners
    const addresses = (port: 1 | 2) =>
      open.map((listener) => `${listener[0]}://127.0.0.1:${listener[port]}`).join(',')
    return {
      'process.roles': 'broker,controller',
      'node.id': `${nodeId}`,
      'controller.quorum.voters': voters,
      listeners: `${addresses(1)},CONTROLLER://127.0.0.1:${ports.controller}`,
      'advertised.listeners': addresses(2),
      'controller.listener.names': 'CONTROLLER',
      'inter.broker.listener.name': 'INTERNAL',
      'listener.security.protocol.map':
        'PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL',
      'log.dirs': join(folder, 'data'),
      'auto.create.topics.enable': 'false',
      'default.replication.factor': replicas,
      'offsets.topic.num.partitions': '1',
      'offsets.topic.replication.factor': replicas,
      'transaction.state.log.num.partitions': '1',
      'transaction.state.log.replication.factor': replicas,
      'transaction.state.log.min.isr': minIsr,
      'share.coordinator.state.topic.num.partitions': '1',
      'share.coordinator.state.topic.replication.factor': replicas,
      'share.coordinator.state.topic.min.isr': minIsr,
      'group.initial.rebalance.delay.ms': '0',
      ...saslProperties(options.security, storePath),
      ...this.#properties,
    }
  }
}

function propertiesText(properties: Readonly<Record<string, string>>): string {
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}
