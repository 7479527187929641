/** Settings of the batch. */
import { configErrors, defineConfig, setting, type ValuesOf } from '../shared/runtime/config.ts'
import { PARTITIONS_AT_ONCE_MAX, RUN_DATABASE_BYTES } from './limits.ts'
import { qualityThresholds } from './quality-checks.ts'

/** For whoever gives a run a process and has to say what that may take. */
export { BOUNDED_RUN_DATABASE_BESIDE_BYTES, RUN_PROCESS_BYTES } from './limits.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

export const batchConfig = defineConfig({
  prefix: 'BATCH',
  table: {
    runRecordsMax: setting.integer({
      default: 200_000,
      min: 1,
      max: 100_000_000,
      unit: 'records per partition and run',
      doc: 'Records that one run takes of a partition; the next run goes on from there.',
    }),
    runBytesMax: setting.integer({
      default: 64 * 2 ** 20,
      min: 2 ** 10,
      max: 2 ** 40,
      unit: 'bytes per partition and run',
      doc: 'Bytes of records that one run takes of a partition; one record always fits.',
    }),
    rawFileBytes: setting.integer({
      default: 64 * 2 ** 20,
      min: 2 ** 10,
      max: 2 ** 30,
      unit: 'bytes before compression',
      doc: 'A raw file is closed when it has reached this size, or when the hour is over.',
    }),
    compactFileBytes: setting.integer({
      default: 128 * 2 ** 20,
      min: 2 ** 10,
      max: 2 ** 28,
      unit: 'bytes, compressed',
      doc: 'Up to which size `batch compact` joins raw files; those of half of it stay as they are.',
    }),
    fetchRecordsMax: setting.integer({
      default: 2_000,
      min: 1,
      max: 100_000,
      unit: 'records',
      doc: 'Records of one read of the log.',
    }),
    fetchBytesMax: setting.integer({
      default: 4 * 2 ** 20,
      min: 2 ** 10,
      max: 2 ** 26,
      unit: 'bytes',
      doc: 'Bytes of one read of the log; one record always fits.',
    }),
    partitionsAtOnce: setting.integer({
      default: 1,
      min: 1,
      max: PARTITIONS_AT_ONCE_MAX,
      unit: 'partitions',
      doc: 'Partitions whose raw files are written at a time, each with one read of the log and twice a compressed file in memory. More than one where log and object store are across a network.',
    }),
    flattenMemoryBytes: setting.integer({
      default: RUN_DATABASE_BYTES,
      min: 256 * 2 ** 20,
      max: 2 ** 40,
      unit: 'bytes',
      doc: 'Memory of the database that turns raw files into Parquet; beyond, it uses the temporary folder.',
    }),
    flattenThreads: setting.integer({
      default: 1,
      min: 1,
      max: 256,
      unit: 'threads',
      doc: 'Threads of that database.',
    }),
    factBuckets: setting.integer({
      default: 16,
      min: 1,
      max: 256,
      unit: 'groups',
      doc: 'Into how many groups sessions are divided when their metrics are computed by this process: more take less memory and more time. On BigQuery all are one group.',
    }),
    lateAfterMs: setting.integer({
      default: 6 * HOUR_MS,
      min: 0,
      max: 7 * 24 * HOUR_MS,
      unit: 'ms',
      doc: 'How long copies wait in late_events before a run searches all days for earlier ones: the search reads as many days as the oldest of them is old, so it costs what many runs do.',
    }),
    qualityThresholds: setting.list({
      default: [],
      expected: 'comma-separated <check>=<rate from 0 to 1>',
      doc: 'Rates above which a check of data quality is flagged, where they are to differ from those in docs/analysts.md, such as duplicate=0.2,lost=0.05.',
    }),
    leaseMs: setting.integer({
      default: MINUTE_MS,
      min: 1_000,
      max: HOUR_MS,
      unit: 'ms',
      doc: 'How long a run that was killed keeps others from starting.',
    }),
  },
  check(values) {
    qualityThresholds(values.qualityThresholds)
    if (values.rawFileBytes > values.runBytesMax)
      throw configErrors.create('CONFIG_CONFLICT', {
        expected: `BATCH_RAW_FILE_BYTES of at most BATCH_RUN_BYTES_MAX = ${values.runBytesMax}`,
        received: `${values.rawFileBytes}`,
      })
  },
})

export type BatchConfig = ValuesOf<typeof batchConfig.table>
