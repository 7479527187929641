/**
 * One part of a session: its context, state and accumulators. `session-fold.ts` decides what to
 * add; this file holds it, summarises it and carries it through snapshots.
 */
import { wholeContext, type CommonContext, type KeptContext } from '../events/common-context.ts'
import type { EnrichedContext } from '../events/schema.ts'
import type { PartSummary } from '../speed/rows.ts'
import { CARRY_ABOVE } from './carrying-sum.ts'
import { orUndefined, packedNumbers } from './packed-numbers.ts'
import { IDLE, standingOf, type Standing } from './part-standing.ts'
import type { KeySet } from './panes.ts'

const DEFAULT_RATE_MILLI = 1_000

/** The plain values of a part, as snapshots hold them. */
interface PartValues extends Standing {
  readonly part: number
  readonly contentId: string | undefined
  readonly presentContentId: string | undefined
  readonly firstEventTimeMs: number
  readonly lastEventTimeMs: number
  readonly startupMs: number | undefined
  readonly playerStartupMs: number | undefined
  readonly stallCount: number
  readonly stallMs: number
  readonly playingMs: number
  readonly watchedMs: number
  readonly mediaUs: number
  readonly ratedMediaUs: number
  readonly events: number
  readonly cdn: string | undefined
  readonly rateMilli: number
  readonly videoKbps: number | undefined
  readonly audioKbps: number | undefined
  readonly stalledSinceMs: number
}

export type SerialisedPart = PartValues & {
  readonly bits: string
  readonly context: EnrichedContext
}

export interface PartBirth {
  readonly part: number
  readonly context: KeptContext
  readonly keySet: KeySet
  readonly timeMs: number
}

const PartNumbers = packedNumbers({
  part: 0,
  firstEventTimeMs: 0,
  lastEventTimeMs: 0,
  startupMs: Number.NaN,
  playerStartupMs: Number.NaN,
  stallCount: 0,
  stallMs: 0,
  playingMs: 0,
  watchedMs: 0,
  mediaUs: 0,
  ratedMediaUs: 0,
  events: 0,
  rateMilli: DEFAULT_RATE_MILLI,
  videoKbps: Number.NaN,
  audioKbps: Number.NaN,
  stalledSinceMs: 0,
  /** Minute in which the viewer has been counted last, under `viewerKeySet`. */
  viewerMinuteMs: Number.NaN,
  /** Of the bits played, what is not carried yet; see `CarryingSum`. */
  lowBits: 0,
})

export class Part extends PartNumbers implements KeptContext {
  readonly common: CommonContext
  readonly viewerPseudonym: string | undefined
  /** The keys in force. */
  keySet: KeySet
  viewerKeySet: KeySet | undefined
  cdn: string | undefined
  /** The last content that was present in a frame of the part; a different one ends the part. */
  presentContentId: string | undefined
  standing = IDLE
  #highBits = 0n

  constructor({ part, context, keySet, timeMs }: PartBirth) {
    super()
    this.part = part
    this.common = context.common
    this.viewerPseudonym = context.viewerPseudonym
    this.keySet = keySet
    this.cdn = context.common.cdn
    this.presentContentId = context.common.contentId
    this.firstEventTimeMs = timeMs
    this.lastEventTimeMs = timeMs
  }

  static restore(saved: SerialisedPart, context: KeptContext, keySet: KeySet): Part {
    const part = new Part({ part: saved.part, context, keySet, timeMs: saved.firstEventTimeMs })
    part.lastEventTimeMs = saved.lastEventTimeMs
    part.cdn = saved.cdn
    part.presentContentId = saved.presentContentId
    part.standing = standingOf(saved)
    part.startupMs = saved.startupMs ?? Number.NaN
    part.playerStartupMs = saved.playerStartupMs ?? Number.NaN
    part.stallCount = saved.stallCount
    part.stallMs = saved.stallMs
    part.playingMs = saved.playingMs
    part.watchedMs = saved.watchedMs
    part.mediaUs = saved.mediaUs
    part.ratedMediaUs = saved.ratedMediaUs
    part.events = saved.events
    part.rateMilli = saved.rateMilli
    part.videoKbps = saved.videoKbps ?? Number.NaN
    part.audioKbps = saved.audioKbps ?? Number.NaN
    part.stalledSinceMs = saved.stalledSinceMs
    part.#highBits = BigInt(saved.bits)
    return part
  }

  /** Changes where the part stands. */
  stand(changed: Partial<Standing>): void {
    this.standing = standingOf({ ...this.standing, ...changed })
  }

  /** Video and audio bitrate together; `undefined` while neither is known. */
  get totalKbps(): number | undefined {
    const { videoKbps, audioKbps } = this
    if (Number.isNaN(videoKbps)) return orUndefined(audioKbps)
    return Number.isNaN(audioKbps) ? videoKbps : videoKbps + audioKbps
  }

  /** `amount` is an integer from 0 to 2^51. */
  addBits(amount: number): void {
    this.lowBits += amount
    if (this.lowBits <= CARRY_ABOVE) return
    this.#highBits += BigInt(this.lowBits)
    this.lowBits = 0
  }

  summary(): PartSummary {
    const { hasEnded: _hasEnded, ...values } = this.#values()
    return {
      part: values.part,
      contentId: values.contentId,
      firstEventTimeMs: values.firstEventTimeMs,
      lastEventTimeMs: values.lastEventTimeMs,
      state: values.state,
      endReason: values.endReason,
      attempt: values.attempt,
      play: values.play,
      ebvs: values.ebvs,
      ebvsLong: values.ebvsLong,
      vsf: values.vsf,
      vpf: values.vpf,
      endedPlay: values.endedPlay,
      failed: values.failed,
      startupMs: values.startupMs,
      playerStartupMs: values.playerStartupMs,
      stallCount: values.stallCount,
      stallMs: values.stallMs,
      playingMs: values.playingMs,
      watchedMs: values.watchedMs,
      mediaUs: values.mediaUs,
      ratedMediaUs: values.ratedMediaUs,
      bitsPlayed: this.#bits,
      events: values.events,
    }
  }

  serialised(sessionId: string): SerialisedPart {
    return {
      ...this.#values(),
      bits: this.#bits.toString(),
      context: wholeContext(sessionId, this),
    }
  }

  get #bits(): bigint {
    return this.#highBits + BigInt(this.lowBits)
  }

  #values(): PartValues {
    const { standing } = this
    return {
      part: this.part,
      contentId: this.common.contentId,
      presentContentId: this.presentContentId,
      firstEventTimeMs: this.firstEventTimeMs,
      lastEventTimeMs: this.lastEventTimeMs,
      state: standing.state,
      endReason: standing.endReason,
      attempt: standing.attempt,
      play: standing.play,
      ebvs: standing.ebvs,
      ebvsLong: standing.ebvsLong,
      vsf: standing.vsf,
      vpf: standing.vpf,
      endedPlay: standing.endedPlay,
      failed: standing.failed,
      hasEnded: standing.hasEnded,
      startupMs: orUndefined(this.startupMs),
      playerStartupMs: orUndefined(this.playerStartupMs),
      stallCount: this.stallCount,
      stallMs: this.stallMs,
      playingMs: this.playingMs,
      watchedMs: this.watchedMs,
      mediaUs: this.mediaUs,
      ratedMediaUs: this.ratedMediaUs,
      events: this.events,
      cdn: this.cdn,
      rateMilli: this.rateMilli,
      videoKbps: orUndefined(this.videoKbps),
      audioKbps: orUndefined(this.audioKbps),
      stalledSinceMs: this.stalledSinceMs,
    }
  }
}
