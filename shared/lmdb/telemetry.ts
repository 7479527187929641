/**
 * What both embedded stores report about their commits: how full the folder and the write queue
 * are, and how writes fare. What stands now is asked of the store whenever metrics are read.
 */
import { collect, defineMetrics, type MetricsOf } from '../runtime/telemetry.ts'

/** How a store stands at this moment. */
export interface CommitStanding {
  readonly usedBytes: number
  readonly budgetBytes: number
  readonly queuedWrites: number
  readonly queuedBytes: number
}

export interface CommitTelemetry {
  /** From now on, metrics read what `standing` answers. */
  standingIsRead(standing: () => CommitStanding): void
  committed(done: { readonly bytes: number; readonly durationMs: number }): void
  /** Nothing of the commit is in the store; its writes failed with this code. */
  commitFailed(code: string): void
  /** One write was refused before it was part of a commit. */
  writeRefused(code: string): void
}

export interface StoreWords {
  /** Prefix of the metrics' names. */
  readonly service: string
  /** The store, as sentences name it. */
  readonly store: string
  /** What sets the byte budget. */
  readonly budgetSetting: string
  readonly queueMaxWrites: number
  readonly queueMaxBytes: number
}

export type CommitMetricTable = ReturnType<typeof commitMetrics>

export function commitMetrics(words: StoreWords) {
  const { service, store } = words
  return defineMetrics({
    usedBytes: {
      kind: 'gauge',
      name: `${service}_used_bytes`,
      help: `Bytes of the pages that the ${store} uses (limit: ${service}_budget_bytes).`,
    },
    budgetBytes: {
      kind: 'gauge',
      name: `${service}_budget_bytes`,
      help: `Bytes beyond which the ${store} refuses writes as full (${words.budgetSetting}).`,
    },
    queuedWrites: {
      kind: 'gauge',
      name: `${service}_queued_writes`,
      help: `Writes that wait for a commit of the ${store} (limit: ${words.queueMaxWrites}).`,
    },
    queuedBytes: {
      kind: 'gauge',
      name: `${service}_queued_bytes`,
      help: `Bytes of the writes that wait for a commit of the ${store} (limit: ${words.queueMaxBytes}).`,
    },
    refusedWrites: {
      kind: 'counter',
      name: `${service}_refused_writes_total`,
      help: `Writes that the ${store} refused before a commit: a full queue, a full store, closing.`,
      labels: ['code'],
    },
    commits: {
      kind: 'counter',
      name: `${service}_commits_total`,
      help: `Commits of the ${store} that are on disk.`,
    },
    committedBytes: {
      kind: 'counter',
      name: `${service}_committed_bytes_total`,
      help: `Bytes of the writes that the ${store} has on disk.`,
    },
    commitFailures: {
      kind: 'counter',
      name: `${service}_commit_failures_total`,
      help: `Commits of the ${store} that failed with all their writes.`,
      labels: ['code'],
    },
    commitDurationMs: {
      kind: 'histogram',
      name: `${service}_commit_duration_ms`,
      help: `Time of a commit of the ${store} until it is flushed to the disk.`,
    },
  })
}

export function commitEvents(metrics: MetricsOf<CommitMetricTable>): CommitTelemetry {
  return {
    standingIsRead(standing) {
      collect(metrics.usedBytes, (gauge) => gauge.set(standing().usedBytes))
      collect(metrics.budgetBytes, (gauge) => gauge.set(standing().budgetBytes))
      collect(metrics.queuedWrites, (gauge) => gauge.set(standing().queuedWrites))
      collect(metrics.queuedBytes, (gauge) => gauge.set(standing().queuedBytes))
    },
    committed({ bytes, durationMs }) {
      metrics.commits.inc()
      metrics.committedBytes.inc(bytes)
      metrics.commitDurationMs.observe(durationMs)
    },
    commitFailed(code) {
      metrics.commitFailures.inc({ code })
    },
    writeRefused(code) {
      metrics.refusedWrites.inc({ code })
    },
  }
}
