/** The processor as a process of its own, with settings that fit a test. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

const KEY = Buffer.alloc(32, 3).toString('base64')
const MAIN = join(import.meta.dirname, '..', 'main.ts')
const OUTPUT_KEPT_CHARS = 50_000

export interface AdminAnswer {
  readonly status: number
  readonly text: string
}

export class MainProcess {
  /** The last of what it wrote to standard error. */
  stderr = ''
  readonly #adminPort: number
  readonly #child: ChildProcess
  readonly #ended: Promise<number | null>

  /** `script` with its arguments instead of `main.ts`. */
  constructor(
    adminPort: number,
    environment: Readonly<Record<string, string>>,
    script: readonly string[] = [MAIN],
  ) {
    this.#adminPort = adminPort
    this.#child = spawn(process.execPath, [...script], {
      env: {
        PROCESSOR_ADMIN_PORT: `${adminPort}`,
        BACKHAUL_SEAL_KEY: KEY,
        KAFKA_REPLICATION_FACTOR: '1',
        KAFKA_MIN_INSYNC_REPLICAS: '1',
        ...environment,
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    this.#child.stderr?.on(
      'data',
      (chunk: Buffer) => (this.stderr = (this.stderr + chunk.toString()).slice(-OUTPUT_KEPT_CHARS)),
    )
    this.#ended = once(this.#child, 'close').then(([code]) => code as number | null)
    started.add(this)
  }

  /** What `path` of the port for operators answers; `undefined` while it is not open. */
  async ask(path: string): Promise<AdminAnswer | undefined> {
    try {
      const response = await fetch(`http://127.0.0.1:${this.#adminPort}${path}`)
      return { status: response.status, text: await response.text() }
    } catch {
      return undefined
    }
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  /** The exit code, `null` when a signal ended it. */
  get ended(): Promise<number | null> {
    return this.#ended
  }
}

const started = new Set<MainProcess>()

/** Ends what a failed test left running. */
export async function endMainProcesses(): Promise<void> {
  for (const main of started) {
    main.signal('SIGKILL')
    await main.ended
  }
  started.clear()
}
