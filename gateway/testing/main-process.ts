/** `gateway/main.ts` as a process of its own, with settings that fit a test. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { call, until } from './test-gateway.ts'

const KEY = Buffer.alloc(32, 3).toString('base64')

export class MainProcess {
  readonly adminPort: number
  stderr = ''
  readonly #child: ChildProcess
  readonly #ended: Promise<number | null>

  constructor(adminPort: number, environment: Readonly<Record<string, string>>) {
    this.adminPort = adminPort
    this.#child = spawn(process.execPath, [join(import.meta.dirname, '..', 'main.ts')], {
      env: {
        GATEWAY_PORT: '0',
        GATEWAY_ADMIN_PORT: `${adminPort}`,
        GATEWAY_DRAIN_DELAY_MS: '0',
        GATEWAY_DRAIN_SPREAD_MS: '100',
        BACKHAUL_PSEUDONYM_KEYS: `k:${KEY}`,
        BACKHAUL_SEAL_KEY: KEY,
        KAFKA_REPLICATION_FACTOR: '1',
        KAFKA_MIN_INSYNC_REPLICAS: '1',
        ...environment,
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    this.#child.stderr?.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()))
    this.#ended = once(this.#child, 'close').then(([code]) => code as number | null)
    started.push(this)
  }

  /** What `path` of the port for operators answers; `undefined` while it is not open. */
  ask(path: string) {
    return call(this.adminPort, { path }).catch(() => undefined)
  }

  async isReady(): Promise<void> {
    await until(async () => (await this.ask('/readyz'))?.status === 200)
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  /** The exit code. */
  get ended(): Promise<number | null> {
    return this.#ended
  }
}

const started: MainProcess[] = []

/** Ends what a failed test left running; the children of a pool end with their parent. */
export async function endMainProcesses(): Promise<void> {
  for (const main of started.splice(0)) {
    main.signal('SIGKILL')
    await main.ended
  }
}
