/** Keeps the process of the batch running: starts it, starts it again after it ended, stops it. */
import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Clock } from '../shared/runtime/clock.ts'
import type { Running } from '../shared/runtime/lifecycle.ts'
import type { FromBatch, ToBatch } from './batch-messages.ts'
import {
  BATCH_HEAP_MIB,
  BATCH_POOL_THREADS,
  BATCH_RESTART_FIRST_MS,
  BATCH_RESTART_MAX_MS,
  BATCH_RESTART_RESET_MS,
  BATCH_STOP_GRACE_MS,
} from './limits.ts'
import type { StandaloneTelemetry } from './telemetry.ts'

export interface BatchChildOptions {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  readonly telemetry: StandaloneTelemetry
  /** The module that the process runs. */
  readonly entry?: URL
  readonly onMessage: (message: FromBatch) => void
  /** The process ended, asked or not: nothing that was under way will be answered. */
  readonly onEnd: () => void
}

const ENTRY = new URL('batch-process/main.ts', import.meta.url)

export class BatchChild implements Running {
  readonly #options: BatchChildOptions
  #child: ChildProcess | undefined
  #exited: Promise<void> = Promise.resolve()
  #readyAtMs: number | undefined
  #endsInARow = 0
  #stopping = false
  #cancelRestart: () => void = () => undefined

  constructor(options: BatchChildOptions) {
    this.#options = options
  }

  get isReady(): boolean {
    return this.#readyAtMs !== undefined
  }

  get processId(): number | undefined {
    return this.#child?.pid
  }

  start(): void {
    const child = fork(fileURLToPath(this.#options.entry ?? ENTRY), {
      env: { ...this.#options.environment, UV_THREADPOOL_SIZE: `${BATCH_POOL_THREADS}` },
      execArgv: [`--max-old-space-size=${BATCH_HEAP_MIB}`],
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    this.#child = child
    this.#exited = new Promise((resolve) => {
      const ended = (why: string) => {
        if (this.#child !== child) return
        this.#child = undefined
        resolve()
        this.#ended(why)
      }
      child.once('error', (error) => ended(error.message))
      child.once('exit', (code, signal) => ended(`exit code ${code}, signal ${signal}`))
    })
    child.on('message', (message) => this.#receive(message as FromBatch))
  }

  /** Whether the process will get it. */
  send(message: ToBatch): boolean {
    const child = this.#child
    if (child === undefined || !child.connected) return false
    // A channel that breaks meanwhile is told by the end of the process.
    child.send(message, () => undefined)
    return true
  }

  /** Asks the process to stop, and kills it when it takes too long. */
  async stop(): Promise<void> {
    this.#stopping = true
    this.#cancelRestart()
    this.send({ kind: 'stop' })
    const child = this.#child
    const cancel = this.#options.clock.after(BATCH_STOP_GRACE_MS, () => child?.kill('SIGKILL'))
    await this.#exited
    cancel()
  }

  #receive(message: FromBatch): void {
    if (message.kind === 'ready') {
      this.#readyAtMs = this.#options.clock.monotonicMs()
      this.#options.telemetry.batchReady({ processId: this.processId })
    }
    this.#options.onMessage(message)
  }

  #ended(why: string): void {
    const { clock, telemetry, onEnd } = this.#options
    const readyForMs = this.#readyAtMs === undefined ? 0 : clock.monotonicMs() - this.#readyAtMs
    this.#readyAtMs = undefined
    if (readyForMs >= BATCH_RESTART_RESET_MS) this.#endsInARow = 0
    const restartInMs = this.#stopping
      ? undefined
      : Math.min(BATCH_RESTART_FIRST_MS * 2 ** this.#endsInARow++, BATCH_RESTART_MAX_MS)
    telemetry.batchEnded({ why, restartInMs })
    onEnd()
    if (restartInMs !== undefined)
      this.#cancelRestart = clock.after(restartInMs, () => this.start())
  }
}
