/**
 * Applies the events of one session, already in seq order and with their session time, to its
 * parts and to the minute panes. Definitions: `docs/metrics-definitions.md`.
 */
import type { EnrichedContext, PlaybackEvent } from '../events/schema.ts'
import { isSameContext } from '../events/same-context.ts'
import type { EndReason } from '../speed/rows.ts'
import { COUNTER_NAMES, INSTANT_INTERVAL_MS, MINUTE_MS, type CounterName } from './aggregates.ts'
import type { FoldLimits } from './fold.ts'
import { bucketOf } from './histogram.ts'
import type { PaneSums } from './pane-sums.ts'
import type { PaneStore } from './panes.ts'
import { Part } from './part.ts'
import { registerOf } from './registers.ts'
import { isOver, isUnexpected, isWatched, nextState } from './state-machine.ts'

/** Index of each counter in a pane. */
const C = Object.fromEntries(COUNTER_NAMES.map((name, index) => [name, index])) as Readonly<
  Record<CounterName, number>
>

/** An event with its session time and the context of the frame it came in. */
export interface TimedEvent {
  readonly event: PlaybackEvent
  readonly timeMs: number
  readonly context: EnrichedContext
}

export interface SessionFoldState {
  parts: Part[]
  partCount: number
  lastTimeMs: number | undefined
}

/** What an event did, for the session's row and its urgency. */
export interface Applied {
  readonly unexpected: boolean
  readonly contextDiffers: boolean
  /** Began, started playing, failed or ended: the session's row is wanted soon. */
  readonly notable: boolean
}

export class SessionFold {
  readonly #panes: PaneStore
  readonly #limits: FoldLimits
  /** The latest parts, oldest first. */
  #parts: readonly Part[]
  #partCount: number
  #lastTimeMs: number | undefined

  constructor(panes: PaneStore, limits: FoldLimits, state?: SessionFoldState) {
    this.#panes = panes
    this.#limits = limits
    this.#parts = state?.parts ?? []
    this.#partCount = state?.partCount ?? 0
    this.#lastTimeMs = state?.lastTimeMs
  }

  get parts(): readonly Part[] {
    return this.#parts
  }

  get partCount(): number {
    return this.#partCount
  }

  /** Session time of the last applied event. */
  get lastTimeMs(): number | undefined {
    return this.#lastTimeMs
  }

  get current(): Part | undefined {
    return this.#parts.at(-1)
  }

  apply(timed: TimedEvent): Applied {
    const { event, timeMs } = timed
    const previous = this.current
    if (previous !== undefined && this.#lastTimeMs !== undefined)
      this.#passTime(previous, this.#lastTimeMs, timeMs)
    const part = this.#partFor(previous, timed)
    this.#lastTimeMs = timeMs
    const { values } = part
    const isFirst = values.events === 0
    values.events += 1
    values.lastEventTimeMs = timeMs
    if (isFirst) values.firstEventTimeMs = timeMs
    values.presentContentId ??= timed.context.contentId

    this.#applySettings(part, event)
    const stateBefore = values.state
    const playBefore = values.play
    const stateAfter = nextState(stateBefore, event.type)
    const sums = this.#panes.sums(part.keySet, minuteOf(timeMs))
    sums.add(C.events, 1)
    if (isFirst) sums.add(C.sessions, 1)
    this.#countViewer(part, sums)
    this.#countAttempt(part, event, sums)
    if (stateAfter !== undefined) {
      values.state = stateAfter
      values.endReason = undefined
      if (stateAfter === 'playing') this.#start(part, stateBefore === 'idle', sums)
      else if (stateAfter === 'stalled') this.#stall(part, timeMs, sums)
      else if (isOver(stateAfter)) this.#end(part, endReasonOf(event), timeMs)
    }
    return {
      unexpected: stateAfter === undefined && isUnexpected(stateBefore, event.type),
      contextDiffers: !isSameContext(timed.context, part.context),
      notable: isFirst || values.play !== playBefore || isOver(stateAfter ?? 'idle'),
    }
  }

  /** The trailing close: nothing came for too long. Nothing is assumed after the last event. */
  closeByTimeout(): void {
    const part = this.current
    if (part === undefined || this.#lastTimeMs === undefined) return
    if (!isOver(part.values.state)) this.#endBy(part, 'timeout', this.#lastTimeMs)
  }

  /** Counts seqs that never came, where the session's last event was. */
  countLost(count: number): void {
    const part = this.current
    if (part === undefined || this.#lastTimeMs === undefined || count === 0) return
    for (const pane of this.#panes.forLost(part.keySet, minuteOf(this.#lastTimeMs)))
      pane.add(C.lost, count)
  }

  /** From the previous event to this one: time accrues, or the part had timed out. */
  #passTime(part: Part, fromMs: number, toMs: number): void {
    if (isOver(part.values.state)) return
    if (toMs - fromMs > this.#limits.sessionTimeoutMs) this.#endBy(part, 'timeout', fromMs)
    else this.#accrue(part, fromMs, toMs)
  }

  /** The part the event belongs to: a new content begins the next one. */
  #partFor(previous: Part | undefined, timed: TimedEvent): Part {
    const { context, timeMs } = timed
    if (previous !== undefined) {
      const before = previous.values.presentContentId
      const isSame =
        context.contentId === undefined || before === undefined || context.contentId === before
      if (isSame) return previous
      if (!isOver(previous.values.state)) this.#endBy(previous, 'content', timeMs)
    }
    const keySet = this.#panes.keySet(context, context.cdn)
    const part = Part.begin(this.#partCount, context, keySet, timeMs)
    this.#partCount += 1
    // An array that grows by `push` makes room for many: most sessions have one part.
    this.#parts = [...this.#parts, part].slice(-this.#limits.partsPerSessionMax)
    return part
  }

  /** Rate, rendition and CDN apply in any state. */
  #applySettings(part: Part, event: PlaybackEvent): void {
    const { values } = part
    if (event.type === 'cdnUpdate') {
      values.cdn = event.cdn
      part.keySet = this.#panes.keySet(part.context, event.cdn)
    } else if (event.type === 'renditionUpdate') {
      values.videoKbps = event.videoBitrateKbps ?? values.videoKbps
      values.audioKbps = event.audioBitrateKbps ?? values.audioKbps
    } else if (event.type === 'playbackRateUpdate') {
      values.rateMilli = Math.round(event.playbackRate * 1_000)
    } else if (event.type === 'playbackStart') {
      values.playerStartupMs ??= event.startupMs
    }
  }

  #countViewer(part: Part, { minuteStartMs, panes }: PaneSums): void {
    const pseudonym = part.context.viewerPseudonym
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
    if (part.values.attempt === 1) return
    const implied =
      part.values.state === 'idle' &&
      (event.type === 'playbackStart' || event.type === 'playbackFail')
    if (event.type !== 'playbackRequest' && !implied) return
    part.values.attempt = 1
    sums.add(C.attempts, 1)
  }

  #start(part: Part, fromIdle: boolean, sums: PaneSums): void {
    const { values } = part
    if (values.play === 1) return
    values.play = 1
    sums.add(C.plays, 1)
    if (fromIdle) return
    values.startupMs = values.watchedMs
    sums.add(C.startups, 1)
    sums.add(C.startupSumMs, values.watchedMs)
    const bucket = bucketOf(values.watchedMs)
    for (const { startupHistogram } of sums.panes)
      startupHistogram.set(bucket, (startupHistogram.get(bucket) ?? 0) + 1)
  }

  #stall(part: Part, timeMs: number, sums: PaneSums): void {
    part.values.stallCount += 1
    part.values.stalledSinceMs = timeMs
    sums.add(C.stalls, 1)
  }

