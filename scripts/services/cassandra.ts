/**
 * Cassandra as a service: one real node, its data in a folder of its own.
 *
 * ```ts
 * const cassandra = await startCassandra({ proxied: true })
 * … cassandra.contactPoint … cassandra.kill() … cassandra.start() …
 * await cassandra.stop()
 * ```
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mavenJars } from './artefacts.ts'
import { nodeSettings, type CassandraOptions, type NodeParts } from './cassandra/settings.ts'
import { FaultProxy } from './fault-proxy.ts'
import { writeKeyStore } from './key-store.ts'
import { freePorts } from './ports.ts'
import { ServerProcess } from './server-process.ts'

const FILES = join(import.meta.dirname, 'cassandra')
const JAVA_FLAGS = {
  // `cassandra.unsafesystem` would start faster still, and lose the tables when the node is killed.
  tests: ['-Xms512m', '-Xmx512m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC'],
  load: ['-Xms1g', '-Xmx1g', '-XX:+UseG1GC', '-XX:MaxGCPauseMillis=50'],
} as const
const COMMON_FLAGS = [
  '-Xss256k',
  '-XX:+ExitOnOutOfMemoryError',
  '-XX:+PerfDisableSharedMem',
  '-Djava.awt.headless=true',
  '-Djava.net.preferIPv4Stack=true',
  '-Dio.netty.tryReflectionSetAccessible=true',
  '-Dcassandra-foreground=yes',
  '-Dcassandra.skip_wait_for_gossip_to_settle=0',
  '-Dcassandra.ring_delay_ms=0',
  '-Dcassandra.superuser_setup_delay_ms=0',
  `-Dlogback.configurationFile=${join(FILES, 'logback.xml')}`,
  `@${join(FILES, 'jvm.args')}`,
] as const

/** Fetches what Cassandra runs from; returns the folder of its jars. */
export function prepareCassandra(): string {
  return mavenJars(join(FILES, 'pom.xml'))
}

export async function startCassandra(options: CassandraOptions = {}): Promise<Cassandra> {
  const jars = prepareCassandra()
  const temporary = options.folder === undefined
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'backhaul-cassandra-'))
  const [native = 0, storage = 0] = await freePorts(2)
  const ports = { native: options.port ?? native, storage }
  const proxy = options.proxied === true ? await FaultProxy.start(ports.native) : undefined
  const keyStore = options.secured === true ? writeKeyStore(join(folder, 'tls')) : undefined
  const cassandra = new Cassandra({ folder, ports, options, keyStore, jars, temporary, proxy })
  try {
    await cassandra.start()
  } catch (error) {
    await cassandra.stop()
    throw error
  }
  return cassandra
}

interface CassandraParts extends NodeParts {
  readonly jars: string
  readonly temporary: boolean
  readonly proxy: FaultProxy | undefined
}

export class Cassandra {
  readonly #parts: CassandraParts
  readonly #server: ServerProcess

  constructor(parts: CassandraParts) {
    this.#parts = parts
    this.#server = new ServerProcess({
      name: 'cassandra',
      folder: this.#nodeFolder,
      command: 'java',
      args: this.#javaArgs(),
      port: parts.ports.native,
      readyLine: 'Startup complete',
      detached: parts.options.detached ?? false,
    })
  }

  /** Where clients begin: `host:port`, through the proxy where there is one. */
  get contactPoint(): string {
    return `127.0.0.1:${this.#parts.proxy?.port ?? this.#parts.ports.native}`
  }

  /** The same, past the proxy: for a reader that no fault should reach. */
  get directContactPoint(): string {
    return `127.0.0.1:${this.#parts.ports.native}`
  }

  /** The node's own certificate, in PEM, where it is secured. */
  get certificate(): string | undefined {
    return this.#parts.keyStore?.certificate
  }

  get proxy(): FaultProxy {
    const { proxy } = this.#parts
    if (proxy === undefined) throw new Error('there is no proxy in front of this node')
    return proxy
  }

  /** Process id, while it runs. */
  get pid(): number | undefined {
    return this.#server.pid
  }

  /** Starts the node and waits until it serves. */
  async start(): Promise<void> {
    mkdirSync(this.#nodeFolder, { recursive: true })
    // JSON is YAML.
    writeFileSync(this.#settingsPath, JSON.stringify(nodeSettings(this.#parts), undefined, 2))
    await this.#server.start()
  }

  async stop(): Promise<void> {
    await this.#server.stop()
    await this.#parts.proxy?.stop()
    if (this.#parts.temporary) rmSync(this.#parts.folder, { recursive: true, force: true })
  }

  /** Ends the process without warning, as a crash would; its data stays. */
  async kill(): Promise<void> {
    await this.#server.kill()
  }

  pause(): void {
    this.#server.pause()
  }

  continue(): void {
    this.#server.continue()
  }

  get #nodeFolder(): string {
    return join(this.#parts.folder, 'node-1')
  }

  get #settingsPath(): string {
    return join(this.#nodeFolder, 'cassandra.yaml')
  }

  #javaArgs(): string[] {
    const { jars, options } = this.#parts
    const jamm = readdirSync(jars).find((name) => name.startsWith('jamm-'))
    if (jamm === undefined) throw new Error(`${jars} lacks jamm, which Cassandra measures with`)
    return [
      ...JAVA_FLAGS[options.profile ?? 'tests'],
      ...COMMON_FLAGS,
      `-javaagent:${join(jars, jamm)}`,
      `-Dcassandra.config=file://${this.#settingsPath}`,
      `-Dcassandra.storagedir=${join(this.#nodeFolder, 'data')}`,
      `-Dcassandra.logdir=${this.#nodeFolder}`,
      '-cp',
      join(jars, '*'),
      'org.apache.cassandra.service.CassandraDaemon',
    ]
  }
}
