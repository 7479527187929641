/**
 * Seeded logs of one partition that try to break a fold: illegal transitions, gaps, late fills,
 * repeats within and across frames, wrong orders, rejected seqs, new contents, stepping and jittering
 * clocks, silence with and without ticks, returns, next incarnations, poison; under small limits,
 * so that each of them is reached.
 */
import type {
  EnrichedContext,
  PlaybackEvent,
  PlaybackEventType,
} from '../../shared/events/schema.ts'
import type { DecodedRecord, FrameRecord } from '../../shared/log/record.ts'
import type { FoldLimits } from '../../shared/qoe/fold.ts'
import { type Random, seededRandom } from '../../shared/runtime/random.ts'

export interface AdversarialLog {
  readonly records: readonly DecodedRecord[]
  readonly limits: FoldLimits
}

const START_MS = 1_800_000_000_000
const DAY_MS = 86_400_000

/** Small enough that a short log reaches every one of them. */
const SMALL_LIMITS: FoldLimits = {
  sessionTimeoutMs: 60_000,
  allowedLatenessMs: 70_000,
  outOfOrdernessMs: 2_000,
  reorderMs: 5_000,
  sessionKeepMs: 90_000,
  clockStepMs: 30_000,
  maxAgeMs: 400_000,
  seqAheadMax: 8,
  skippedRangesMax: 2,
  stalledViewerMs: 15_000,
  keysPerCutMinuteMax: 3,
  waitingEventsPerSessionMax: 4,
  partsPerSessionMax: 3,
}

/** Each of them opens another corner; the first lets most events be applied. */
const LIMIT_VARIANTS: readonly Partial<FoldLimits>[] = [
  { keysPerCutMinuteMax: 1_000, seqAheadMax: 4_096, waitingEventsPerSessionMax: 4_096 },
  { keysPerCutMinuteMax: 1_000 },
  {},
  { skippedRangesMax: 1, waitingEventsPerSessionMax: 1 },
  { seqAheadMax: 2, reorderMs: 9_000, allowedLatenessMs: 90_000 },
  { sessionTimeoutMs: 20_000, allowedLatenessMs: 25_000, sessionKeepMs: 0, maxAgeMs: 60_000 },
]

const STATE_TYPES: readonly PlaybackEventType[] = [
  'playbackRequest',
  'playbackStart',
  'playbackPause',
  'playbackStall',
  'seekStart',
  'seekEnd',
  'playbackFinish',
  'playbackFail',
  'sessionEnd',
]

/** What usually follows, so that most sessions play for a while. */
const USUAL_NEXT: Partial<Record<PlaybackEventType, readonly PlaybackEventType[]>> = {
  playbackRequest: ['playbackStart', 'playbackStart', 'playbackFail', 'playbackPause'],
  playbackStart: ['heartbeat', 'playbackStall', 'seekStart', 'playbackPause', 'playbackFinish'],
  playbackStall: ['playbackStart', 'heartbeat', 'seekStart'],
  playbackPause: ['playbackRequest', 'playbackStart', 'seekStart', 'sessionEnd'],
  seekStart: ['seekEnd', 'playbackStart', 'playbackStall'],
  seekEnd: ['playbackStart', 'playbackPause'],
  heartbeat: [
    'heartbeat',
    'renditionUpdate',
    'playbackRateUpdate',
    'cdnUpdate',
    'playbackStall',
    'adBreakStart',
    'playerResize',
    'warning',
    'custom',
  ],
  playbackFinish: ['heartbeat', 'playbackRequest'],
  playbackFail: ['playbackRequest', 'heartbeat'],
  sessionEnd: ['playbackRequest', 'heartbeat'],
}

interface Device {
  readonly sessionId: string
  context: EnrichedContext
  clockMs: number
  nextSeq: number
  lastType: PlaybackEventType
  readonly missing: number[]
  readonly sentFrames: FrameRecord[]
}

export function adversarialLog(seed: number, recordCount: number): AdversarialLog {
  return new LogWriter(seededRandom(seed)).write(recordCount)
}

class LogWriter {
  readonly #random: Random
  readonly #devices: Device[]
  readonly #records: DecodedRecord[] = []
  /** In half of the logs all times lie on whole seconds, so that every bound is met exactly. */
  readonly #gridMs: number
  #nowMs = START_MS

