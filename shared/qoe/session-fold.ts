/**
 * Applies the events of one session, already in seq order and with their session time, to its
 * parts and to the minute panes. Definitions: `docs/metrics-definitions.md`.
 */
import type { CommonContexts } from '../events/common-context.ts'
import type { EnrichedContext, PlaybackEvent } from '../events/schema.ts'
import { isSameContext } from '../events/same-context.ts'
import type { EndReason } from '../speed/rows.ts'
import { COUNTER_NAMES, INSTANT_INTERVAL_MS, MINUTE_MS, type CounterName } from './aggregates.ts'
import type { FoldOptions } from './fold.ts'
import { bucketOf } from './histogram.ts'
import type { PaneSums } from './pane-sums.ts'
import type { PaneStore } from './panes.ts'
import { inState, type Outcome } from './part-standing.ts'
import { Part } from './part.ts'
import { registerOf } from './registers.ts'
import { isOver, isUnexpected, isWatched, nextState } from './state-machine.ts'

/** Index of each counter in a pane. */
const C = Object.fromEntries(COUNTER_NAMES.map((name, index) => [name, index])) as Readonly<
  Record<CounterName, number>
>

/** The context of the frame that an event came in. */
interface FrameContext {
  readonly context: EnrichedContext
  /** The part whose context is known to say the same. */
  readonly samePart: Part | undefined
}

/** What a session's fold works on. */
export interface FoldGround {
  readonly options: Pick<FoldOptions, 'limits'>
  readonly panes: PaneStore
  readonly contexts: CommonContexts
}

/** What an event did, for the session's row and its urgency. */
export interface Applied {
  readonly unexpected: boolean
  readonly contextDiffers: boolean
  /** Began, started playing, failed or ended: the session's row is wanted soon. */
  readonly notable: boolean
}

/** What nearly all events do. */
const NOTHING: Applied = { unexpected: false, contextDiffers: false, notable: false }

const NO_PARTS: readonly Part[] = []

export class SessionFold {
  readonly #ground: FoldGround
  #current: Part | undefined
  /** The latest before it, oldest first. Most sessions have none, and share the empty array. */
  #earlier: readonly Part[]

  /** With the latest parts of one that was saved, oldest first. */
  constructor(ground: FoldGround, parts: readonly Part[] = NO_PARTS) {
    this.#ground = ground
    this.#current = parts.at(-1)
    this.#earlier = parts.length < 2 ? NO_PARTS : parts.slice(0, -1)
  }

  /** The latest parts, oldest first. */
  get parts(): readonly Part[] {
    return this.#current === undefined ? NO_PARTS : [...this.#earlier, this.#current]
  }

  get partCount(): number {
    return this.#current === undefined ? 0 : this.#current.part + 1
  }

  /** Session time of the last applied event. */
  get lastTimeMs(): number | undefined {
    return this.#current?.lastEventTimeMs
  }

  get current(): Part | undefined {
    return this.#current
  }

  /** `timeMs`: the event's session time. */
  apply(event: PlaybackEvent, timeMs: number, frame: FrameContext): Applied {
    const previous = this.#current
    if (previous !== undefined) this.#passTime(previous, previous.lastEventTimeMs, timeMs)
    const part = this.#partFor(previous, timeMs, frame)
    const isFirst = part.events === 0
    part.events += 1
    part.lastEventTimeMs = timeMs
    if (isFirst) part.firstEventTimeMs = timeMs
    part.presentContentId ??= frame.context.contentId

    this.#applySettings(part, event)
    const { state: stateBefore, play: playBefore } = part.standing
    const stateAfter = nextState(stateBefore, event.type)
    const sums = this.#ground.panes.sums(part.keySet, minuteOf(timeMs))
    sums.add(C.events, 1)
    if (isFirst) sums.add(C.sessions, 1)
    this.#countViewer(part, sums)
    this.#countAttempt(part, event, sums)
    if (stateAfter !== undefined) {
      part.standing = inState(part.standing, stateAfter)
      if (stateAfter === 'playing') this.#start(part, stateBefore === 'idle', sums)
      else if (stateAfter === 'stalled') this.#stall(part, timeMs, sums)
      else if (isOver(stateAfter)) this.#end(part, endReasonOf(event), timeMs)
    }
    const unexpected = stateAfter === undefined && isUnexpected(stateBefore, event.type)
    const contextDiffers = frame.samePart !== part && !isSameContext(frame.context, part)
    const notable = isFirst || part.standing.play !== playBefore || isOver(stateAfter ?? 'idle')
    if (!unexpected && !contextDiffers && !notable) return NOTHING
    return { unexpected, contextDiffers, notable }
  }

