/**
 * Every metric that is served or alerted on, from the merged aggregates of minutes. A ratio without a denominator is
 * `null`, never 0: nothing played is not the same as nothing stalled.
 */
import { INSTANTS_PER_MINUTE, type MinuteAggregates } from './aggregates.ts'
import { quantile } from './histogram.ts'
import { mergeAggregates } from './merge.ts'
import { estimateDistinct } from './registers.ts'

const HOUR_MS = 3_600_000

export interface MetricOptions {
  /** Whether the cut counts distinct viewers. */
  readonly viewersCounted: boolean
  /** Attempts or plays below which `lowSample` is set. */
  readonly lowSampleBelow: number
}

export type QoeMetrics = ReturnType<typeof countsOf> &
  ReturnType<typeof ratiosOf> & {
    readonly concurrentPlays: number
    readonly concurrentViewers: number
    readonly distinctViewers: number | null
    readonly lowSample: boolean
  }

/**
 * Metrics of one key over `minutes`, each minute already merged over partitions and keys. Counts
 * add up over minutes; concurrency is the largest of all 10 s instants, because the same plays
 * stand at several instants.
 */
export function qoeMetrics(
  minutes: readonly MinuteAggregates[],
  options: MetricOptions,
): QoeMetrics {
  const [only] = minutes
  const sum = minutes.length === 1 && only ? only : mergeAggregates(minutes)
  return {
    ...countsOf(sum),
    ...ratiosOf(sum),
    concurrentPlays: largestInstant(minutes, 'concurrentPlays'),
    concurrentViewers: largestInstant(minutes, 'concurrentViewers'),
    distinctViewers: options.viewersCounted ? estimateDistinct(sum.viewerRegisters) : null,
    lowSample: sum.attempts < options.lowSampleBelow || sum.plays < options.lowSampleBelow,
  }
}

function countsOf(sum: MinuteAggregates) {
  return {
    sessions: sum.sessions,
    attempts: sum.attempts,
    plays: sum.plays,
    ebvs: sum.ebvs,
    ebvsLong: sum.ebvsLong,
    vsf: sum.vsf,
    vpf: sum.vpf,
    endedPlays: sum.endedPlays,
    failures: sum.failures,
    startups: sum.startups,
    stalls: sum.stalls,
    stallMs: sum.stallMs,
    playingMs: sum.playingMs,
    watchedMs: sum.watchedMs,
    mediaMs: roundThousandths(sum.mediaUs),
    bitsPlayed: Number((sum.bitsPlayed + 500n) / 1_000n),
    events: sum.events,
    lost: sum.lost,
    duplicates: sum.duplicates,
    late: sum.late,
    frames: sum.frames,
    bytes: sum.bytes,
  }
}

function ratiosOf(sum: MinuteAggregates) {
  const playingHours = sum.playingMs / HOUR_MS
  return {
    averageStartupMs: ratio(sum.startupSumMs, sum.startups),
    startupMsP50: quantile(sum.startupHistogram, 0.5) ?? null,
    startupMsP95: quantile(sum.startupHistogram, 0.95) ?? null,
    startupMsP99: quantile(sum.startupHistogram, 0.99) ?? null,
    ebvsRatio: ratio(sum.ebvs, sum.attempts),
    vsfRatio: ratio(sum.vsf, sum.attempts),
    // Conviva divides by ended plays; CTA-2066 divides all failures by sessions.
    vpfRatio: ratio(sum.vpf, sum.endedPlays),
    playbackFailureRatio: ratio(sum.failures, sum.sessions),
    stalledTimeRatio: ratio(sum.stallMs, sum.watchedMs),
    averagePlaybackStalledCount: ratio(sum.stalls, sum.plays),
    stallsPerPlayingHour: ratio(sum.stalls, playingHours),
    // Thousandths of a bit ÷ microseconds = kilobits ÷ seconds.
    averageBitrateKbps: ratio(Number(sum.bitsPlayed), sum.ratedMediaUs),
    playingHours,
    // Every seq that should have come was seen or is lost.
    eventsLostRatio: ratio(sum.lost, sum.events + sum.lost),
  }
}

/** Largest value over all 10 s instants of all minutes; 0 when there is none. */
function largestInstant(
  minutes: readonly MinuteAggregates[],
  name: 'concurrentPlays' | 'concurrentViewers',
): number {
  let largest = 0
  for (const minute of minutes)
    for (let instant = 0; instant < INSTANTS_PER_MINUTE; instant++)
      largest = Math.max(largest, minute[name][instant] ?? 0)
  return largest
}

/** floor((x + 500) / 1000), as the metric definitions say for media time and bits. */
export function roundThousandths(value: number): number {
  return Math.floor((value + 500) / 1_000)
}

function ratio(numerator: number, denominator: number): number | null {
  return denominator === 0 ? null : numerator / denominator
}
