/**
 * The gateway over the embedded log: prebuilt frames over a few WebSockets, sent as fast as the
 * credit allows, timed until the last acknowledgement. CPU time is the gateway process's alone.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { systemClock } from '../../shared/runtime/clock.ts'
import { benchFrames } from './events.ts'
import { perEvent, type BenchResult } from './results.ts'

export const CONNECTIONS = 8
export const DEADLINE_MS = 120_000

export async function benchGateway(eventsPerFrame: number, events: number): Promise<BenchResult> {
  const child = fork(join(import.meta.dirname, 'gateway-process.ts'), { stdio: 'inherit' })
  try {
    const { url } = await answer<{ url: string }>(child)
    const senders = prepare(url, eventsPerFrame, Math.floor(events / eventsPerFrame))
    await Promise.all(senders.map((sender) => sender.ready))
    const cpuBefore = await cpuMs(child)
    const startMs = systemClock.monotonicMs()
    const latencies = await Promise.all(senders.map((sender) => sender.run()))
    const wallMs = systemClock.monotonicMs() - startMs
    const cpu = (await cpuMs(child)) - cpuBefore
    for (const sender of senders) sender.close()
    const sorted = latencies.flat().sort((a, b) => a - b)
    const quantile = (p: number) => Math.round(sorted[Math.floor(sorted.length * p)] ?? 0)
    return perEvent(
      `gateway + embedded log, ${eventsPerFrame} events a frame`,
      events,
      { wallMs, cpuMs: cpu },
      { 'ack p50 ms': quantile(0.5), 'ack p99 ms': quantile(0.99) },
    )
  } finally {
    child.send('stop')
    await new Promise((resolve) => child.once('exit', resolve))
  }
}

export function answer<Message>(child: ChildProcess): Promise<Message> {
  return new Promise((resolve, reject) => {
    child.once('message', (message) => resolve(message as Message))
    child.once('exit', (code) => reject(new Error(`the gateway process ended with ${code}`)))
  })
}

export async function cpuMs(child: ChildProcess): Promise<number> {
  const answered = answer<{ cpuMs: number }>(child)
  child.send('cpu')
  return (await answered).cpuMs
}

/** One connection with its frames; `run` resolves with the latency of every acknowledgement. */
class Sender {
  readonly ready: Promise<void>
  readonly #socket: WebSocket
  readonly #frames: readonly string[]
  readonly #sentAtMs: number[] = []
  readonly #latencies: number[] = []
  #edgeFrames = 0
  #edgeBytes = 0
  #sentBytes: number[] = []
  #acknowledged = -1
  #next = 0
  #done: () => void = () => undefined

  constructor(url: string, frames: readonly string[]) {
    this.#frames = frames
    this.#socket = new WebSocket(`${url.replace('http', 'ws')}/v1/events`, 'playback.v1')
    this.ready = new Promise((resolve, reject) => {
      this.#socket.addEventListener('error', () => reject(new Error('the gateway refused')))
      this.#socket.addEventListener('message', ({ data }) => this.#receive(String(data), resolve))
    })
  }

  run(): Promise<number[]> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('not acknowledged in time')), DEADLINE_MS)
      this.#done = () => {
        clearTimeout(timer)
        resolve(this.#latencies)
      }
      this.#send()
    })
  }

  close(): void {
    this.#socket.close()
  }

  #receive(data: string, welcomed: () => void): void {
    const message = JSON.parse(data) as {
      welcome?: { creditFrames: number; creditBytes: number }
      ack?: number
      creditFrames?: number
      creditBytes?: number
      rejected?: unknown
      slow?: unknown
    }
    if (message.rejected !== undefined || message.slow !== undefined) throw new Error(data)
    if (message.welcome !== undefined) {
      this.#edgeFrames = message.welcome.creditFrames
      this.#edgeBytes = message.welcome.creditBytes
      welcomed()
    }
    if (message.ack === undefined) return
    const nowMs = systemClock.monotonicMs()
    for (let frame = this.#acknowledged + 1; frame <= message.ack; frame++)
      this.#latencies.push(nowMs - (this.#sentAtMs[frame] ?? nowMs))
    this.#acknowledged = message.ack
    const ackedBytes = this.#sentBytes[message.ack] ?? 0
    this.#edgeFrames = Math.max(this.#edgeFrames, message.ack + 1 + (message.creditFrames ?? 0))
    this.#edgeBytes = Math.max(this.#edgeBytes, ackedBytes + (message.creditBytes ?? 0))
    if (this.#acknowledged === this.#frames.length - 1) this.#done()
    else this.#send()
  }

  #send(): void {
    while (this.#next < this.#frames.length && this.#next < this.#edgeFrames) {
      const frame = this.#frames[this.#next] ?? ''
      const bytes = (this.#sentBytes[this.#next - 1] ?? 0) + frame.length
      if (bytes > this.#edgeBytes) return
      this.#sentBytes.push(bytes)
      this.#sentAtMs.push(systemClock.monotonicMs())
      this.#socket.send(frame)
      this.#next += 1
    }
  }
}

function prepare(url: string, eventsPerFrame: number, count: number): Sender[] {
  const frames: string[][] = Array.from({ length: CONNECTIONS }, () => [])
  let index = 0
  for (const frame of benchFrames(count, eventsPerFrame)) {
    const own = frames[index % CONNECTIONS]
    own?.push(
      `{"v":1,"frame":${own.length},"sentAt":${frame.sentAtMs},"session":${frame.contextJson},` +
        `"events":[${frame.eventsJson.join(',')}]}`,
    )
    index += 1
  }
  return frames.map((own) => new Sender(url, own))
}