  /** The trailing close: nothing came for too long. Nothing is assumed after the last event. */
  closeByTimeout(): void {
    const part = this.current
    if (part === undefined) return
    if (!isOver(part.standing.state)) this.#endBy(part, 'timeout', part.lastEventTimeMs)
  }

  /** Counts seqs that never came, where the session's last event was. */
  countLost(count: number): void {
    const part = this.current
    if (part === undefined || count === 0) return
    for (const pane of this.#ground.panes.forLost(part.keySet, minuteOf(part.lastEventTimeMs)))
      pane.add(C.lost, count)
  }

  /** From the previous event to this one: time accrues, or the part had timed out. */
  #passTime(part: Part, fromMs: number, toMs: number): void {
    if (isOver(part.standing.state)) return
    if (toMs - fromMs > this.#ground.options.limits.sessionTimeoutMs)
      this.#endBy(part, 'timeout', fromMs)
    else this.#accrue(part, fromMs, toMs)
  }

  /** The part the event belongs to: a new content begins the next one. */
  #partFor(previous: Part | undefined, timeMs: number, { context }: FrameContext): Part {
    if (previous !== undefined) {
      const before = previous.presentContentId
      const isSame =
        context.contentId === undefined || before === undefined || context.contentId === before
      if (isSame) return previous
      if (!isOver(previous.standing.state)) this.#endBy(previous, 'content', timeMs)
    }
    const { panes, contexts, options } = this.#ground
    const part = new Part({
      part: this.partCount,
      context: contexts.keep(context),
      keySet: panes.keySet(context, context.cdn),
      timeMs,
    })
    const earlierMax = options.limits.partsPerSessionMax - 1
    if (previous !== undefined && earlierMax > 0)
      this.#earlier = [...this.#earlier, previous].slice(-earlierMax)
    this.#current = part
    return part
  }

