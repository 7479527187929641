/** Checkpoints, what a start finds, what is lost or cannot be read, and who owns a partition. */
import { defineMetrics, type Logger, type MetricsOf } from '../shared/runtime/telemetry.ts'

const partition = ['partition'] as const

export const recoveryMetrics = defineMetrics({
  poison: {
    kind: 'counter',
    name: 'processor_poison_records_total',
    help: 'Unreadable records, kept sealed in playback.rejects.',
    labels: partition,
  },
  poisonCut: {
    kind: 'counter',
    name: 'processor_poison_cut_total',
    help: 'Unreadable records of which playback.rejects took the beginning only; the whole is in playback.events.',
    labels: partition,
  },
  checkpointBytes: {
    kind: 'gauge',
    name: 'processor_checkpoint_bytes',
    help: 'Size of the last checkpoint.',
    labels: partition,
  },
  checkpointOffset: {
    kind: 'gauge',
    name: 'processor_checkpoint_offset',
    help: 'Offset that the last checkpoint shows.',
    labels: partition,
  },
  checkpointDurationMs: {
    kind: 'histogram',
    name: 'processor_checkpoint_duration_ms',
    help: 'Time from the cut of a checkpoint until it is durable.',
  },
  checkpointFailures: {
    kind: 'counter',
    name: 'processor_checkpoint_failures_total',
    help: 'Checkpoints that could not be saved and were left to the next interval.',
    labels: ['partition', 'code'],
  },
  checkpointsDamaged: {
    kind: 'counter',
    name: 'processor_checkpoints_damaged_total',
    help: 'Checkpoints found damaged at a start and passed over.',
    labels: partition,
  },
  rebuilds: {
    kind: 'counter',
    name: 'processor_rebuilds_total',
    help: 'Starts without a checkpoint: the partition is rebuilt under a new generation.',
    labels: partition,
  },
  generation: {
    kind: 'gauge',
    name: 'processor_generation',
    help: 'Generation of the partition’s rows.',
    labels: partition,
  },
  dataLossRecords: {
    kind: 'gauge',
    name: 'processor_data_loss_records',
    help: 'Records that expired before they were processed; alarm on anything above 0.',
    labels: partition,
  },
  ticksAppended: {
    kind: 'counter',
    name: 'processor_ticks_appended_total',
    help: 'Ticks appended to an idle partition.',
    labels: partition,
  },
  fenced: {
    kind: 'counter',
    name: 'processor_fenced_total',
    help: 'Times that this processor found itself replaced, dropped its state and joined again.',
  },
  leasesRefused: {
    kind: 'counter',
    name: 'processor_old_generation_refused_total',
    help: 'Commits and other work of an older group generation, refused before they were sent.',
    labels: partition,
  },
})

type Metrics = MetricsOf<typeof recoveryMetrics>

export function recoveryEvents(metrics: Metrics, log: Logger) {
  return {
    ...startEvents(metrics, log),
    ...groupEvents(metrics, log),
    poisonKept(of: number, found: { offset: number; reason: string; traceparent?: string }) {
      metrics.poison.inc({ partition: of })
      log.warn({ partition: of, ...found }, 'unreadable record kept in playback.rejects')
    },
    poisonCut(of: number, bytes: number) {
      metrics.poisonCut.inc({ partition: of })
      log.warn({ partition: of, bytes }, 'playback.rejects takes the beginning of the record only')
    },
    checkpointSaved(of: number, saved: { offset: number; bytes: number; durationMs: number }) {
      metrics.checkpointOffset.set({ partition: of }, saved.offset)
      metrics.checkpointBytes.set({ partition: of }, saved.bytes)
      metrics.checkpointDurationMs.observe(saved.durationMs)
      log.debug({ partition: of, ...saved }, 'checkpoint saved')
    },
    checkpointFailed(of: number, error: { code: string; message: string }) {
      metrics.checkpointFailures.inc({ partition: of, code: error.code })
      log.warn({ partition: of, err: error.message }, 'checkpoint not saved, the next one will be')
    },
    tickAppended(of: number) {
      metrics.ticksAppended.inc({ partition: of })
    },
  }
}

function startEvents(metrics: Metrics, log: Logger) {
  return {
    allCheckpointsDamaged(name: string, damaged: readonly string[]) {
      log.error({ checkpoint: name, damaged }, 'every checkpoint is damaged')
    },
    recovered(
      of: number,
      found: {
        offset: number
        generation: number
        damaged: readonly string[]
        migrations: readonly string[]
      },
    ) {
      const { migrations } = found
      if (migrations.length > 0)
        log.info({ partition: of, migrations }, 'checkpoint of an earlier format brought forward')
      metrics.generation.set({ partition: of }, found.generation)
      metrics.dataLossRecords.set({ partition: of }, 0)
      metrics.checkpointOffset.set({ partition: of }, found.offset)
      metrics.checkpointsDamaged.inc({ partition: of }, found.damaged.length)
      if (found.damaged.length > 0)
        log.error({ partition: of, damaged: found.damaged }, 'damaged checkpoints passed over')
    },
    rebuilding(of: number, generation: number) {
      metrics.rebuilds.inc({ partition: of })
      log.warn({ partition: of, generation }, 'no checkpoint: building from the earliest record')
    },
    dataLost(of: number, gap: { from: number; to: number }) {
      metrics.dataLossRecords.set({ partition: of }, gap.to - gap.from)
      log.fatal({ partition: of, ...gap }, 'records expired before they were processed')
    },
    taskFailed(of: number, error: { code: string; message: string; cause: unknown }) {
      log.error({ partition: of, code: error.code, err: error.cause }, error.message)
    },
  }
}

function groupEvents(metrics: Metrics, log: Logger) {
  return {
    fenced(partitions: readonly number[]) {
      metrics.fenced.inc()
      log.warn({ partitions }, 'replaced in the group: state dropped, joining again')
    },
    oldGenerationRefused(of: number, generation: number) {
      metrics.leasesRefused.inc({ partition: of })
      log.warn({ partition: of, generation }, 'work of an older group generation refused')
    },
    leaveFailed(error: { code: string; message: string }) {
      log.warn({ err: error.message }, 'could not leave the group')
    },
    joinFailed(error: { code: string; message: string }) {
      log.error({ err: error.message }, 'could not join the group, trying again')
    },
  }
}

export function forgetRecovery(metrics: Metrics, of: number): void {
  for (const gauge of [
    metrics.checkpointBytes,
    metrics.checkpointOffset,
    metrics.generation,
    metrics.dataLossRecords,
  ])
    gauge.remove({ partition: of })
}
