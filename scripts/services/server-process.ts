/**
 * One server process of a service: its start until it is ready, its faults, its end. Its folder
 * holds `process.json` (who it is, so that a later command ends this process and no other) and
 * `server.log`.
 *
 * Ready means: nobody listened on its port before, its port is open, and its log has the ready line
 * since this start. A port alone is not enough: a process that was killed a moment ago can still
 * accept.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isPortOpen } from './ports.ts'

const READY_TIMEOUT_MS = 90_000
const STOP_TIMEOUT_MS = 30_000
const POLL_MS = 50
const LOG_TAIL_LINES = 25
const RECORD_FILE = 'process.json'
export const LOG_FILE = 'server.log'

export interface ServerSpec {
  readonly name: string
  /** Holds the process record and the log; created when it is missing. */
  readonly folder: string
  readonly command: string
  readonly args: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly port: number
  /** Text of the log line that says the server is ready. */
  readonly readyLine: string
  /** Outlives this process, for a command line; otherwise it ends with it, however that ends. */
  readonly detached?: boolean
}

/** What `process.json` says. The time of birth tells a process from a later one of the same id. */
export interface ProcessRecord {
  readonly name: string
  readonly pid: number
  readonly bornAt: string
  readonly port: number
}

export class ServerProcess {
  readonly name: string
  readonly #folder: string
  #spec: ServerSpec
  #child: ChildProcess | undefined
  #guard: ChildProcess | undefined

  constructor(spec: ServerSpec) {
    this.name = spec.name
    this.#folder = spec.folder
    this.#spec = spec
  }

  get logPath(): string {
    return join(this.#folder, LOG_FILE)
  }

  /** Process id, while it runs. */
  get pid(): number | undefined {
    return this.isRunning ? this.#child?.pid : undefined
  }

  get isRunning(): boolean {
    return this.#child !== undefined && !hasEnded(this.#child)
  }

  /** Starts the process, with another command line from now on where one is given. */
  async start(changed: Partial<Pick<ServerSpec, 'command' | 'args'>> = {}): Promise<void> {
    this.#spec = { ...this.#spec, ...changed }
    const { name, port, command, args, environment, detached = false } = this.#spec
    if (await isPortOpen(port)) throw new Error(`port ${port} of ${name} is in use`)
    mkdirSync(this.#folder, { recursive: true })
    const log = openSync(this.logPath, 'a')
    const logStart = statSync(this.logPath).size
    const child = spawn(command, args, {
      stdio: ['ignore', log, log],
      detached,
      ...(environment && { env: { ...process.env, ...environment } }),
    })
    closeSync(log)
    child.once('error', () => undefined)
    this.#child = child
    if (child.pid === undefined) throw new Error(`${name} cannot be run: is ${command} installed?`)
    writeRecord(this.#folder, { name, port, pid: child.pid, bornAt: bornAt(child.pid) ?? '' })
    if (detached) child.unref()
    else this.#guard = guard(child.pid)
    await this.#untilReady(child, logStart)
  }

  /** Asks it to end and waits; kills it when it does not. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM')
  }

  /** Ends it without warning, as a crash would. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** Stands still, connections open, until `continue`. */
  pause(): void {
    this.#child?.kill('SIGSTOP')
  }

  continue(): void {
    this.#child?.kill('SIGCONT')
  }

  /** Resolves when the process has ended by itself or by a signal. */
  async ended(): Promise<void> {
    const child = this.#child
    if (child === undefined || hasEnded(child)) return
    await new Promise((resolve) => child.once('exit', resolve))
  }

  async #untilReady(child: ChildProcess, logStart: number): Promise<void> {
    const { name, port, readyLine } = this.#spec
    const deadline = performance.now() + READY_TIMEOUT_MS
    for (;;) {
      const log = readFileSync(this.logPath).subarray(logStart).toString()
      if (log.includes(readyLine) && (await isPortOpen(port))) return
      const reason = hasEnded(child) ? 'ended while it started' : 'is not ready in time'
      if (hasEnded(child) || performance.now() > deadline) {
        await this.kill()
        throw new Error(`${name} ${reason}:\n${lastLines(log)}`)
      }
      await sleep(POLL_MS)
    }
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child
    if (child !== undefined && !hasEnded(child)) {
      const ended = this.ended()
      child.kill(signal)
      // A process that stands still takes no other signal.
      child.kill('SIGCONT')
      const giveUp = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
      await ended
      clearTimeout(giveUp)
    }
    this.#guard?.stdin?.end('done\n')
    this.#guard = undefined
    rmSync(join(this.#folder, RECORD_FILE), { force: true })
  }
}

/** The process that a folder's record names, while it runs. */
export function recordedProcess(folder: string): ProcessRecord | undefined {
  const path = join(folder, RECORD_FILE)
  if (!existsSync(path)) return undefined
  const found = JSON.parse(readFileSync(path, 'utf8')) as ProcessRecord
  return bornAt(found.pid) === found.bornAt ? found : undefined
}

/** Ends the process that a folder's record names, if it still is that process. */
export async function endRecordedProcess(folder: string): Promise<void> {
  const found = recordedProcess(folder)
  const deadline = performance.now() + STOP_TIMEOUT_MS
  if (found !== undefined) process.kill(found.pid, 'SIGTERM')
  while (recordedProcess(folder) !== undefined) {
    if (performance.now() > deadline && found !== undefined) process.kill(found.pid, 'SIGKILL')
    await sleep(POLL_MS)
  }
  rmSync(join(folder, RECORD_FILE), { force: true })
}

/** Last lines of a server's log. */
export function lastLines(log: string, count = LOG_TAIL_LINES): string {
  return log.trimEnd().split('\n').slice(-count).join('\n')
}

function writeRecord(folder: string, record: ProcessRecord): void {
  writeFileSync(join(folder, RECORD_FILE), `${JSON.stringify(record, undefined, 2)}\n`)
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null || child.pid === undefined
}

/** When the process with this id was started; `undefined` when there is none. */
function bornAt(pid: number): string | undefined {
  const { stdout } = spawnSync('ps', ['-o', 'lstart=', '-o', 'stat=', '-p', `${pid}`], {
    encoding: 'utf8',
  })
  const [, born, state] = /^\s*(.*\S)\s+(\S+)\s*$/.exec(stdout) ?? []
  return state === undefined || state.startsWith('Z') ? undefined : born
}

/** Kills the server when this process dies without having ended it: the pipe then closes. */
function guard(pid: number): ChildProcess {
  const child = spawn('sh', ['-c', `read line || kill -9 ${pid}`], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  child.unref()
  if (child.stdin instanceof Socket) child.stdin.unref()
  return child
}
