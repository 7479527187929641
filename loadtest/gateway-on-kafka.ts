/** `gateway/main.ts` as in production, a process of its own, its log on Kafka: to be killed and started again. */
import { spawn, type ChildProcess } from 'node:child_process'
import { request } from 'node:http'
import { join } from 'node:path'
import { freePorts } from '../scripts/services/ports.ts'
import { systemClock } from '../shared/runtime/clock.ts'

const GATEWAY = join(import.meta.dirname, '..', 'gateway')
const MAIN = join(GATEWAY, 'main.ts')
const MAIN_TO_THE_KILL = join(GATEWAY, 'testing', 'to-the-kill', 'main.ts')
const READY_DEADLINE_MS = 60_000
const STOP_DEADLINE_MS = 60_000
const POLL_MS = 50
const OUTPUT_KEPT_CHARS = 20_000
/** Keys of nobody: a load has no viewers to protect. */
const KEY = Buffer.alloc(32, 7).toString('base64')

/** Where a gateway kills itself: at which passing of which failpoint, and how much later. */
export interface KillPoint {
  readonly failpoint: string
  readonly passing: number
  readonly laterMs: number
}

/** The ledger of events as `/metrics` tells it. */
export interface Books {
  readonly received: number
  readonly accepted: number
  readonly rejected: number
  readonly refused: number
  readonly inFlight: number
}

export class GatewayOnKafka {
  readonly port: number
  readonly #adminPort: number
  readonly #environment: Readonly<Record<string, string | undefined>>
  readonly #nodeOptions: readonly string[]
  #child: ChildProcess | undefined
  #ended: Promise<number | null> = Promise.resolve(null)
  /** The last of what the process printed, for a failure's message. */
  #output = ''

  private constructor(
    [port = 0, adminPort = 0]: readonly number[],
    settings: Readonly<Record<string, string>>,
    nodeOptions: readonly string[],
  ) {
    this.port = port
    this.#nodeOptions = nodeOptions
    this.#adminPort = adminPort
    this.#environment = {
      PATH: process.env['PATH'],
      BACKHAUL_LOG_LEVEL: 'warn',
      BACKHAUL_PSEUDONYM_KEYS: `load:${KEY}`,
      BACKHAUL_SEAL_KEY: KEY,
      KAFKA_REPLICATION_FACTOR: '1',
      KAFKA_MIN_INSYNC_REPLICAS: '1',
      GATEWAY_PORT: `${port}`,
      GATEWAY_ADMIN_PORT: `${adminPort}`,
      ...settings,
    }
  }

  /** Keeps its ports from one start to the next. */
  static async create(
    settings: Readonly<Record<string, string>>,
    nodeOptions: readonly string[] = [],
  ): Promise<GatewayOnKafka> {
    return new GatewayOnKafka(await freePorts(2), settings, nodeOptions)
  }

  /** Of `/v1/events` as a WebSocket. */
  get url(): string {
    return `ws://127.0.0.1:${this.port}/v1/events`
  }

  get pid(): number {
    return this.#child?.pid ?? 0
  }

  get output(): string {
    return this.#output
  }

  /** The exit code of the process that runs, or ran last; `null` when a signal ended it. */
  get ended(): Promise<number | null> {
    return this.#ended
  }

  /** Resolves once it is ready; with `kill`, once it runs. */
  async start(kill?: KillPoint): Promise<void> {
    const args =
      kill === undefined
        ? [MAIN]
        : [MAIN_TO_THE_KILL, kill.failpoint, `${kill.passing}`, `${kill.laterMs}`]
    const child = spawn(process.execPath, [...this.#nodeOptions, ...args], {
      env: this.#environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const keep = (chunk: Buffer) =>
      (this.#output = (this.#output + chunk.toString()).slice(-OUTPUT_KEPT_CHARS))
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    const end = () => child.kill('SIGKILL')
    process.once('exit', end)
    this.#child = child
    this.#ended = new Promise((resolve) =>
      child.once('close', (code) => {
        process.removeListener('exit', end)
        resolve(code)
      }),
    )
    if (kill === undefined) await this.#untilReady(child)
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name)
  }

  /** Ends it at once, as a power cut would. */
  async kill(): Promise<void> {
    this.signal('SIGKILL')
    await this.#ended
  }

  /** SIGTERM, and its end: the exit code. */
  async stop(): Promise<number | null> {
    const cancel = systemClock.after(STOP_DEADLINE_MS, () => this.signal('SIGKILL'))
    this.signal('SIGTERM')
    const code = await this.#ended
    cancel()
    return code
  }

  /** What the port for operators answers: status and code; `undefined` while it is not open. */
  async ask(path: string): Promise<{ readonly status: number; readonly text: string } | undefined> {
    try {
      const response = await fetch(`http://127.0.0.1:${this.#adminPort}${path}`)
      return { status: response.status, text: await response.text() }
    } catch {
      return undefined
    }
  }

  /** The sum of a metric's samples whose labels contain `labels`. */
  async metric(name: string, labels = ''): Promise<number> {
    const text = (await this.ask('/metrics'))?.text ?? ''
    return sampleSum(text, name, labels)
  }

  /** received = accepted + rejected + refused + inFlight, or the process has a defect. */
  async books(): Promise<Books> {
    const text = (await this.ask('/metrics'))?.text ?? ''
    const of = (outcome: string) => sampleSum(text, 'gateway_events', `outcome="${outcome}"`)
    return {
      received: of('received'),
      accepted: of('accepted'),
      rejected: of('rejected'),
      refused: of('refused'),
      inFlight: of('inFlight'),
    }
  }

  /** How a new client is answered: 101, or the status and problem of its refusal. */
  upgrade(token?: string): Promise<{ readonly status: number; readonly text: string }> {
    const headers = {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      'sec-websocket-version': '13',
      'sec-websocket-protocol': 'playback.v1',
    }
    const target = { host: '127.0.0.1', port: this.port, path: '/v1/events', agent: false }
    return new Promise((resolve, reject) => {
      const outgoing = request({ ...target, headers }, (incoming) => {
        let text = ''
        incoming.on('data', (chunk: Buffer) => (text += chunk.toString()))
        incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, text }))
      })
      outgoing.once('upgrade', (_incoming, socket) => {
        socket.destroy()
        resolve({ status: 101, text: '' })
      })
      outgoing.once('error', reject)
      outgoing.end()
    })
  }

  async #untilReady(child: ChildProcess): Promise<void> {
    const deadlineMs = systemClock.monotonicMs() + READY_DEADLINE_MS
    while ((await this.ask('/readyz'))?.status !== 200) {
      const hasEnded = child.exitCode !== null || child.pid === undefined
      if (hasEnded || systemClock.monotonicMs() > deadlineMs) {
        await this.kill()
        throw new Error(
          `the gateway ${hasEnded ? 'did not start' : 'was not ready in time'}:\n${this.#output}`,
        )
      }
      await systemClock.sleep(POLL_MS)
    }
  }
}

export function isBalanced({ received, accepted, rejected, refused, inFlight }: Books): boolean {
  return received === accepted + rejected + refused + inFlight
}

function sampleSum(text: string, name: string, labels: string): number {
  let sum = 0
  for (const line of text.split('\n')) {
    if (!line.startsWith(`${name}{`) && !line.startsWith(`${name} `)) continue
    if (line.includes(labels)) sum += Number(line.slice(line.lastIndexOf(' ') + 1))
  }
  return sum
}
