/**
 * The metrics of one part of a session from its applied events, and the facts it adds to minutes:
 * states first, then the intervals between events, then the ends.
 */
import { isDeepStrictEqual } from 'node:util'

import type { EnrichedContext, PlaybackEvent } from '../../shared/events/schema.ts'
import { INSTANT_INTERVAL_MS, MINUTE_MS } from '../../shared/qoe/aggregates.ts'
import type { FoldLimits } from '../../shared/qoe/fold.ts'
import type { EndReason, PartSummary, PlaybackState, RepairName } from '../../shared/speed/rows.ts'
import type { Facts, MinuteLedger } from './minute-ledger.ts'
import type { AppliedEvent } from './session-order.ts'

type Mutable<T> = { -readonly [Name in keyof T]: T[Name] }

/** State after an event of the type, by the state before it; a state not listed is left as it is. */
const TRANSITIONS: Partial<
  Record<PlaybackEvent['type'], Partial<Record<PlaybackState, PlaybackState>>>
> = {
  playbackRequest: { idle: 'starting', paused: 'starting', ended: 'starting', failed: 'starting' },
  playbackStart: {
    idle: 'playing',
    starting: 'playing',
    paused: 'playing',
    stalled: 'playing',
    seeking: 'playing',
  },
  playbackPause: { starting: 'paused', playing: 'paused', stalled: 'paused', seeking: 'paused' },
  playbackStall: { playing: 'stalled', starting: 'starting' },
  seekStart: { playing: 'seeking', paused: 'paused', stalled: 'stalled', starting: 'starting' },
  playbackFinish: endingFrom('ended'),
  sessionEnd: endingFrom('ended'),
  playbackFail: endingFrom('failed'),
}

function endingFrom(end: PlaybackState): Partial<Record<PlaybackState, PlaybackState>> {
  return { idle: end, starting: end, playing: end, paused: end, stalled: end, seeking: end }
}

const END_REASONS: Partial<Record<PlaybackEvent['type'], EndReason>> = {
  playbackFinish: 'finish',
  sessionEnd: 'sessionEnd',
  playbackFail: 'fail',
}

export interface Surroundings {
  readonly part: number
  readonly limits: FoldLimits
  readonly ledger: MinuteLedger
  readonly repairs: Record<RepairName, number>
}

export class PartMetrics {
  readonly summary: Mutable<PartSummary>
  readonly #context: EnrichedContext
  readonly #surroundings: Surroundings
  #cdn: string | undefined
  #rateMilli = 1000
  #videoKbps: number | undefined
  #audioKbps: number | undefined
  #stalledSinceMs = 0
  #hasEnded = false

  constructor(first: AppliedEvent, surroundings: Surroundings) {
    this.#context = first.frame.context
    this.#cdn = this.#context.cdn
    this.#surroundings = surroundings
    this.summary = emptySummary(surroundings.part, first)
  }

  get context(): EnrichedContext {
    return this.#context
  }

