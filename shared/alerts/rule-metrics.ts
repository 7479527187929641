/**
 * What alert rules can watch: every metric that is served, and what its samples are, by which a
 * rule tells a number that says something from one that does not.
 */
import type { MinuteAggregates } from '../qoe/aggregates.ts'
import { qoeMetrics, type QoeMetrics } from '../qoe/metrics.ts'

export type RuleMetric = Exclude<keyof QoeMetrics, 'lowSample'>

/** `count`: the metric is a number of things, and is its own samples; it is 0 without a row. */
type SampleBasis =
  'count' | 'attempts' | 'startups' | 'endedPlays' | 'sessions' | 'plays' | 'watched' | 'eventsDue'

export const SAMPLE_BASES: Readonly<Record<RuleMetric, SampleBasis>> = {
  sessions: 'count',
  attempts: 'count',
  plays: 'count',
  ebvs: 'count',
  ebvsLong: 'count',
  vsf: 'count',
  vpf: 'count',
  endedPlays: 'count',
  failures: 'count',
  startups: 'count',
  stalls: 'count',
  stallMs: 'count',
  playingMs: 'count',
  watchedMs: 'count',
  mediaMs: 'count',
  bitsPlayed: 'count',
  events: 'count',
  lost: 'count',
  duplicates: 'count',
  late: 'count',
  frames: 'count',
  bytes: 'count',
  playingHours: 'count',
  concurrentPlays: 'count',
  concurrentViewers: 'count',
  distinctViewers: 'count',
  averageStartupMs: 'startups',
  startupMsP50: 'startups',
  startupMsP95: 'startups',
  startupMsP99: 'startups',
  ebvsRatio: 'attempts',
  vsfRatio: 'attempts',
  vpfRatio: 'endedPlays',
  playbackFailureRatio: 'sessions',
  stalledTimeRatio: 'watched',
  averagePlaybackStalledCount: 'plays',
  stallsPerPlayingHour: 'watched',
  averageBitrateKbps: 'watched',
  eventsLostRatio: 'eventsDue',
}

export const RULE_METRICS = Object.keys(SAMPLE_BASES) as [RuleMetric, ...RuleMetric[]]

/** Instants are complete a heartbeat interval after the watermark passed them. */
export const CONCURRENCY_METRICS: ReadonlySet<RuleMetric> = new Set([
  'concurrentPlays',
  'concurrentViewers',
])

/** A metric of one key over a rule's window. */
export interface MetricReading {
  /** `null` without a denominator. */
  readonly value: number | null
  readonly samples: number
}

/** A minute of one viewer's watching is one sample. */
const WATCHED_SAMPLE_MS = 60_000

export function readMetric(
  metric: RuleMetric,
  minutes: readonly MinuteAggregates[],
): MetricReading {
  const metrics = qoeMetrics(minutes, {
    // An estimate over registers costs more than all the rest.
    viewersCounted: metric === 'distinctViewers',
    lowSampleBelow: 0,
  })
  const value = metrics[metric]
  return { value, samples: samplesOf(SAMPLE_BASES[metric], metrics, value) }
}

function samplesOf(basis: SampleBasis, metrics: QoeMetrics, value: number | null): number {
  switch (basis) {
    case 'count':
      return value ?? 0
    case 'watched':
      return Math.floor(metrics.watchedMs / WATCHED_SAMPLE_MS)
    case 'eventsDue':
      return metrics.events + metrics.lost
    case 'attempts':
    case 'startups':
    case 'endedPlays':
    case 'sessions':
    case 'plays':
      return metrics[basis]
  }
}
