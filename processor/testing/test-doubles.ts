/** Small stand-ins for ports and for the fold, for tests that need to script what happens. */
import pino from 'pino'
import { Registry } from 'prom-client'
import type { EventLog } from '../../shared/log/event-log.ts'
import type { DecodedRecord } from '../../shared/log/record.ts'
import type {
  DirtyQueue,
  FoldOutput,
  FoldSnapshot,
  FoldStatus,
  PartitionFold,
  RowTicket,
} from '../../shared/qoe/fold.ts'
import type { ObjectInfo, ObjectStore } from '../../shared/objects/object-store.ts'
import { systemClock } from '../../shared/runtime/clock.ts'
import { defineErrors } from '../../shared/runtime/errors.ts'
import { readConfig } from '../../shared/runtime/config.ts'
import type { TelemetryBase } from '../../shared/runtime/telemetry.ts'
import type { MinuteRow, SessionRow } from '../../shared/speed/rows.ts'
import type { SpeedStore } from '../../shared/speed/speed-store.ts'
import { processorConfig, type ProcessorConfig } from '../config.ts'

/** An error that a repeat can mend, and one that it cannot. */
export const scriptedErrors = defineErrors({
  SCRIPTED_OUTAGE: { rule: 'the store must be up', retryable: true, action: 'Wait.' },
  SCRIPTED_DEFECT: { rule: 'the call must be right', retryable: false, action: 'Mend it.' },
})

/** The defaults, with `settings` as they would stand in the environment. */
export function configOf(settings: Readonly<Record<string, string>> = {}): ProcessorConfig {
  return readConfig(processorConfig, settings, () => '')
}

export function silentTelemetry(): TelemetryBase {
  return { registry: new Registry(), log: pino({ level: 'silent' }) }
}

/** Value of a metric with exactly these labels; `undefined` when it was never set. */
export async function metricValue(
  base: TelemetryBase,
  name: string,
  labels: Readonly<Record<string, string | number>> = {},
): Promise<number | undefined> {
  const metric = await base.registry.getSingleMetric(name)?.get()
  const wanted = Object.entries(labels).map(([label, value]) => [label, String(value)] as const)
  return metric?.values.find(({ labels: found }) =>
    wanted.every(([label, value]) => String(found[label]) === value),
  )?.value
}

/** A port of which only the scripted methods may be called. */
function scripted<Port extends object>(name: string, methods: Partial<Port>): Port {
  return new Proxy(methods, {
    get(target, method) {
      const found: unknown = Reflect.get(target, method)
      if (found === undefined && method !== 'then')
        throw new Error(`${name}.${String(method)} was not scripted`)
      return found
    },
  }) as Port
}

export function scriptedLog(methods: Partial<EventLog>): EventLog {
  return scripted('log', methods)
}

export function scriptedSpeed(methods: Partial<SpeedStore>): SpeedStore {
  return scripted('speed', methods)
}

/** Resolves once `condition` holds; lets timers and I/O run in between. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const deadlineMs = systemClock.monotonicMs() + 10_000
  while (!condition()) {
    if (systemClock.monotonicMs() > deadlineMs) throw new Error(`waited in vain until ${what}`)
    await turnOfTheLoop()
  }
}

/** Lets everything run that waits on promises and on the event loop. */
export function turnOfTheLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

const EMPTY_STATUS: FoldStatus = {
  nextOffset: 0,
  watermarkMs: 0,
  lastLoggedAtMs: 0,
  counters: {
    read: 0,
    applied: 0,
    duplicate: 0,
    late: 0,
    amended: 0,
    afterClose: 0,
    capped: 0,
    poison: 0,
    buffered: 0,
  },
  ticks: 0,
  sessions: 0,
  openSessions: 0,
  panes: 0,
  pendingOutputs: 0,
  receivedAtClamped: 0,
  keysToOther: 0,
}

/** A fold whose queues and outputs the test fills by hand. */
export class ScriptedFold implements PartitionFold {
  readonly applied: DecodedRecord[] = []
  readonly queues: Record<DirtyQueue, RowTicket[]> = {
    narrow: [],
    wide: [],
    sessionUrgent: [],
    session: [],
  }
  readonly outputs: FoldOutput[] = []
  readonly acknowledged: RowTicket[] = []
  snapshotSlices: string[] = ['state']
  snapshotsAbandoned = 0
  nextOffset = 0
  watermarkMs = 0

  get status(): FoldStatus {
    const { nextOffset, watermarkMs } = this
    return { ...EMPTY_STATUS, nextOffset, watermarkMs, pendingOutputs: this.outputs.length }
  }

  apply(record: DecodedRecord): void {
    this.applied.push(record)
    this.nextOffset = record.offset + 1
  }

  dirtyCount(queue: DirtyQueue): number {
    return this.queues[queue].length
  }

  takeDirty(queue: DirtyQueue, maxEntries: number): RowTicket[] {
    return this.queues[queue].splice(0, maxEntries)
  }

  acknowledge(tickets: readonly RowTicket[]): void {
    this.acknowledged.push(...tickets)
  }