  constructor(random: Random) {
    this.#random = random
    this.#gridMs = random.below(2) === 0 ? 1 : 1_000
    this.#devices = Array.from({ length: 1 + random.below(4) }, (_, index) => this.#device(index))
  }

  write(recordCount: number): AdversarialLog {
    const limits = { ...SMALL_LIMITS, ...this.#pick(LIMIT_VARIANTS) }
    while (this.#records.length < recordCount) {
      this.#passTime()
      this.#records.push(this.#record())
    }
    return { records: this.#records, limits }
  }

  #passTime(): void {
    const draw = this.#random.below(100)
    if (draw < 15) return
    if (draw < 75) this.#nowMs += this.#timeBelow(3_000)
    else if (draw < 92) this.#nowMs += this.#timeBelow(16_000)
    else if (draw < 98) this.#nowMs += this.#timeBelow(75_000)
    else this.#nowMs += this.#timeBelow(400_000)
  }

  /** A duration from 0 to the bound, on the grid. */
  #timeBelow(boundMs: number): number {
    return this.#random.below(Math.floor(boundMs / this.#gridMs) + 1) * this.#gridMs
  }

  /** A latency or an odd offset, which a log on the grid does not have. */
  #offGrid(durationMs: number): number {
    return this.#gridMs === 1 ? durationMs : 0
  }

  #record(): DecodedRecord {
    const offset = this.#nextOffset()
    const draw = this.#random.below(100)
    if (draw < 8) return { kind: 'tick', offset, loggedAtMs: this.#nowMs }
    if (draw < 10) return { kind: 'poison', offset, loggedAtMs: this.#nowMs, reason: 'seeded' }
    const device = this.#pick(this.#devices)
    const sent = device.sentFrames
    const again = sent.length > 0 && this.#random.below(100) < 12 ? this.#pick(sent) : undefined
    const frame = again === undefined ? this.#newFrame(device) : this.#stamped(again, device)
    device.sentFrames.push(frame)
    return frame
  }

  /** Offsets rise and may have holes. */
  #nextOffset(): number {
    const last = this.#records.at(-1)?.offset ?? -1
    return last + 1 + (this.#random.below(20) === 0 ? this.#random.below(5) : 0)
  }

  #device(index: number): Device {
    const random = this.#random
    return {
      sessionId: `session-${index}`,
      context: this.#context(`session-${index}`),
      clockMs: this.#pick([0, 0, -3 * DAY_MS, 3 * DAY_MS, this.#offGrid(40)]),
      nextSeq: 0,
      lastType: random.below(4) === 0 ? 'sessionEnd' : 'seekEnd',
      missing: [],
      sentFrames: [],
    }
  }

  #context(sessionId: string): EnrichedContext {
    const random = this.#random
    const viewer =
      random.below(6).toString(16).repeat(3) + '0'.repeat(random.below(14)) + 'f'.repeat(32)
    return {
      sessionId,
      ...(random.below(10) > 0 && { contentId: this.#pick(['m1', 'm2', 'm3', 'm4', 'm5']) }),
      ...(random.below(10) > 0 && { cdn: this.#pick(['a', 'b', 'c']) }),
      ...(random.below(3) > 0 && { device: { type: this.#pick(['tv', 'phone']) } }),
      ...(random.below(3) > 0 && { viewerPseudonym: viewer.slice(0, 32) }),
    }
  }

  #newFrame(device: Device): FrameRecord {
    const random = this.#random
    this.#disturb(device)
    const events = Array.from({ length: 1 + random.below(5) }, () => this.#event(device))
    if (random.below(10) === 0) events.reverse()
    if (random.below(12) === 0) events.push(this.#pick(events))
    const rejectedSeqs = random.below(8) === 0 ? [this.#rejectedSeq(device)] : []
    const noEvents = random.below(25) === 0
    const frame: FrameRecord = {
      kind: 'frame',
      offset: 0,
      loggedAtMs: 0,
      valueBytes: 100 + random.below(1_000),
      context: device.context,
      sentAtMs: 0,
      receivedAtMs: 0,
      receivedAtClamped: false,
      rejectedSeqs,
      events: noEvents ? [] : events,
    }
    return this.#stamped(frame, device)
  }

  /** Stamps a frame for this transmission. */
  #stamped(frame: FrameRecord, device: Device): FrameRecord {
    const random = this.#random
    const skewMs = random.below(30) === 0 ? this.#timeBelow(300_000) : 0
    const jitterMs = this.#offGrid(random.below(401) - 200)
    return {
      ...frame,
      offset: this.#nextOffset(),
      loggedAtMs: this.#nowMs,
      sentAtMs: this.#nowMs - this.#offGrid(300) + device.clockMs + jitterMs,
      receivedAtMs: this.#nowMs - this.#offGrid(20) - skewMs,
      receivedAtClamped: random.below(20) === 0,
    }
  }

  #disturb(device: Device): void {
    const draw = this.#random.below(100)
    if (draw < 4) device.context = this.#context(device.sessionId)
    else if (draw < 7)
      device.clockMs += this.#pick([
        30_000,
        -30_000,
        this.#timeBelow(100_000),
        -this.#timeBelow(100_000),
      ])
    else if (draw < 14) this.#skip(device, 1 + this.#random.below(3))
    else if (draw < 16) this.#skip(device, 6 + this.#random.below(9))
    else if (draw < 18) device.nextSeq = 0
  }

  #skip(device: Device, count: number): void {
    for (let skipped = 0; skipped < count; skipped++) device.missing.push(device.nextSeq++)
  }

  #event(device: Device): PlaybackEvent {
    const random = this.#random
    const fills = device.missing.length > 0 && random.below(100) < 15
    const [filled] = fills ? device.missing.splice(random.below(device.missing.length), 1) : []
    const seq = filled ?? device.nextSeq++
    const type =
      random.below(5) === 0
        ? this.#pick(STATE_TYPES)
        : this.#pick(USUAL_NEXT[device.lastType] ?? ['heartbeat' as const])
    const ageMs = this.#timeBelow(this.#pick([0, 3_000, 3_000, 12_000, 160_000]))
    const oddMs = random.below(60) === 0 ? this.#timeBelow(1_000_000) - 500_000 : 0
    device.lastType = USUAL_NEXT[type] === undefined ? 'heartbeat' : type
    return this.#withFields(
      type,
      seq,
      this.#nowMs - this.#offGrid(300) - ageMs + oddMs + device.clockMs,
    )
  }

  #withFields(type: PlaybackEventType, seq: number, at: number): PlaybackEvent {
    const random = this.#random
    switch (type) {
      case 'playbackFail':
        return { seq, at, type, code: 'E1' }
      case 'renditionUpdate':
        return {
          seq,
          at,
          type,
          ...(random.below(3) > 0 && { videoBitrateKbps: random.below(20_000) }),
          ...(random.below(3) > 0 && { audioBitrateKbps: random.below(512) }),
        }
      case 'playbackRateUpdate':
        return { seq, at, type, playbackRate: this.#pick([0.25, 0.5, 1, 1.0005, 1.25, 2, 16]) }
      case 'cdnUpdate':
        return { seq, at, type, cdn: this.#pick(['a', 'b', 'c', 'd']) }
      case 'playbackStart':
        return { seq, at, type, ...(random.below(3) === 0 && { startupMs: random.below(5_000) }) }
      case 'playbackRequest':
      case 'playbackPause':
      case 'playbackStall':
      case 'seekStart':
      case 'seekEnd':
      case 'playbackFinish':
      case 'sessionEnd':
      case 'heartbeat':
        return { seq, at, type }
      case 'adBreakStart':
      case 'adBreakEnd':
        return { seq, at, type, adId: 'ad' }
      case 'playerResize':
        return { seq, at, type, widthPx: 640, heightPx: 360 }
      case 'warning':
        return { seq, at, type, code: 'W1' }
      case 'custom':
        return { seq, at, type, name: 'n' }
    }
  }

  #rejectedSeq(device: Device): number {
    const [filled] = device.missing.splice(0, this.#random.below(2))
    return filled ?? (this.#random.below(3) === 0 ? this.#random.below(20) : device.nextSeq++)
  }

  #pick<T>(list: readonly T[]): T {
    const picked = list[this.#random.below(list.length)]
    if (picked === undefined) throw new Error('nothing to pick from')
    return picked
  }
}
