/**
 * What a batch costs those who send events: a standalone server under a steady load, its batch by
 * schedule. Every acknowledgement counts for idle or for batch, by whether a run was under way when
 * its frame was due. Frames are due by the clock, not by the answers, so a server that stalls is
 * charged for every frame that waited.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../shared/runtime/clock.ts'
import { freePort, StandaloneProcess } from '../standalone-process.ts'
import { benchFrames, type BenchFrame } from './events.ts'
import { perEvent, type BenchResult } from './results.ts'

const FRAMES_PER_SECOND = 100
const CONNECTIONS = 4
const BATCH_EVERY_MS = 20_000
const LOOK_MS = 100
/** Clock ticks a second in /proc. */
const TICKS_PER_SECOND = 100

interface Sample {
  readonly latencyMs: number
  readonly duringBatch: boolean
}

export async function benchAcksBesideBatch(
  eventsPerFrame: number,
  events: number,
): Promise<BenchResult> {
  const folder = mkdtempSync(join(tmpdir(), 'backhaul-bench-'))
  const [gatewayPort, servingPort] = [await freePort(), await freePort()]
  const server = new StandaloneProcess({
    BACKHAUL_DATA_DIR: folder,
    BACKHAUL_LOG_LEVEL: 'error',
    GATEWAY_PORT: `${gatewayPort}`,
    SERVING_PORT: `${servingPort}`,
    BATCH_EVERY_MS: `${BATCH_EVERY_MS}`,
  })
  try {
    await server.start()
    const watch = new BatchWatch(`http://127.0.0.1:${servingPort}`)
    const load = new SteadyLoad(`ws://127.0.0.1:${gatewayPort}/v1/events`, () => watch.isRunning)
    const startedMs = systemClock.monotonicMs()
    const cpuBeforeMs = cpuMs(server.processId)
    const samples = await load.run(eventsPerFrame, events / eventsPerFrame)
    const wallMs = systemClock.monotonicMs() - startedMs
    const serverCpuMs = cpuMs(server.processId) - cpuBeforeMs
    watch.stop()
    return perEvent(
      `acks beside a batch, ${eventsPerFrame} events a frame, ${FRAMES_PER_SECOND} frames/s`,
      events,
      { wallMs, cpuMs: serverCpuMs },
      { ...percentiles('idle', samples, false), ...percentiles('batch', samples, true) },
    )
  } finally {
    await server.kill()
    rmSync(folder, { recursive: true, force: true })
  }
}

function percentiles(
  name: string,
  samples: readonly Sample[],
  duringBatch: boolean,
): Record<string, number> {
  const sorted = samples
    .filter((sample) => sample.duringBatch === duringBatch)
    .map(({ latencyMs }) => latencyMs)
    .toSorted((a, b) => a - b)
  const at = (p: number) => Math.round((sorted[Math.floor(sorted.length * p)] ?? 0) * 10) / 10
  return {
    [`${name} acks`]: sorted.length,
    [`${name} p50 ms`]: at(0.5),
    [`${name} p99 ms`]: at(0.99),
  }
}

/** User and system time of the server, without its children. */
function cpuMs(processId: number | undefined): number {
  const fields = readFileSync(`/proc/${processId}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return ((Number(fields[11]) + Number(fields[12])) * 1_000) / TICKS_PER_SECOND
}

/** Whether a run is under way, looked at ten times a second. */
class BatchWatch {
  isRunning = false
  readonly stop: () => void

  constructor(url: string) {
    this.stop = systemClock.every(LOOK_MS, () => {
      fetch(`${url}/v1/status`)
        .then((response) => response.json() as Promise<{ batch: { isRunning: boolean } }>)
        .then(({ batch }) => (this.isRunning = batch.isRunning))
        .catch(() => undefined)
    })
  }
}

class SteadyLoad {
  readonly #url: string
  readonly #isBatchRunning: () => boolean

  constructor(url: string, isBatchRunning: () => boolean) {
    this.#url = url
    this.#isBatchRunning = isBatchRunning
  }

  async run(eventsPerFrame: number, frames: number): Promise<Sample[]> {
    const samples: Sample[] = []
    const connections = await Promise.all(
      Array.from({ length: CONNECTIONS }, () => PacedConnection.open(this.#url, samples)),
    )
    const startMs = systemClock.monotonicMs()
    let index = 0
    for (const frame of benchFrames(frames, eventsPerFrame)) {
      const dueMs = startMs + (index * 1_000) / FRAMES_PER_SECOND
      const waitMs = dueMs - systemClock.monotonicMs()
      if (waitMs > 0) await systemClock.sleep(waitMs)
      connections[index % CONNECTIONS]?.send(frame, dueMs, this.#isBatchRunning())
      index++
    }
    await Promise.all(connections.map((connection) => connection.drain()))
    return samples
  }
}

/** One connection that never sends beyond its credit; what waits for credit is charged for it. */
class PacedConnection {
  readonly #socket: WebSocket
  readonly #samples: Sample[]
  readonly #sent: { readonly dueMs: number; readonly duringBatch: boolean }[] = []
  readonly #waiting: string[] = []
  #edge = 0
  #next = 0
  #acknowledged = -1
  #drained: (() => void) | undefined

  private constructor(socket: WebSocket, samples: Sample[]) {
    this.#socket = socket
    this.#samples = samples
  }

  static open(url: string, samples: Sample[]): Promise<PacedConnection> {
    const socket = new WebSocket(url, 'playback.v1')
    const connection = new PacedConnection(socket, samples)
    return new Promise((resolve, reject) => {
      socket.addEventListener('error', () => reject(new Error('the gateway refused')))
      socket.addEventListener('message', ({ data }) => {
        connection.#receive(String(data))
        resolve(connection)
      })
    })
  }

  send(frame: BenchFrame, dueMs: number, duringBatch: boolean): void {
    const number = this.#sent.push({ dueMs, duringBatch }) - 1
    this.#waiting.push(
      `{"v":1,"frame":${number},"sentAt":${frame.sentAtMs},"session":${frame.contextJson},` +
        `"events":[${frame.eventsJson.join(',')}]}`,
    )
    this.#flush()
  }

  drain(): Promise<void> {
    return new Promise((resolve) => {
      this.#drained = () => {
        this.#socket.close()
        resolve()
      }
      if (this.#acknowledged === this.#sent.length - 1) this.#drained()
    })
  }

  #flush(): void {
    while (this.#waiting.length > 0 && this.#next < this.#edge) {
      this.#socket.send(this.#waiting.shift() ?? '')
      this.#next++
    }
  }

  #receive(data: string): void {
    const message = JSON.parse(data) as {
      welcome?: { creditFrames: number }
      ack?: number
      creditFrames?: number
      rejected?: unknown
      slow?: unknown
    }
    if (message.rejected !== undefined || message.slow !== undefined) throw new Error(data)
    if (message.welcome !== undefined) this.#edge = message.welcome.creditFrames
    if (message.ack !== undefined) this.#acknowledge(message.ack, message.creditFrames ?? 0)
    this.#flush()
  }

  #acknowledge(ack: number, creditFrames: number): void {
    const nowMs = systemClock.monotonicMs()
    for (let frame = this.#acknowledged + 1; frame <= ack; frame++) {
      const sent = this.#sent[frame]
      if (sent !== undefined)
        this.#samples.push({ latencyMs: nowMs - sent.dueMs, duringBatch: sent.duringBatch })
    }
    this.#acknowledged = ack
    this.#edge = Math.max(this.#edge, ack + 1 + creditFrames)
    if (ack === this.#sent.length - 1) this.#drained?.()
  }
}
