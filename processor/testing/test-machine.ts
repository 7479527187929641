/**
 * One machine for tests: the embedded stores in a temporary folder, on a clock that the test moves,
 * and processors that can be killed. A killed processor is cut off from its ports and its clock at
 * that moment, as by SIGKILL; the stores are then closed and opened again.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { EventLog } from '../../shared/log/event-log.ts'
import { openLmdbEventLog } from '../../shared/log/lmdb-event-log.ts'
import { partitionOf } from '../../shared/log/partitioner.ts'
import { encodeFrameRecord, FRAME_SCHEMA } from '../../shared/log/record.ts'
import { createSealer } from '../../shared/log/reject-record.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import { openFolderObjectStore } from '../../shared/objects/folder-object-store.ts'
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import { parseCut, type Cut } from '../../shared/qoe/cuts.ts'
import { ManualClock, systemClock, type Clock } from '../../shared/runtime/clock.ts'
import { ArmedFailpoints, type FailpointName } from '../../shared/runtime/failpoints.ts'
import { seededRandom } from '../../shared/runtime/random.ts'
import type { TelemetryBase } from '../../shared/runtime/telemetry.ts'
import { openLmdbSpeedStore } from '../../shared/speed/lmdb-speed-store.ts'
import type { MinuteRow, PositionRow, SessionRow } from '../../shared/speed/rows.ts'
import type { SpeedStore } from '../../shared/speed/speed-store.ts'
import type { AlertRule } from '../../shared/alerts/rules.ts'
import type { AlertsConfig, ProcessorConfig } from '../config.ts'
import { startProcessor, type RunningProcessor } from '../start.ts'
import { configOf, silentTelemetry } from './test-doubles.ts'

export const CUTS: readonly Cut[] = ['total', 'cdn', 'content', 'cdn+content'].map(parseCut)
export const PARTITIONS = 2
export const sealer = createSealer(new Uint8Array(32).fill(9))

/** Short durations, so that a session closes and leaves within a minute of the test’s clock. */
export const QUICK = {
  PROCESSOR_SESSION_TIMEOUT_MS: '10000',
  PROCESSOR_ALLOWED_LATENESS_MS: '15000',
  PROCESSOR_REORDER_MS: '1000',
  PROCESSOR_OUT_OF_ORDERNESS_MS: '500',
  PROCESSOR_SESSION_KEEP_MS: '20000',
  PROCESSOR_NARROW_FLUSH_MS: '250',
  PROCESSOR_WIDE_FLUSH_MS: '1000',
  PROCESSOR_SESSION_ROW_INTERVAL_MS: '1000',
  PROCESSOR_CHECKPOINT_INTERVAL_MS: '3000',
  PROCESSOR_TICK_IDLE_MS: '2000',
  PROCESSOR_FETCH_WAIT_MS: '200',
}

const STEP_MS = 125
const MAP_BYTES = 2 ** 28
const NEVER = new Promise<never>(() => undefined)

export interface Ports {
  readonly log: EventLog
  readonly speed: SpeedStore
  readonly objects: ObjectStore
}

/** A processor that can be killed and frozen. */
export interface MortalProcessor extends RunningProcessor {
  readonly telemetry: TelemetryBase
  readonly isDead: boolean
  kill(): void
  /** Stops it as SIGSTOP does: what it asked for happens, but it hears and does nothing. */
  freeze(): void
  /** Lets it go on as SIGCONT does. */
  thaw(): void
}

export interface StartOptions {
  readonly settings?: Readonly<Record<string, string>>
  readonly config?: ProcessorConfig
  /** Kills the processor when it comes by for the `times`-th time, of those that `counts`. */
  readonly killAt?: {
    readonly name: FailpointName
    readonly times: number
    readonly counts?: () => Promise<boolean>
  }
  readonly failpoints?: ArmedFailpoints
  /** How far its clock is from that of the log, ms. */
  readonly clockOffsetMs?: number
  readonly alerts?: { readonly config: AlertsConfig; readonly rules: readonly AlertRule[] }
  /** Puts something between the processor and the real ports. */
  readonly wrap?: (ports: Ports) => Ports
}

export class TestMachine {
  readonly clock = new ManualClock()
  readonly folder: string
  ports: Ports

  readonly #retentionMs: number

  private constructor(folder: string, ports: Ports, retentionMs: number) {
    this.folder = folder
    this.ports = ports
    this.#retentionMs = retentionMs
  }

  static async open({ retentionMs = 10 ** 10 } = {}): Promise<TestMachine> {
    const folder = await mkdtemp(join(tmpdir(), 'backhaul-processor-'))
    const machine = new TestMachine(folder, {} as Ports, retentionMs)
    await machine.reopen()
    return machine
  }

