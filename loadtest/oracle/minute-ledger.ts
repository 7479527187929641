/** Sums facts into the minutes of every cut, in the plainest possible way. */
import {
  COUNTER_NAMES,
  type CounterName,
  INSTANT_INTERVAL_MS,
  INSTANTS_PER_MINUTE,
  MINUTE_MS,
  type MinuteAggregates,
} from '../../shared/qoe/aggregates.ts'
import { type Cut, cutKey } from '../../shared/qoe/cuts.ts'
import type { EnrichedContext } from '../../shared/events/schema.ts'
import type { Watermarks } from './watermarks.ts'
import { histogramBucket, viewerRegister } from './integer-structures.ts'

/** Where a fact belongs: the record that wrote it, its time, and the dimensions in force. */
export interface Place {
  readonly recordIndex: number
  readonly timeMs: number
  readonly context: EnrichedContext
  readonly cdn: string | undefined
}

export interface Facts extends Partial<Record<CounterName, number>> {
  readonly bitsPlayed?: bigint
  readonly startupMs?: number
  readonly viewerPseudonym?: string | undefined
  /** The fact is the concurrency at the instant `timeMs`. */
  readonly instant?: { readonly play: boolean; readonly viewer: boolean }
  /** `lost` is written whenever the trailing close comes, even beyond the life of the pane. */
  readonly alwaysWritable?: boolean
}

interface Minute {
  readonly cut: Cut
  readonly key: string
  readonly minuteStartMs: number
  readonly counters: Record<CounterName, number>
  bitsPlayed: bigint
  readonly startupHistogram: Map<number, number>
  readonly concurrentPlays: number[]
  readonly concurrentViewers: number[]
  readonly viewerRegisters: Map<number, number>
}

export class MinuteLedger {
  readonly #minutes = new Map<string, Minute>()
  readonly #keys = new Map<EnrichedContext, Map<string | undefined, readonly string[]>>()
  readonly #cuts: readonly Cut[]
  readonly #watermarks: Watermarks

  constructor(cuts: readonly Cut[], watermarks: Watermarks) {
    this.#cuts = cuts
    this.#watermarks = watermarks
  }

  add(place: Place, facts: Facts): void {
    const minuteStartMs = Math.floor(place.timeMs / MINUTE_MS) * MINUTE_MS
    const writable = this.#watermarks.isWritable(minuteStartMs, place.recordIndex)
    if (!writable && facts.alwaysWritable !== true) return
    const keys = this.#keysOf(place.context, place.cdn)
    const counted = COUNTER_NAMES.filter((name) => (facts[name] ?? 0) !== 0)
    for (const [index, cut] of this.#cuts.entries()) {
      const minute = this.#minute(cut, keys[index] ?? '[]', minuteStartMs)
      for (const name of counted) minute.counters[name] += facts[name] ?? 0
      addFacts(minute, place.timeMs, facts)
    }
  }

  /** All minutes by `cut|key|minuteStartMs`. */
  aggregates(): Map<string, MinuteAggregates> {
    return new Map([...this.#minutes].map(([id, minute]) => [id, toAggregates(minute)]))
  }

  /** `cut|minuteStartMs` of every minute that saw more keys than `keysMax`. */
  overflowed(keysMax: number): Set<string> {
    const keyCounts = new Map<string, number>()
    for (const { cut, minuteStartMs } of this.#minutes.values()) {
      const id = `${cut.id}|${minuteStartMs}`
      keyCounts.set(id, (keyCounts.get(id) ?? 0) + 1)
    }
    return new Set([...keyCounts].filter(([, count]) => count > keysMax).map(([id]) => id))
  }

  #keysOf(context: EnrichedContext, cdn: string | undefined): readonly string[] {
    let byCdn = this.#keys.get(context)
    if (byCdn === undefined) this.#keys.set(context, (byCdn = new Map()))
    let keys = byCdn.get(cdn)
    if (keys === undefined) {
      keys = this.#cuts.map((cut) => cutKey(cut, context, cdn))
      byCdn.set(cdn, keys)
    }
    return keys
  }

  #minute(cut: Cut, key: string, minuteStartMs: number): Minute {
    const id = `${cut.id}|${key}|${minuteStartMs}`
    let minute = this.#minutes.get(id)
    if (minute === undefined) {
      minute = emptyMinute(cut, key, minuteStartMs)
      this.#minutes.set(id, minute)
    }
    return minute
  }
}

function emptyMinute(cut: Cut, key: string, minuteStartMs: number): Minute {
  return {
    cut,
    key,
    minuteStartMs,
    counters: zeroCounters(),
    bitsPlayed: 0n,
    startupHistogram: new Map(),
    concurrentPlays: Array.from({ length: INSTANTS_PER_MINUTE }, () => 0),
    concurrentViewers: Array.from({ length: INSTANTS_PER_MINUTE }, () => 0),
    viewerRegisters: new Map(),
  }
}

function zeroCounters(): Record<CounterName, number> {
  const entries = COUNTER_NAMES.map((name) => [name, 0] as const)
  return Object.fromEntries(entries) as Record<CounterName, number>
}

/** Everything but the counters. */
function addFacts(minute: Minute, timeMs: number, facts: Facts): void {
  minute.bitsPlayed += facts.bitsPlayed ?? 0n
  if (facts.startupMs !== undefined) {
    const bucket = histogramBucket(facts.startupMs)
    minute.startupHistogram.set(bucket, (minute.startupHistogram.get(bucket) ?? 0) + 1)
    minute.counters.startups += 1
    minute.counters.startupSumMs += facts.startupMs
  }
  if (facts.instant !== undefined) {
    const index = (timeMs - minute.minuteStartMs) / INSTANT_INTERVAL_MS
    addAt(minute.concurrentPlays, index, facts.instant.play)
    addAt(minute.concurrentViewers, index, facts.instant.viewer)
  }
  if (facts.viewerPseudonym !== undefined && minute.cut.viewers) {
    const { register, rank } = viewerRegister(facts.viewerPseudonym)
    const known = minute.viewerRegisters.get(register) ?? 0
    minute.viewerRegisters.set(register, Math.max(known, rank))
  }
}

function addAt(counts: number[], index: number, present: boolean): void {
  if (present) counts[index] = (counts[index] ?? 0) + 1
}

function toAggregates(minute: Minute): MinuteAggregates {
  return {
    ...minute.counters,
    bitsPlayed: minute.bitsPlayed,
    startupHistogram: sorted(minute.startupHistogram),
    concurrentPlays: minute.concurrentPlays,
    concurrentViewers: minute.concurrentViewers,
    viewerRegisters: sorted(minute.viewerRegisters),
  }
}

function sorted(counts: ReadonlyMap<number, number>): [number, number][] {
  return [...counts].toSorted(([a], [b]) => a - b)
}
