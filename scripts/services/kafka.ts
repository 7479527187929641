/**
 * Kafka as a service: real brokers, one or three, each its own process with its own ports and data.
 *
 * ```ts
 * const kafka = await startKafka({ brokers: 3, properties: { 'min.insync.replicas': '2' } })
 * … kafka.bootstrap … kafka.broker(2).kill() … kafka.broker(2).start() …
 * await kafka.stop()
 * ```
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mavenJars } from './artefacts.ts'
import { FaultProxy } from './fault-proxy.ts'
import { KafkaBroker, type BrokerPorts, type KafkaOptions } from './kafka/broker.ts'
import { writeKeyStore } from './key-store.ts'
import { freePorts } from './ports.ts'

const PORT_NAMES = ['client', 'internal', 'controller', 'sasl', 'saslTls'] as const

const POM_PATH = join(import.meta.dirname, 'kafka', 'pom.xml')

/** Fetches what Kafka runs from; returns the class path. */
export function prepareKafka(): string {
  return join(mavenJars(POM_PATH), '*')
}

export async function startKafka(options: KafkaOptions = {}): Promise<Kafka> {
  const classPath = prepareKafka()
  const temporary = options.folder === undefined
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'backhaul-kafka-'))
  const count = options.brokers ?? 1
  const ports = await choosePorts(count, options.port)
  const proxies =
    options.proxied === true
      ? await Promise.all(ports.map(({ client }) => FaultProxy.start(client)))
      : []
  const { certificate, storePath } =
    options.security === undefined ? {} : writeKeyStore(join(folder, 'tls'))
  const brokers = ports.map(
    (own, index) =>
      new KafkaBroker({
        nodeId: index + 1,
        ports: own,
        advertisedPort: proxies[index]?.port ?? own.client,
        voters: ports.map(({ controller }, at) => `${at + 1}@127.0.0.1:${controller}`).join(','),
        folder: join(folder, `broker-${index + 1}`),
        storePath,
        classPath,
        options,
      }),
  )
  const kafka = new Kafka({ brokers, proxies, classPath, certificate, folder, temporary })
  try {
    await kafka.start()
  } catch (error) {
    await kafka.stop()
    throw error
  }
  return kafka
}

async function choosePorts(count: number, first: number | undefined): Promise<BrokerPorts[]> {
  const free = await freePorts(count * PORT_NAMES.length)
  return Array.from({ length: count }, (_, broker) => {
    const own = PORT_NAMES.map((name, index) => {
      const chosen = name === 'client' && first !== undefined ? first + broker : undefined
      return [name, chosen ?? free[broker * PORT_NAMES.length + index] ?? 0] as const
    })
    return Object.fromEntries(own) as BrokerPorts
  })
}

interface KafkaParts {
  readonly brokers: readonly KafkaBroker[]
  readonly proxies: readonly FaultProxy[]
  readonly classPath: string
  readonly certificate: string | undefined
  readonly folder: string
  readonly temporary: boolean
}

export class Kafka {
  readonly proxies: readonly FaultProxy[]
  /** The brokers' own certificate, in PEM, where there is security. */
  readonly certificate: string | undefined
  readonly classPath: string
  readonly #parts: KafkaParts

  constructor(parts: KafkaParts) {
    this.proxies = parts.proxies
    this.certificate = parts.certificate
    this.classPath = parts.classPath
    this.#parts = parts
  }

  /** Where clients begin: `host:port` of every broker, through the proxies where there are any. */
  get bootstrap(): readonly string[] {
    return this.#parts.brokers.map(({ advertisedPort }) => `127.0.0.1:${advertisedPort}`)
  }

  /** The same, past the proxies: for a reader that no fault should reach. */
  get directBootstrap(): readonly string[] {
    return this.#parts.brokers.map(({ ports }) => `127.0.0.1:${ports.internal}`)
  }

  /** The listeners that ask for credentials, without and with TLS. */
  get securedBootstrap(): { readonly sasl: string; readonly saslTls: string } {
    const { ports } = this.broker(1)
    return { sasl: `127.0.0.1:${ports.sasl}`, saslTls: `127.0.0.1:${ports.saslTls}` }
  }

  get brokers(): readonly KafkaBroker[] {
    return this.#parts.brokers
  }

  broker(nodeId: number): KafkaBroker {
    const found = this.#parts.brokers[nodeId - 1]
    if (found === undefined) throw new Error(`there is no broker ${nodeId}`)
    return found
  }

  proxy(nodeId: number): FaultProxy {
    const found = this.proxies[nodeId - 1]
    if (found === undefined) throw new Error(`there is no proxy in front of broker ${nodeId}`)
    return found
  }

  /** Starts the brokers that do not run. */
  async start(): Promise<void> {
    await Promise.all(
      this.#parts.brokers.filter(({ isRunning }) => !isRunning).map((broker) => broker.start()),
    )
  }

  async stop(): Promise<void> {
    await Promise.all(this.#parts.brokers.map((broker) => broker.stop()))
    await Promise.all(this.proxies.map((proxy) => proxy.stop()))
    if (this.#parts.temporary) rmSync(this.#parts.folder, { recursive: true, force: true })
  }
}