  /** Rate, rendition and CDN apply in any state. */
  #applySettings(part: Part, event: PlaybackEvent): void {
    if (event.type === 'cdnUpdate') {
      part.cdn = event.cdn
      part.keySet = this.#ground.panes.keySet(part.common, event.cdn)
    } else if (event.type === 'renditionUpdate') {
      part.videoKbps = event.videoBitrateKbps ?? part.videoKbps
      part.audioKbps = event.audioBitrateKbps ?? part.audioKbps
    } else if (event.type === 'playbackRateUpdate') {
      part.rateMilli = Math.round(event.playbackRate * 1_000)
    } else if (event.type === 'playbackStart') {
      if (Number.isNaN(part.playerStartupMs)) part.playerStartupMs = event.startupMs ?? Number.NaN
    }
  }

  #countViewer(part: Part, { minuteStartMs, panes }: PaneSums): void {
    const pseudonym = part.viewerPseudonym
    if (pseudonym === undefined) return
    if (part.viewerMinuteMs === minuteStartMs && part.viewerKeySet === part.keySet) return
    part.viewerMinuteMs = minuteStartMs
    part.viewerKeySet = part.keySet
    const { register, rank } = registerOf(pseudonym)
    for (const pane of panes)
      if (pane.countsViewers && (pane.viewerRegisters.get(register) ?? 0) < rank)
        pane.viewerRegisters.set(register, rank)
  }

  /** A request is an attempt; a start or fail in idle implies one; one per part at most. */
  #countAttempt(part: Part, event: PlaybackEvent, sums: PaneSums): void {
    if (part.standing.attempt === 1) return
    const implied =
      part.standing.state === 'idle' &&
      (event.type === 'playbackStart' || event.type === 'playbackFail')
    if (event.type !== 'playbackRequest' && !implied) return
    part.stand({ attempt: 1 })
    sums.add(C.attempts, 1)
  }

  #start(part: Part, fromIdle: boolean, sums: PaneSums): void {
    if (part.standing.play === 1) return
    part.stand({ play: 1 })
    sums.add(C.plays, 1)
    if (fromIdle) return
    part.startupMs = part.watchedMs
    sums.add(C.startups, 1)
    sums.add(C.startupSumMs, part.watchedMs)
    const bucket = bucketOf(part.watchedMs)
    for (const { startupHistogram } of sums.panes)
      startupHistogram.set(bucket, (startupHistogram.get(bucket) ?? 0) + 1)
  }

  #stall(part: Part, timeMs: number, sums: PaneSums): void {
    part.stallCount += 1
    part.stalledSinceMs = timeMs
    sums.add(C.stalls, 1)
  }

  #endBy(part: Part, reason: 'timeout' | 'content', timeMs: number): void {
    part.stand({ state: 'ended' })
    this.#end(part, reason, timeMs)
  }

  /** The first end decides what the part was; it counts in that end's minute, once. */
  #end(part: Part, reason: EndReason, timeMs: number): void {
    const { hasEnded, attempt, play } = part.standing
    part.stand({ endReason: reason })
    if (hasEnded) return
    const failed = reason === 'fail' ? 1 : 0
    const ebvs = failed === 0 && attempt === 1 && play === 0 ? 1 : 0
    const outcome: Outcome = {
      hasEnded: true,
      failed,
      vsf: failed === 1 && play === 0 ? 1 : 0,
      vpf: failed === 1 && play === 1 ? 1 : 0,
      endedPlay: play,
      ebvs,
      ebvsLong: ebvs === 1 && part.watchedMs >= 1_000 ? 1 : 0,
    }
    part.stand(outcome)
    if (outcome.failed + outcome.endedPlay + outcome.ebvs === 0) return
    const sums = this.#ground.panes.sums(part.keySet, minuteOf(timeMs))
    sums.add(C.failures, outcome.failed)
    sums.add(C.vsf, outcome.vsf)
    sums.add(C.vpf, outcome.vpf)
    sums.add(C.endedPlays, outcome.endedPlay)
    sums.add(C.ebvs, outcome.ebvs)
    sums.add(C.ebvsLong, outcome.ebvsLong)
  }

  /** Adds the interval `[fromMs, toMs)` in the part's present state, minute by minute. */
  #accrue(part: Part, fromMs: number, toMs: number): void {
    const { state, play } = part.standing
    const watched = isWatched(state)
    if (!watched && play === 0) return
    let startMs = fromMs
    while (startMs < toMs) {
      const minuteMs = minuteOf(startMs)
      const endMs = Math.min(toMs, minuteMs + MINUTE_MS)
      if (watched) this.#accrueWatched(part, minuteMs, endMs - startMs)
      this.#countInstants(part, minuteMs, startMs, endMs)
      startMs = endMs
    }
  }

  #accrueWatched(part: Part, minuteMs: number, durationMs: number): void {
    const stallMs = part.standing.state === 'stalled' ? durationMs : 0
    const playingMs = part.standing.state === 'playing' ? durationMs : 0
    const mediaUs = playingMs * part.rateMilli
    const kbps = part.totalKbps
    const ratedMediaUs = kbps === undefined ? 0 : mediaUs
    const bits = kbps === undefined ? 0 : kbps * mediaUs
    part.watchedMs += durationMs
    part.stallMs += stallMs
    part.playingMs += playingMs
    part.mediaUs += mediaUs
    part.ratedMediaUs += ratedMediaUs
    part.addBits(bits)
    const sums = this.#ground.panes.sums(part.keySet, minuteMs)
    sums.add(C.watchedMs, durationMs)
    sums.add(C.stallMs, stallMs)
    sums.add(C.playingMs, playingMs)
    sums.add(C.mediaUs, mediaUs)
    sums.add(C.ratedMediaUs, ratedMediaUs)
    sums.addBits(bits)
  }

  /** Counts the part at each instant of `[startMs, endMs)`, a stretch within one minute. */
  #countInstants(part: Part, minuteMs: number, startMs: number, endMs: number): void {
    const first = Math.ceil((startMs - minuteMs) / INSTANT_INTERVAL_MS)
    const afterLast = Math.ceil((endMs - minuteMs) / INSTANT_INTERVAL_MS)
    if (first >= afterLast) return
    const { state, play } = part.standing
    const { stalledSinceMs } = part
    const sums = this.#ground.panes.sums(part.keySet, minuteMs)
    for (let index = first; index < afterLast; index++) {
      const stalledForMs = minuteMs + index * INSTANT_INTERVAL_MS - stalledSinceMs
      const isViewer =
        isWatched(state) &&
        (state !== 'stalled' || stalledForMs <= this.#ground.options.limits.stalledViewerMs)
      sums.addInstant(index, play, isViewer ? 1 : 0)
    }
  }
}

export function minuteOf(timeMs: number): number {
  return Math.floor(timeMs / MINUTE_MS) * MINUTE_MS
}

function endReasonOf(event: PlaybackEvent): EndReason {
  if (event.type === 'playbackFinish') return 'finish'
  return event.type === 'playbackFail' ? 'fail' : 'sessionEnd'
}
