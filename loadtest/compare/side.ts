/** One of the programs that are compared: what it used, and what it made of the topic. */
import { systemClock } from '../../shared/runtime/clock.ts'
import { ownBytesOf, usageOf } from '../load/process-usage.ts'

/** In this order they are summed in every minute of every key. */
export const MINUTE_SUMS = [
  'events',
  'sessions',
  'attempts',
  'plays',
  'stalls',
  'stallMs',
  'playingMs',
  'watchedMs',
] as const
/** And these for every session. */
export const SESSION_SUMS = ['events', 'stalls', 'stallMs', 'playingMs', 'watchedMs'] as const

/** What both must make of the same records. */
export interface Made {
  /** By cut, start of the minute and key; keys whose sums are all 0 are left out. */
  readonly minutes: ReadonlyMap<string, readonly number[]>
  readonly sessions: ReadonlyMap<string, readonly number[]>
}

export interface Used {
  /** Of the process with all its threads, from its start to its end. */
  readonly cpuSeconds: number
  readonly wallSeconds: number
  /** The highest, with files that are mapped. */
  readonly peakMiB: number
  /** The highest, without them. */
  readonly ownPeakMiB: number
  /** What the broker used meanwhile. */
  readonly brokerCpuSeconds: number
}

const LOOK_EVERY_MS = 50
const MIB = 2 ** 20

/** Looks at a process until it is told to end. */
export class SideMeter {
  readonly #pid: number
  readonly #brokerPid: number
  readonly #brokerCpuMs: number
  readonly #startMs = systemClock.monotonicMs()
  readonly #cancel: () => void
  #cpuMs = 0
  #peakBytes = 0
  #ownPeakBytes = 0

  constructor(pid: number, brokerPid: number) {
    this.#pid = pid
    this.#brokerPid = brokerPid
    this.#brokerCpuMs = usageOf(brokerPid).cpuMs
    this.#cancel = systemClock.every(LOOK_EVERY_MS, () => this.#look())
  }

  /** A process that has ended by now counts up to the last look before. */
  end(): Used {
    this.#cancel()
    this.#look()
    const brokerCpuMs = usageOf(this.#brokerPid).cpuMs - this.#brokerCpuMs
    return {
      cpuSeconds: this.#cpuMs / 1_000,
      wallSeconds: (systemClock.monotonicMs() - this.#startMs) / 1_000,
      peakMiB: Math.round(this.#peakBytes / MIB),
      ownPeakMiB: Math.round(this.#ownPeakBytes / MIB),
      brokerCpuSeconds: brokerCpuMs / 1_000,
    }
  }

  #look(): void {
    const { cpuMs, residentBytes } = usageOf(this.#pid)
    this.#cpuMs = Math.max(this.#cpuMs, cpuMs)
    this.#peakBytes = Math.max(this.#peakBytes, residentBytes)
    this.#ownPeakBytes = Math.max(this.#ownPeakBytes, ownBytesOf(this.#pid))
  }
}

/** The keys that one has and the other has not, or has with other sums. */
export function differences(
  ours: ReadonlyMap<string, readonly number[]>,
  theirs: ReadonlyMap<string, readonly number[]>,
): string[] {
  const keys = new Set([...ours.keys(), ...theirs.keys()])
  return [...keys].flatMap((key) => {
    const texts = [ours.get(key), theirs.get(key)].map((sums) => sums?.join(' ') ?? 'nothing')
    return texts[0] === texts[1] ? [] : [`${JSON.stringify(key)}: ${texts.join(' and ')}`]
  })
}

/** Adds sums to those of the key; all 0 are nothing. */
export function addSums(
  all: Map<string, readonly number[]>,
  key: string,
  sums: readonly number[],
): void {
  if (sums.every((sum) => sum === 0)) return
  const before = all.get(key)
  all.set(key, before === undefined ? sums : sums.map((sum, at) => sum + (before[at] ?? 0)))
}