  applyEvent(applied: AppliedEvent): void {
    const { event, sessionTimeMs } = applied
    const { summary } = this
    summary.lastEventTimeMs = sessionTimeMs
    summary.events += 1
    if (event.type === 'cdnUpdate') this.#cdn = event.cdn
    if (event.type === 'playbackRateUpdate') this.#rateMilli = rateMilliOf(event.playbackRate)
    if (event.type === 'renditionUpdate') {
      this.#videoKbps = event.videoBitrateKbps ?? this.#videoKbps
      this.#audioKbps = event.audioBitrateKbps ?? this.#audioKbps
    }
    if (event.type === 'playbackStart') summary.playerStartupMs ??= event.startupMs
    const first = summary.events === 1
    this.#add(applied.appliedAtRecord, sessionTimeMs, {
      events: 1,
      sessions: first ? 1 : 0,
      viewerPseudonym: this.#context.viewerPseudonym,
    })
    this.#countRepairs(applied)
    this.#changeState(applied)
  }

  /** The interval from the last applied event to `untilMs`, in the state after that event. */
  accrue(fromMs: number, untilMs: number, recordIndex: number): void {
    for (let start = fromMs; start < untilMs;) {
      const nextMinuteMs = (Math.floor(start / MINUTE_MS) + 1) * MINUTE_MS
      const end = Math.min(nextMinuteMs, untilMs)
      this.#accrueWithinMinute(start, end, recordIndex)
      start = end
    }
    const firstInstantMs = Math.ceil(fromMs / INSTANT_INTERVAL_MS) * INSTANT_INTERVAL_MS
    for (let instantMs = firstInstantMs; instantMs < untilMs; instantMs += INSTANT_INTERVAL_MS) {
      const instant = { play: this.#isConcurrentPlay(), viewer: this.#isViewer(instantMs) }
      if (instant.play || instant.viewer) this.#add(recordIndex, instantMs, { instant })
    }
  }

  /** An end that no event brought. A part that has ended or failed already stays as it is. */
  endWithoutEvent(reason: 'timeout' | 'content', atMs: number, recordIndex: number): void {
    if (isOver(this.summary.state)) return
    this.summary.state = 'ended'
    this.#end(reason, atMs, recordIndex)
  }

  /** `lost` belongs to the minute and key of the last applied event. */
  addLost(lost: number, atMs: number, recordIndex: number): void {
    this.#add(recordIndex, atMs, { lost, alwaysWritable: true })
  }

  #changeState({ event, sessionTimeMs, appliedAtRecord }: AppliedEvent): void {
    const { summary } = this
    const before = summary.state
    const after = TRANSITIONS[event.type]?.[before]
    const impliesAttempt =
      event.type === 'playbackRequest' ||
      (before === 'idle' && (event.type === 'playbackStart' || event.type === 'playbackFail'))
    if (impliesAttempt && summary.attempt === 0) {
      summary.attempt = 1
      this.#add(appliedAtRecord, sessionTimeMs, { attempts: 1 })
    }
    if (after === undefined || after === before) return
    summary.state = after
    const reason = END_REASONS[event.type]
    if (reason !== undefined) return this.#end(reason, sessionTimeMs, appliedAtRecord)
    summary.endReason = undefined
    if (after === 'stalled') {
      this.#stalledSinceMs = sessionTimeMs
      summary.stallCount += 1
      this.#add(appliedAtRecord, sessionTimeMs, { stalls: 1 })
    }
    if (after === 'playing' && summary.play === 0) {
      summary.play = 1
      this.#add(appliedAtRecord, sessionTimeMs, { plays: 1 })
      if (before === 'idle') return
      summary.startupMs = summary.watchedMs
      this.#add(appliedAtRecord, sessionTimeMs, { startupMs: summary.startupMs })
    }
  }

  #end(reason: EndReason, atMs: number, recordIndex: number): void {
    const { summary } = this
    summary.endReason = reason
    if (this.#hasEnded) return
    this.#hasEnded = true
    const failed = reason === 'fail'
    summary.ebvs = summary.attempt === 1 && summary.play === 0 && !failed ? 1 : 0
    summary.ebvsLong = summary.ebvs === 1 && summary.watchedMs >= 1000 ? 1 : 0
    summary.vsf = failed && summary.play === 0 ? 1 : 0
    summary.vpf = failed && summary.play === 1 ? 1 : 0
    summary.endedPlay = summary.play
    summary.failed = failed ? 1 : 0
    this.#add(recordIndex, atMs, {
      ebvs: summary.ebvs,
      ebvsLong: summary.ebvsLong,
      vsf: summary.vsf,
      vpf: summary.vpf,
      endedPlays: summary.endedPlay,
      failures: summary.failed,
    })
  }

  #accrueWithinMinute(fromMs: number, untilMs: number, recordIndex: number): void {
    const { summary } = this
    const { state } = summary
    const ms = untilMs - fromMs
    const watched =
      state === 'starting' || state === 'playing' || state === 'stalled' || state === 'seeking'
    if (!watched) return
    const playingMs = state === 'playing' ? ms : 0
    const stallMs = state === 'stalled' ? ms : 0
    const mediaUs = playingMs * this.#rateMilli
    const rated = this.#videoKbps !== undefined || this.#audioKbps !== undefined
    const ratedMediaUs = rated ? mediaUs : 0
    const kbps = (this.#videoKbps ?? 0) + (this.#audioKbps ?? 0)
    const bitsPlayed = BigInt(kbps) * BigInt(ratedMediaUs)
    summary.watchedMs += ms
    summary.playingMs += playingMs
    summary.stallMs += stallMs
    summary.mediaUs += mediaUs
    summary.ratedMediaUs += ratedMediaUs
    summary.bitsPlayed += bitsPlayed
    const facts = { watchedMs: ms, playingMs, stallMs, mediaUs, ratedMediaUs, bitsPlayed }
    this.#add(recordIndex, fromMs, facts)
  }

  #isConcurrentPlay(): boolean {
    return this.summary.play === 1 && !isOver(this.summary.state)
  }

  #isViewer(instantMs: number): boolean {
    const { state } = this.summary
    if (state === 'stalled') {
      return instantMs - this.#stalledSinceMs <= this.#surroundings.limits.stalledViewerMs
    }
    return state === 'starting' || state === 'playing' || state === 'seeking'
  }

  #countRepairs({ event, frame, clamped, raised }: AppliedEvent): void {
    const { repairs } = this.#surroundings
    const arrows = TRANSITIONS[event.type]
    if (arrows !== undefined && arrows[this.summary.state] === undefined) repairs.state += 1
    if (clamped) repairs.clamped += 1
    if (raised) repairs.backwards += 1
    const same = frame.context === this.#context || isDeepStrictEqual(frame.context, this.#context)
    if (!same) repairs.context += 1
  }

  #add(recordIndex: number, timeMs: number, facts: Facts): void {
    const place = { recordIndex, timeMs, context: this.#context, cdn: this.#cdn }
    this.#surroundings.ledger.add(place, facts)
  }
}

function isOver(state: PlaybackState): boolean {
  return state === 'ended' || state === 'failed'
}

function rateMilliOf(playbackRate: number): number {
  return Math.min(Math.max(Math.round(playbackRate * 1000), 1), 16_000)
}

function emptySummary(part: number, first: AppliedEvent): Mutable<PartSummary> {
  return {
    part,
    contentId: first.frame.context.contentId,
    firstEventTimeMs: first.sessionTimeMs,
    lastEventTimeMs: first.sessionTimeMs,
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
    startupMs: undefined,
    playerStartupMs: undefined,
    stallCount: 0,
    stallMs: 0,
    playingMs: 0,
    watchedMs: 0,
    mediaUs: 0,
    ratedMediaUs: 0,
    bitsPlayed: 0n,
    events: 0,
  }
}
