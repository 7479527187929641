/**
 * One part of a session: its context, state and accumulators. `session-fold.ts` decides what to
 * add; this file holds it, summarises it and carries it through snapshots.
 */
import type { EnrichedContext } from '../events/schema.ts'
import type { EndReason, PartSummary, PlaybackState } from '../speed/rows.ts'
import { CarryingSum } from './carrying-sum.ts'
import type { KeySet } from './panes.ts'

const DEFAULT_RATE_MILLI = 1_000

type Flag = 0 | 1

/** The plain values of a part, as snapshots hold them. */
interface PartValues {
  readonly part: number
  readonly contentId: string | undefined
  /** The last content that was present in a frame of the part; a different one ends the part. */
  presentContentId: string | undefined
  firstEventTimeMs: number
  lastEventTimeMs: number
  state: PlaybackState
  endReason: EndReason | undefined
  attempt: Flag
  play: Flag
  ebvs: Flag
  ebvsLong: Flag
  vsf: Flag
  vpf: Flag
  endedPlay: Flag
  failed: Flag
  /** Whether the part has ended once; the first end decides what is counted. */
  hasEnded: boolean
  startupMs: number | undefined
  playerStartupMs: number | undefined
  stallCount: number
  stallMs: number
  playingMs: number
  watchedMs: number
  mediaUs: number
  ratedMediaUs: number
  events: number
  cdn: string | undefined
  rateMilli: number
  videoKbps: number | undefined
  audioKbps: number | undefined
  stalledSinceMs: number
}

export type SerialisedPart = PartValues & {
  readonly bits: string
  readonly context: EnrichedContext
}

export class Part {
  readonly values: PartValues
  readonly context: EnrichedContext
  /** The keys in force. */
  keySet: KeySet
  /** Minute and keys under which the viewer has been counted last. */
  viewerMinuteMs = Number.NaN
  viewerKeySet: KeySet | undefined
  #bits = new CarryingSum()

  constructor(values: PartValues, context: EnrichedContext, keySet: KeySet) {
    this.values = values
    this.context = context
    this.keySet = keySet
  }

  static begin(part: number, context: EnrichedContext, keySet: KeySet, timeMs: number): Part {
    return new Part(freshValues(part, context, timeMs), context, keySet)
  }

  static restore(saved: SerialisedPart, keySet: KeySet): Part {
    const { bits, context, ...values } = saved
    // What was undefined is not in the saved values: the fresh ones give every field its place.
    const fresh = freshValues(values.part, context, values.firstEventTimeMs)
    const part = new Part({ ...fresh, ...UNSET, ...values }, context, keySet)
    part.#bits = new CarryingSum(BigInt(bits))
    return part
  }

  /** Video and audio bitrate together; `undefined` while neither is known. */
  get totalKbps(): number | undefined {
    const { videoKbps, audioKbps } = this.values
    if (videoKbps === undefined && audioKbps === undefined) return undefined
    return (videoKbps ?? 0) + (audioKbps ?? 0)
  }

  addBits(amount: number): void {
    this.#bits.add(amount)
  }

  summary(): PartSummary {
    const v = this.values
    return {
      part: v.part,
      contentId: v.contentId,
      firstEventTimeMs: v.firstEventTimeMs,
      lastEventTimeMs: v.lastEventTimeMs,
      state: v.state,
      endReason: v.endReason,
      attempt: v.attempt,
      play: v.play,
      ebvs: v.ebvs,
      ebvsLong: v.ebvsLong,
      vsf: v.vsf,
      vpf: v.vpf,
      endedPlay: v.endedPlay,
      failed: v.failed,
      startupMs: v.startupMs,
      playerStartupMs: v.playerStartupMs,
      stallCount: v.stallCount,
      stallMs: v.stallMs,
      playingMs: v.playingMs,
      watchedMs: v.watchedMs,
      mediaUs: v.mediaUs,
      ratedMediaUs: v.ratedMediaUs,
      bitsPlayed: this.#bits.total,
      events: v.events,
    }
  }

  serialised(): SerialisedPart {
    return { ...this.values, bits: this.#bits.total.toString(), context: this.context }
  }
}

/** Fields that a fresh part takes from its context and a restored one only from what was saved. */
const UNSET = { contentId: undefined, presentContentId: undefined, cdn: undefined }

function freshValues(part: number, context: EnrichedContext, timeMs: number): PartValues {
  return {
    part,
    contentId: context.contentId,
    presentContentId: context.contentId,
    firstEventTimeMs: timeMs,
    lastEventTimeMs: timeMs,
    state: 'idle',
    endReason: undefined,
    attempt: 0,
    play: 0,
    ebvs: 0,
    ebvsLong: 0,
    vsf: 0,
    vpf: 0,
    endedPlay: 0,
    failed: 0,
    hasEnded: false,
    startupMs: undefined,
    playerStartupMs: undefined,
    stallCount: 0,
    stallMs: 0,
    playingMs: 0,
    watchedMs: 0,
    mediaUs: 0,
    ratedMediaUs: 0,
    events: 0,
    cdn: context.cdn,
    rateMilli: DEFAULT_RATE_MILLI,
    videoKbps: undefined,
    audioKbps: undefined,
    stalledSinceMs: 0,
  }
}