  /** Opens the stores, as a new process would. */
  async reopen(logName = 'log'): Promise<void> {
    const { folder, clock } = this
    const log = await openLmdbEventLog({
      folder: join(folder, logName),
      mapBytes: MAP_BYTES,
      clock,
    })
    this.ports = {
      log,
      speed: await this.openSpeed('speed'),
      objects: await this.openObjects('objects'),
    }
    const names = [TOPICS.events, TOPICS.rejects, TOPICS.exceptions, TOPICS.sessions, TOPICS.alerts]
    await log.ensureTopics(
      names.map((name) => ({
        name,
        partitions: PARTITIONS,
        retentionMs: this.#retentionMs,
        retentionBytes: 2 ** 30,
      })),
    )
  }

  openSpeed(name: string): Promise<SpeedStore> {
    return openLmdbSpeedStore({
      folder: join(this.folder, name),
      mapBytes: MAP_BYTES,
      clock: this.clock,
    })
  }

  openObjects(name: string): Promise<ObjectStore> {
    return openFolderObjectStore({ folder: join(this.folder, name), clock: this.clock })
  }

  async closeStores(): Promise<void> {
    await this.ports.log.close()
    await this.ports.speed.close()
    await this.ports.objects.close()
  }

  async close(): Promise<void> {
    await this.closeStores()
    await rm(this.folder, { recursive: true, force: true })
  }

  async start(options: StartOptions = {}): Promise<MortalProcessor> {
    const life = new Life()
    const kill = () => (life.isDead = true)
    const failpoints = options.failpoints ?? new ArmedFailpoints()
    if (options.killAt !== undefined) {
      const { name, times, counts } = options.killAt
      let left = times
      failpoints.arm(name, async () => {
        if (counts !== undefined && !(await counts())) return undefined
        left -= 1
        if (left > 0) return undefined
        kill()
        return NEVER
      })
    }
    const ports = (options.wrap ?? ((given) => given))(this.ports)
    const telemetry = silentTelemetry()
    const processor = await startProcessor({
      log: mortal(ports.log, life),
      speed: mortal(ports.speed, life),
      objects: mortal(ports.objects, life),
      clock: mortalClock(this.clock, life, options.clockOffsetMs),
      config: options.config ?? configOf({ ...QUICK, ...options.settings }),
      telemetry,
      random: seededRandom(1),
      failpoints,
      sealer,
      cuts: CUTS,
      partitions: PARTITIONS,
      ...(options.alerts && { alerts: options.alerts }),
    })
    return {
      ...processor,
      telemetry,
      kill,
      freeze: () => life.freeze(),
      thaw: () => life.thaw(),
      get isPrimary() {
        return processor.isPrimary
      },
      get isDead() {
        return life.isDead
      },
    }
  }

  /** Moves the clock in steps until `condition` holds; fails after a minute of real time. */
  async until(
    condition: () => boolean | Promise<boolean>,
    what: string,
    stepMs = STEP_MS,
  ): Promise<void> {
    const deadlineMs = systemClock.monotonicMs() + 60_000
    while (!(await condition())) {
      if (systemClock.monotonicMs() > deadlineMs) throw new Error(`waited in vain until ${what}`)
      await this.pass(stepMs)
    }
  }