  #endBy(part: Part, reason: 'timeout' | 'content', timeMs: number): void {
    part.values.state = 'ended'
    this.#end(part, reason, timeMs)
  }

  /** The first end decides what the part was; it counts in that end's minute, once. */
  #end(part: Part, reason: EndReason, timeMs: number): void {
    const { values } = part
    values.endReason = reason
    if (values.hasEnded) return
    values.hasEnded = true
    const failed = reason === 'fail'
    values.failed = failed ? 1 : 0
    values.vsf = failed && values.play === 0 ? 1 : 0
    values.vpf = failed && values.play === 1 ? 1 : 0
    values.endedPlay = values.play
    values.ebvs = !failed && values.attempt === 1 && values.play === 0 ? 1 : 0
    values.ebvsLong = values.ebvs === 1 && values.watchedMs >= 1_000 ? 1 : 0
    if (values.failed + values.endedPlay + values.ebvs === 0) return
    const sums = this.#panes.sums(part.keySet, minuteOf(timeMs))
    sums.add(C.failures, values.failed)
    sums.add(C.vsf, values.vsf)
    sums.add(C.vpf, values.vpf)
    sums.add(C.endedPlays, values.endedPlay)
    sums.add(C.ebvs, values.ebvs)
    sums.add(C.ebvsLong, values.ebvsLong)
  }

  /** Adds the interval `[fromMs, toMs)` in the part's present state, minute by minute. */
  #accrue(part: Part, fromMs: number, toMs: number): void {
    const { state, play } = part.values
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
    const { values } = part
    const stallMs = values.state === 'stalled' ? durationMs : 0
    const playingMs = values.state === 'playing' ? durationMs : 0
    const mediaUs = playingMs * values.rateMilli
    const kbps = part.totalKbps
    const ratedMediaUs = kbps === undefined ? 0 : mediaUs
    const bits = kbps === undefined ? 0 : kbps * mediaUs
    values.watchedMs += durationMs
    values.stallMs += stallMs
    values.playingMs += playingMs
    values.mediaUs += mediaUs
    values.ratedMediaUs += ratedMediaUs
    part.addBits(bits)
    const sums = this.#panes.sums(part.keySet, minuteMs)
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
    const { state, play, stalledSinceMs } = part.values
    const sums = this.#panes.sums(part.keySet, minuteMs)
    for (let index = first; index < afterLast; index++) {
      const stalledForMs = minuteMs + index * INSTANT_INTERVAL_MS - stalledSinceMs
      const isViewer =
        isWatched(state) && (state !== 'stalled' || stalledForMs <= this.#limits.stalledViewerMs)
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
