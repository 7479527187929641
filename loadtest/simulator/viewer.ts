/** Draws the plan of one viewer: what is watched, by which CDN, and what goes wrong. */
import type { Random } from '../../shared/runtime/random.ts'
import {
  AUDIO_KBPS,
  BAD_CDN,
  CDNS,
  contentOf,
  COUNTRIES,
  DEVICE_KINDS,
  LADDER_KBPS,
  pickWeighted,
  RESCUE_CDN,
  zipfRank,
  type CdnCharacter,
} from './catalogue.ts'
import type { PartPlan, PlannedChange, Segment, SessionPlan } from './session-plan.ts'

export interface ViewerOptions {
  readonly startAtMs: number
  readonly clockOffsetMs: number
  /** Median of how long a content is watched; nobody watches longer than four times that. */
  readonly watchMedianMs: number
  readonly contents: number
  readonly viewers: number
}

/** Chances per session, rates per minute of playing. */
const LEAVES_BEFORE_START_CHANCE = 0.03
const LEAVES_SLOW_START_CHANCE = 0.15
const SLOW_START_MS = 4_000
const PAUSES_PER_MINUTE = 0.04
const SEEKS_PER_MINUTE = 0.06
const SWITCHES_PER_MINUTE = 0.25
const FASTER_CHANCE = 0.04
const WARNING_CHANCE = 0.05
const NEXT_CONTENT_CHANCE = 0.06
const VANISHES_CHANCE = 0.02
const CDN_RESCUE_CHANCE = 0.25
const RESUMES_BY_REQUEST_CHANCE = 0.5

export function drawPlan(random: Random, options: ViewerOptions): SessionPlan {
  const kind = pickWeighted(DEVICE_KINDS, random)
  const character = pickWeighted(CDNS, random)
  const vanishes = random.next() < VANISHES_CHANCE
  const parts = [drawPart(random, options, character)]
  if (random.next() < NEXT_CONTENT_CHANCE) {
    const first = parts[0]
    const second = drawPart(random, options, character)
    // Watching the same content again would not begin a part.
    if (first !== undefined && first.contentId !== second.contentId)
      parts.splice(0, 1, random.next() < 0.5 ? withoutEnd(first) : withGap(first), second)
  }
  const last = parts.length - 1
  return {
    context: {
      sessionId: random.uuid(),
      viewerId: `viewer-${random.below(options.viewers)}`,
      device: kind.device,
      player: kind.player,
      app: { name: 'cinema', version: '4.2.0' },
      country: pickWeighted(COUNTRIES, random).country,
      streamingFormat: random.next() < 0.6 ? 'hls' : 'dash',
    },
    startAtMs: options.startAtMs,
    heartbeatMs: 10_000 + random.below(11) * 1_000,
    clockOffsetMs: options.clockOffsetMs,
    parts: parts.map((part, index) => (vanishes && index === last ? withoutEnd(part) : part)),
  }
}

/** The next content comes some time after this one's end. */
function withGap(part: PartPlan): PartPlan {
  const segments = part.segments.map((segment) =>
    segment.state === 'ended' || segment.state === 'failed' ? { ...segment, ms: 3_000 } : segment,
  )
  return { ...part, segments }
}

/** Something else begins, or the device loses power: the last state goes on without an end. */
function withoutEnd(part: PartPlan): PartPlan {
  const { segments } = part
  const state = segments.at(-1)?.state
  const ends = state === 'ended' || state === 'failed'
  return ends && segments.length > 1 ? { ...part, segments: segments.slice(0, -1) } : part
}

function drawPart(random: Random, options: ViewerOptions, character: CdnCharacter): PartPlan {
  const content = contentOf(zipfRank(options.contents, random))
  return {
    contentId: content.contentId,
    contentTitle: content.title,
    streamType: content.streamType,
    cdn: character.cdn,
    segments: drawSegments(random, options, character),
  }
}

