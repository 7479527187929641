/** A service's `main.ts` as a process of its own, seen through its port for operators. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { get } from 'node:https'
import { text } from 'node:stream/consumers'
import type { StopStack } from '../../runtime/lifecycle.ts'

const OUTPUT_KEPT_CHARS = 50_000
/** A process that is stopped, or busy for so long, counts as one whose port is not open. */
const ANSWER_DEADLINE_MS = 10_000

export interface AdminAnswer {
  readonly status: number
  readonly text: string
}

export interface MainProcessOptions {
  /** The script and its arguments. */
  readonly script: readonly string[]
  /** Where it listens for operators, which `environment` tells it. */
  readonly adminPort: number
  readonly environment: Readonly<Record<string, string>>
  /** In PEM; with it that port is asked over TLS. */
  readonly authority?: string
  /** Another Node than the one of the test, and the user that it runs as. */
  readonly runtime?: Runtime
}

export interface Runtime {
  readonly command: string
  /** `undefined`: as the test does. */
  readonly userId: number | undefined
}

export class MainProcess {
  /** The last of what it wrote to standard error. */
  stderr = ''
  readonly #adminPort: number
  readonly #authority: string | undefined
  readonly #child: ChildProcess
  readonly #ended: Promise<number | null>

  constructor({ script, adminPort, environment, authority, runtime }: MainProcessOptions) {
    this.#adminPort = adminPort
    this.#authority = authority
    this.#child = spawn(runtime?.command ?? process.execPath, [...script], {
      env: { ...environment },
      uid: runtime?.userId,
      gid: runtime?.userId,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    this.#child.stderr?.on(
      'data',
      (chunk: Buffer) => (this.stderr = (this.stderr + chunk.toString()).slice(-OUTPUT_KEPT_CHARS)),
    )
    this.#ended = once(this.#child, 'close').then(([code]) => code as number | null)
    started.add(this)
  }

  /** What `path` of the port for operators answers; `undefined` while nothing does. */
  async ask(path: string): Promise<AdminAnswer | undefined> {
    const address = `127.0.0.1:${this.#adminPort}${path}`
    const signal = AbortSignal.timeout(ANSWER_DEADLINE_MS)
    try {
      if (this.#authority !== undefined)
        return await askOverTls(`https://${address}`, { ca: this.#authority, signal })
      const response = await fetch(`http://${address}`, { signal })
      return { status: response.status, text: await response.text() }
    } catch {
      return undefined
    }
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** The exit code, `null` when a signal ended it. */
  get ended(): Promise<number | null> {
    return this.#ended
  }
}

/** `fetch` takes no authority. */
async function askOverTls(
  url: string,
  options: { readonly ca: string; readonly signal: AbortSignal },
): Promise<AdminAnswer> {
  const [response] = (await once(get(url, options), 'response')) as [IncomingMessage]
  return { status: response.statusCode ?? 0, text: await text(response) }
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

/** What still runs when this process exits is ended with it, and when the stack stops; also what stands still. */
export function endMainProcessesWith(stack: StopStack): void {
  const end = () => {
    for (const main of started) main.signal('SIGKILL')
  }
  process.once('exit', end)
  stack.add('processes', async () => {
    process.removeListener('exit', end)
    await endMainProcesses()
  })
}
