/** What serving reports of playback itself, as far as those on call for the system want to see it. */
import type { Gauge } from 'prom-client'
import type { QoeMetrics } from '../shared/qoe/metrics.ts'
import { createMetrics, defineMetrics, type TelemetryBase } from '../shared/runtime/telemetry.ts'
import type { ReconcileSummary } from '../shared/warehouse/reconcile-summary.ts'

const byCdn = ['cdn'] as const

export const playbackMetrics = defineMetrics({
  narrowAsOf: {
    kind: 'gauge',
    name: 'serving_narrow_as_of_ms',
    help: 'Watermark up to which the rows of narrow cuts can be read, epoch ms; alert when it stands still.',
  },
  attempts: {
    kind: 'gauge',
    name: 'serving_playback_attempts',
    help: 'Attempts to play in the newest whole minute, by CDN; `all` is their sum. The definitions: docs/metrics-definitions.md.',
    labels: byCdn,
  },
  plays: {
    kind: 'gauge',
    name: 'serving_playback_plays',
    help: 'Plays that began in the newest whole minute.',
    labels: byCdn,
  },
  concurrentPlays: {
    kind: 'gauge',
    name: 'serving_playback_concurrent_plays',
    help: 'Most plays at once in the newest whole minute.',
    labels: byCdn,
  },
  startup: {
    kind: 'gauge',
    name: 'serving_playback_startup_ms',
    help: 'Time to the first frame of plays that began in the newest whole minute, by quantile.',
    labels: ['cdn', 'quantile'],
  },
  ebvs: {
    kind: 'gauge',
    name: 'serving_playback_ebvs_ratio',
    help: 'Exits before video start ÷ attempts of the newest whole minute.',
    labels: byCdn,
  },
  vsf: {
    kind: 'gauge',
    name: 'serving_playback_vsf_ratio',
    help: 'Video start failures ÷ attempts of the newest whole minute.',
    labels: byCdn,
  },
  vpf: {
    kind: 'gauge',
    name: 'serving_playback_vpf_ratio',
    help: 'Video playback failures ÷ ended plays of the newest whole minute.',
    labels: byCdn,
  },
  stalled: {
    kind: 'gauge',
    name: 'serving_playback_stalled_time_ratio',
    help: 'Time stalled ÷ time watched in the newest whole minute.',
    labels: byCdn,
  },
  bitrate: {
    kind: 'gauge',
    name: 'serving_playback_average_bitrate_kbps',
    help: 'Average bitrate played in the newest whole minute.',
    labels: byCdn,
  },
  lost: {
    kind: 'gauge',
    name: 'serving_playback_events_lost_ratio',
    help: 'Events that never came ÷ events sent, of sessions whose end falls in the newest whole minute.',
    labels: byCdn,
  },
  reconciledRows: {
    kind: 'gauge',
    name: 'serving_reconcile_rows',
    help: 'Rows of the last comparison of live and history, as its verdict in the object store says: equal, explained, erased, defect or pending.',
    labels: ['outcome'],
  },
  reconciledAt: {
    kind: 'gauge',
    name: 'serving_reconciled_at_ms',
    help: 'When live and history were last compared, epoch ms; 0 when they never were.',
  },
  failures: {
    kind: 'counter',
    name: 'serving_observation_failures_total',
    help: 'Times that playback, or the verdict of the last comparison, could not be read for these metrics.',
  },
})

/** What a ratio without a denominator is in Prometheus: no sample. */
const OF_QOE = {
  attempts: 'attempts',
  plays: 'plays',
  concurrentPlays: 'concurrentPlays',
  ebvs: 'ebvsRatio',
  vsf: 'vsfRatio',
  vpf: 'vpfRatio',
  stalled: 'stalledTimeRatio',
  bitrate: 'averageBitrateKbps',
  lost: 'eventsLostRatio',
} as const satisfies Partial<Record<keyof typeof playbackMetrics, keyof QoeMetrics>>

const QUANTILES = { '0.5': 'startupMsP50', '0.95': 'startupMsP95', '0.99': 'startupMsP99' } as const

export interface ObservedPlayback {
  readonly cdn: string
  readonly qoe: QoeMetrics
}

export type PlaybackTelemetry = ReturnType<typeof createPlaybackTelemetry>

export function createPlaybackTelemetry({ registry, log }: TelemetryBase) {
  const metrics = createMetrics(playbackMetrics, registry)
  return {
    narrowRead(asOfMs: number) {
      metrics.narrowAsOf.set(asOfMs)
    },
    /** What was seen of an earlier minute and is not any more goes. */
    observed(playback: readonly ObservedPlayback[]) {
      metrics.startup.reset()
      for (const key of Object.keys(OF_QOE) as (keyof typeof OF_QOE)[]) {
        metrics[key].reset()
        for (const { cdn, qoe } of playback) setKnown(metrics[key], { cdn }, qoe[OF_QOE[key]])
      }
      for (const { cdn, qoe } of playback)
        for (const [quantile, name] of Object.entries(QUANTILES))
          setKnown(metrics.startup, { cdn, quantile }, qoe[name])
    },
    reconciled(summary: ReconcileSummary) {
      const { compared, explained, erased, defects, pending, reconciledAtMs } = summary
      const rows = metrics.reconciledRows
      rows.set({ outcome: 'equal' }, compared - explained - erased - defects)
      rows.set({ outcome: 'explained' }, explained)
      rows.set({ outcome: 'erased' }, erased)
      rows.set({ outcome: 'defect' }, defects)
      rows.set({ outcome: 'pending' }, pending)
      metrics.reconciledAt.set(reconciledAtMs)
    },
    /** Logged once a row of failures. */
    observationFailed(facts: { readonly error: unknown; readonly isFirst: boolean }) {
      metrics.failures.inc()
      if (facts.isFirst) log.warn({ err: facts.error }, 'playback cannot be read for metrics')
    },
  }
}

function setKnown(gauge: Gauge, labels: Record<string, string>, value: number | null): void {
  if (value !== null) gauge.set(labels, value)
}