  pendingOutputs(maxOutputs: number): readonly FoldOutput[] {
    return this.outputs.slice(0, maxOutputs)
  }

  acknowledgeOutputs(count: number): void {
    this.outputs.splice(0, count)
  }

  beginSnapshot(): FoldSnapshot {
    const slices = this.snapshotSlices.map((slice) => new TextEncoder().encode(slice))
    return {
      nextOffset: this.nextOffset,
      next: () => slices.shift(),
      abandon: () => (this.snapshotsAbandoned += 1),
    }
  }

  inspectSession(): unknown {
    return undefined
  }
}

const ORIGIN = { view: 'view', topicEpoch: 0, partition: 0, generation: 1 }
/** Far enough ahead that no test's rows expire. */
const FOREVER_MS = 4_000_000_000_000

const NO_COUNTERS = {
  sessions: 0,
  attempts: 0,
  plays: 0,
  ebvs: 0,
  ebvsLong: 0,
  vsf: 0,
  vpf: 0,
  endedPlays: 0,
  failures: 0,
  startups: 0,
  startupSumMs: 0,
  stalls: 0,
  stallMs: 0,
  playingMs: 0,
  watchedMs: 0,
  mediaUs: 0,
  ratedMediaUs: 0,
  events: 0,
  lost: 0,
  frames: 0,
  bytes: 0,
  duplicates: 0,
  late: 0,
}

export function minuteTicket(key: string, over: Partial<MinuteRow> = {}): RowTicket {
  const row: MinuteRow = {
    ...ORIGIN,
    cut: 'cdn',
    key: JSON.stringify([key]),
    minuteStartMs: 0,
    stampUs: 1,
    lastOffset: 0,
    expiresAtMs: FOREVER_MS,
    aggregates: {
      ...NO_COUNTERS,
      bitsPlayed: 0n,
      startupHistogram: [],
      concurrentPlays: [0, 0, 0, 0, 0, 0],
      concurrentViewers: [0, 0, 0, 0, 0, 0],
      viewerRegisters: [],
    },
    ...over,
  }
  return { kind: 'minute', row }
}

export function sessionRow(sessionId: string, over: Partial<SessionRow> = {}): SessionRow {
  return {
    ...ORIGIN,
    sessionId,
    incarnation: 0,
    stampUs: 1,
    lastOffset: 0,
    expiresAtMs: FOREVER_MS,
    contextJson: '{}',
    parts: [],
    quality: {
      lost: 0,
      duplicates: 0,
      late: 0,
      amended: 0,
      afterClose: 0,
      rejected: 0,
      repairs: { state: 0, backwards: 0, context: 0, clamped: 0 },
    },
    closed: false,
    clockOffsetMs: 0,
    firstReceivedAtMs: 0,
    lastLoggedAtMs: 0,
    positionCount: 0,
    ...over,
  }
}

export function sessionTicket(sessionId: string): RowTicket {
  return { kind: 'session', row: sessionRow(sessionId), positions: [] }
}

const memoryErrors = defineErrors({
  OBJECT_PRECONDITION_FAILED: { rule: 'generations must match', retryable: false, action: 'Read.' },
})

/** Objects in a map, with generations; enough for claims. */
export class MemoryObjects implements ObjectStore {
  readonly #objects = new Map<string, { bytes: Uint8Array; generation: number }>()
  #generation = 0
  /** Runs before each replace, for races. */
  beforeReplace: () => Promise<void> = () => Promise.resolve()

  create(name: string, bytes: Uint8Array): Promise<ObjectInfo> {
    return this.replace(name, bytes, 0)
  }

  async replace(name: string, bytes: Uint8Array, ifGeneration: number): Promise<ObjectInfo> {
    await this.beforeReplace()
    if ((this.#objects.get(name)?.generation ?? 0) !== ifGeneration)
      throw memoryErrors.create('OBJECT_PRECONDITION_FAILED')
    this.#generation += 1
    this.#objects.set(name, { bytes, generation: this.#generation })
    return this.#info(name, bytes)
  }

  async read(name: string) {
    const found = this.#objects.get(name)
    if (found === undefined) return undefined
    return { info: this.#info(name, found.bytes), bytes: found.bytes }
  }

  async stat(name: string): Promise<ObjectInfo | undefined> {
    return (await this.read(name))?.info
  }

  list(prefix: string): Promise<ObjectInfo[]> {
    const found = [...this.#objects].filter(([name]) => name.startsWith(prefix))
    const infos = found.map(([name, { bytes }]) => this.#info(name, bytes))
    return Promise.resolve(infos.sort((a, b) => (a.name < b.name ? -1 : 1)))
  }

  delete(name: string): Promise<void> {
    this.#objects.delete(name)
    return Promise.resolve()
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  #info(name: string, bytes: Uint8Array): ObjectInfo {
    const generation = this.#objects.get(name)?.generation ?? 0
    return { name, generation, sizeBytes: bytes.length, crc32c: '', updatedAtMs: 0 }
  }
}