  /** Moves the clock, slowly enough for the disk to keep up with it. */
  async pass(durationMs: number): Promise<void> {
    for (let elapsedMs = 0; elapsedMs < durationMs; elapsedMs += STEP_MS) {
      await this.clock.advance(Math.min(STEP_MS, durationMs - elapsedMs))
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
  }

  async endOffset(partition: number): Promise<number> {
    return (await this.ports.log.offsets(TOPICS.events, partition)).end
  }

  /** Waits until every partition has folded what the log holds now and wrote all of it. */
  async settled(processor: RunningProcessor): Promise<void> {
    const ends = new Map<number, number>()
    for (let partition = 0; partition < PARTITIONS; partition += 1)
      ends.set(partition, await this.endOffset(partition))
    await this.until(async () => {
      const rows = await this.ports.speed.readPartitions(processor.view)
      rows.sort((a, b) => b.generation - a.generation)
      const owned = new Map(processor.status().map((status) => [status.partition, status]))
      return [...ends].every(([partition, end]) => {
        const row = rows.find((found) => found.partition === partition)
        const generation = owned.get(partition)?.generation ?? row?.generation
        if (row?.generation !== generation) return false
        const { narrowOffset = 0, wideOffset = 0, sessionOffset = 0 } = row ?? {}
        return Math.min(narrowOffset, wideOffset, sessionOffset) >= end
      })
    }, 'all rows are written')
  }

  /** Appends one frame as the gateway would. */
  async send(frame: TestFrame): Promise<{ partition: number; offset: number }> {
    const partition = partitionOf(frame.sessionId, PARTITIONS)
    const nowMs = this.clock.nowMs()
    const context = {
      sessionId: frame.sessionId,
      contentId: frame.contentId ?? 'movie-1',
      cdn: frame.cdn ?? 'a',
    }
    const encoder = new TextEncoder()
    const value = encodeFrameRecord({
      contextJson: encoder.encode(JSON.stringify(context)),
      sentAtMs: nowMs,
      receivedAtMs: nowMs,
      rejectedSeqs: [],
      events: frame.events.map((event) =>
        encoder.encode(JSON.stringify({ at: nowMs + (event.inMs ?? 0), ...event })),
      ),
    })
    const headers = { schema: FRAME_SCHEMA, ...frame.headers }
    const record = { key: frame.sessionId, value, headers }
    const { baseOffset } = await this.ports.log.append(TOPICS.events, partition, [record])
    return { partition, offset: baseOffset }
  }
}

export interface TestFrame {
  readonly sessionId: string
  readonly contentId?: string
  readonly cdn?: string
  /** Of the record, beside its schema. */
  readonly headers?: Readonly<Record<string, string>>
  readonly events: readonly TestEvent[]
}

export interface TestEvent {
  readonly seq: number
  readonly type: string
  /** Device time relative to the moment of sending. */
  readonly inMs?: number
  readonly code?: string
}

/** Everything a view holds, in a canonical order. */
export interface ViewContent {
  readonly minutes: readonly MinuteRow[]
  readonly sessions: readonly SessionRow[]
  readonly positions: readonly PositionRow[]
}

export async function readView(
  speed: SpeedStore,
  view: string,
  sessionIds: readonly string[],
): Promise<ViewContent> {
  const minutes: MinuteRow[] = []
  for (const cut of CUTS) {
    const query = { view, cut: cut.id, fromMs: 0, toMs: 4_000_000_000_000, limit: 100_000 }
    minutes.push(...(await speed.readMinutes(query)))
  }
  const sessions: SessionRow[] = []
  const positions: PositionRow[] = []
  for (const sessionId of sessionIds)
    for (const row of await speed.readSession(view, sessionId)) {
      sessions.push(row)
      positions.push(...(await speed.readPositions(row, 0, 10_000)))
    }
  const order = (row: MinuteRow) => `${row.cut} ${row.key} ${row.minuteStartMs} ${row.partition}`
  minutes.sort((a, b) => (order(a) < order(b) ? -1 : 1))
  return { minutes, sessions, positions }
}

/** Sum of a counter over the rows of the `total` cut. */
export function totalOf(
  { minutes }: ViewContent,
  counter: 'attempts' | 'plays' | 'events' | 'duplicates' | 'late' | 'lost' | 'vsf' | 'playingMs',
): number {
  return minutes
    .filter(({ cut }) => cut === 'total')
    .reduce((sum, { aggregates }) => sum + aggregates[counter], 0)
}

/** The port with some of its methods replaced. */
export function over<Port extends object>(port: Port, methods: Partial<Port>): Port {
  return new Proxy(port, {
    get(target, name) {
      const method: unknown = Reflect.get(methods, name) ?? Reflect.get(target, name)
      if (typeof method !== 'function') return method
      return (...args: unknown[]): unknown => Reflect.apply(method, target, args)
    },
  })
}

/** Whether a process is there to make calls and to hear their answers. */
class Life {
  isDead = false
  #frozen: { readonly thawed: Promise<void>; readonly thaw: () => void } | undefined

  freeze(): void {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#frozen = { thawed: promise, thaw: resolve }
  }

  thaw(): void {
    this.#frozen?.thaw()
    this.#frozen = undefined
  }

  /** Resolves at once in a running process, later in a frozen one, never in a dead one. */
  async passes(): Promise<void> {
    while (this.#frozen !== undefined) await this.#frozen.thawed
    if (this.isDead) await NEVER
  }

  /** Runs `task` now, later or never, likewise. */
  run(task: () => void): void {
    if (this.#frozen === undefined) {
      if (!this.isDead) task()
    } else void this.passes().then(task)
  }
}

/** A port as a process of this life sees it, and calls into such a process likewise. */
function mortal<Port extends object>(port: Port, life: Life): Port {
  return new Proxy(port, {
    get(target, name) {
      const method: unknown = Reflect.get(target, name)
      if (typeof method !== 'function') return method
      return async (...args: unknown[]) => {
        await life.passes()
        const seen = args.map((arg) => (isPort(arg) ? mortal(arg, life) : arg))
        try {
          const result: unknown = await Reflect.apply(method, target, seen)
          await life.passes()
          return isPort(result) ? mortal(result, life) : result
        } catch (error) {
          await life.passes()
          throw error
        }
      }
    },
  })
}

/** A group’s member and its handler are ports in themselves. */
function isPort(value: unknown): value is object {
  return typeof value === 'object' && value !== null && ('commit' in value || 'revoked' in value)
}

function mortalClock(clock: Clock, life: Life, offsetMs = 0): Clock {
  const whenAlive = (task: () => void) => () => life.run(task)
  return {
    nowMs: () => clock.nowMs() + offsetMs,
    monotonicMs: () => clock.monotonicMs(),
    after: (delayMs, task) => clock.after(delayMs, whenAlive(task)),
    every: (periodMs, task) => clock.every(periodMs, whenAlive(task)),
    sleep: (delayMs, signal) => clock.sleep(delayMs, signal).then(() => life.passes()),
    nextTurn: (task) => clock.nextTurn(whenAlive(task)),
  }
}
