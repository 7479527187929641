/** A standalone server as a process of its own, to be killed and started again. */
import { spawn, type ChildProcess } from 'node:child_process'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'

const MAIN = join(import.meta.dirname, '..', 'standalone', 'main.ts')
const START_DEADLINE_MS = 90_000
const OUTPUT_KEPT_CHARS = 20_000

export class StandaloneProcess {
  readonly #environment: NodeJS.ProcessEnv
  #child: ChildProcess | undefined
  #exited: Promise<number | null> = Promise.resolve(null)
  /** The last of what the process printed, for a failure's message. */
  #output = ''

  constructor(environment: Readonly<Record<string, string>>) {
    this.#environment = { ...process.env, ...environment }
  }

  /** Of the process that runs now. */
  get processId(): number | undefined {
    return this.#child?.pid
  }

  get output(): string {
    return this.#output
  }

  /** Resolves once it says that it runs; rejects with its output when it ends or takes too long. */
  start(): Promise<void> {
    const child = spawn(process.execPath, [MAIN], {
      env: this.#environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    this.#exited = new Promise((resolve) => child.once('close', (code) => resolve(code)))
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => fail('did not start in time'), START_DEADLINE_MS)
      const fail = (why: string) => {
        clearTimeout(timer)
        child.kill('SIGKILL')
        reject(new Error(`the server ${why}:\n${this.#output}`))
      }
      child.once('close', (code) => fail(`ended with ${code}`))
      const keep = (chunk: Buffer) => {
        this.#output = (this.#output + chunk.toString()).slice(-OUTPUT_KEPT_CHARS)
        if (!this.#output.includes('Backhaul is running')) return
        clearTimeout(timer)
        resolve()
      }
      this.#output = ''
      child.stdout.on('data', keep)
      child.stderr.on('data', keep)
    })
  }

  /** Ends it at once, as a power cut would end the process. */
  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL')
    await this.#exited
  }

  /** Asks it to stop; resolves with its exit code. */
  async stop(): Promise<number | null> {
    this.#child?.kill('SIGTERM')
    return this.#exited
  }
}

/** A port of 127.0.0.1 that nothing listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