function drawSegments(random: Random, options: ViewerOptions, character: CdnCharacter): Segment[] {
  const startup: Segment = { state: 'starting', ms: drawAround(random, character.startupMedianMs) }
  if (random.next() < character.startFailureChance)
    return [startup, { state: 'failed', ms: 0, code: 'MANIFEST_TIMEOUT' }]
  const patience =
    startup.ms > SLOW_START_MS ? LEAVES_SLOW_START_CHANCE : LEAVES_BEFORE_START_CHANCE
  if (random.next() < patience) return [startup, { state: 'ended', ms: 0, by: 'viewer' }]

  const segments = [startup]
  const course = new Course(random, character)
  const watchMs = drawWatchMs(random, options.watchMedianMs)
  const failsAtMs =
    random.next() < character.playFailureChance ? random.below(watchMs) : Number.POSITIVE_INFINITY
  let playedMs = 0
  for (;;) {
    const stretch = course.drawStretch(Math.min(watchMs, failsAtMs) - playedMs)
    segments.push(stretch)
    playedMs += stretch.ms
    if (playedMs >= failsAtMs) {
      segments.push({ state: 'failed', ms: 0, code: 'SEGMENT_LOAD_ERROR' })
      return segments
    }
    if (playedMs >= watchMs) {
      segments.push({ state: 'ended', ms: 0, by: random.next() < 0.5 ? 'finish' : 'viewer' })
      return segments
    }
    segments.push(...course.drawInterruption())
  }
}

/** One viewing: stretches of playing and what interrupts them. */
class Course {
  readonly #random: Random
  readonly #character: CdnCharacter
  #rung: number
  #began = false
  #moved = false

  constructor(random: Random, character: CdnCharacter) {
    this.#random = random
    this.#character = character
    this.#rung = 1 + random.below(LADDER_KBPS.length - 1)
  }

  get #stallsPerMinute(): number {
    return this.#moved ? 0.03 : this.#character.stallsPerMinute
  }

  /** A stretch of playing, at most `atMostMs` long. */
  drawStretch(atMostMs: number): Segment {
    const perMinute = this.#stallsPerMinute + PAUSES_PER_MINUTE + SEEKS_PER_MINUTE
    const untilInterrupted = Math.ceil(-Math.log(1 - this.#random.next()) * (60_000 / perMinute))
    const ms = Math.max(1, Math.min(atMostMs, untilInterrupted))
    const changes: (PlannedChange & { atMs: number })[] = []
    if (!this.#began) changes.push({ atMs: 0, ...this.#rendition() })
    if (!this.#began && this.#random.next() < FASTER_CHANCE)
      changes.push({ atMs: Math.floor(ms / 3), kind: 'rate', rateMilli: 1_250 })
    if (this.#random.next() < WARNING_CHANCE)
      changes.push({ atMs: Math.floor(ms / 2), kind: 'warning', code: 'BUFFER_GAP_SKIPPED' })
    if (this.#random.next() < SWITCHES_PER_MINUTE * (ms / 60_000)) {
      this.#move(this.#random.next() < 0.5 ? 1 : -1)
      changes.push({ atMs: Math.floor((ms * 2) / 3), ...this.#rendition() })
    }
    this.#began = true
    return { state: 'playing', ms, changes }
  }

  drawInterruption(): Segment[] {
    const perMinute = this.#stallsPerMinute + PAUSES_PER_MINUTE + SEEKS_PER_MINUTE
    const which = this.#random.next() * perMinute
    if (which < this.#stallsPerMinute) return [this.#drawStall()]
    if (which < this.#stallsPerMinute + SEEKS_PER_MINUTE)
      return [{ state: 'seeking', ms: drawAround(this.#random, 900) }]
    const pause: Segment = { state: 'paused', ms: drawAround(this.#random, 20_000) }
    if (this.#random.next() >= RESUMES_BY_REQUEST_CHANCE) return [pause]
    return [pause, { state: 'starting', ms: drawAround(this.#random, 300) }]
  }

  #drawStall(): Segment {
    const ms = drawAround(this.#random, this.#character.stallMedianMs)
    this.#move(-1)
    const changes: (PlannedChange & { atMs: number })[] = [{ atMs: 0, ...this.#rendition() }]
    if (
      this.#character.cdn === BAD_CDN &&
      this.#random.next() < CDN_RESCUE_CHANCE &&
      !this.#moved
    ) {
      this.#moved = true
      changes.push({ atMs: Math.floor(ms / 2), kind: 'cdn', cdn: RESCUE_CDN })
    }
    return { state: 'stalled', ms, changes }
  }

  #move(by: number): void {
    this.#rung = Math.min(LADDER_KBPS.length - 1, Math.max(0, this.#rung + by))
  }

  #rendition(): PlannedChange {
    return { kind: 'rendition', videoKbps: LADDER_KBPS[this.#rung] ?? 0, audioKbps: AUDIO_KBPS }
  }
}

/** Whole milliseconds around a median, between a quarter and four times of it. */
function drawAround(random: Random, medianMs: number): number {
  return Math.round(medianMs * 4 ** (random.next() + random.next() - 1))
}

function drawWatchMs(random: Random, medianMs: number): number {
  // A fifth only looks in.
  return drawAround(random, random.next() < 0.2 ? medianMs / 8 : medianMs)
}
