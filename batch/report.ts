/** What a run did, as an object beside its cut, for people and for the CLI. */
import type { ObjectStore } from '../shared/objects/object-store.ts'
import type { WarehouseUsage } from '../shared/warehouse/warehouse.ts'
import type { BatchConfig } from './config.ts'
import type { Cut, Problem } from './cut.ts'
import type { StagingFile } from './flatten.ts'
import type { Lag } from './lag.ts'
import type { Loaded } from './load.ts'
import type { Manifest } from './manifest.ts'
import { reportName } from './object-names.ts'
import type { QualityFlag } from './quality.ts'
import { addCounts, NO_COUNTS, RAW_TOPICS, type RawCounts, type RawTopic } from './raw-line.ts'
import { jsonBytes } from './run-objects.ts'
import { STAGING_KINDS, type StagingKind } from './staging.ts'

export interface RunReport {
  readonly run: number
  readonly cutAtMs: number
  readonly boundaryMs: number | undefined
  /** Whether a bound ended the run before the log's end. */
  readonly isCutShort: boolean
  /** How far the files were behind the log when the run took its cut. */
  readonly lag: Lag | undefined
  readonly topics: readonly TopicReport[]
  readonly stagingRows: Readonly<Record<string, number>>
  readonly stagingBytes: number
  /** What the warehouse has read and billed for this try of the run; absent where nobody bills. */
  readonly warehouse: WarehouseUsage | undefined
  /** Rows of `events` and `event_copies` that came of the run. */
  readonly events: number
  readonly copies: number
  /** Checks of data quality that were flagged. */
  readonly flags: readonly QualityFlag[]
  /** Partitions that were left out, and why. */
  readonly problems: readonly Problem[]
  /** Duration of each step, ms, in their order. */
  readonly stepsMs: Readonly<Record<string, number>>
}

export interface TopicReport {
  readonly topic: string
  readonly partitions: number
  readonly files: number
  readonly rawBytes: number
  readonly textBytes: number
  readonly counts: RawCounts
}

/** Writes the report over one that an interrupted try has left. */
export async function writeReport(objects: ObjectStore, report: RunReport): Promise<void> {
  const name = reportName(report.run)
  const earlier = await objects.stat(name)
  await objects.replace(name, jsonBytes(report), earlier?.generation ?? 0)
}

export interface DoneRun {
  readonly config: Pick<BatchConfig, 'runRecordsMax'>
  readonly cut: Cut
  readonly manifest: Manifest
  readonly staging: readonly StagingFile[]
  readonly loaded: Loaded
  readonly boundaryMs: number | undefined
  readonly usage: WarehouseUsage | undefined
  readonly flags: readonly QualityFlag[]
  readonly stepsMs: Readonly<Record<string, number>>
}

export function reportOf({ cut, manifest, staging, loaded, ...rest }: DoneRun): RunReport {
  const rowsOf = (kind: StagingKind) =>
    sum(staging.filter((file) => file.kind === kind).map(({ rows }) => rows))
  return {
    run: cut.run,
    cutAtMs: cut.cutAtMs,
    boundaryMs: rest.boundaryMs,
    isCutShort: isCutShort(cut, manifest, rest.config),
    lag: cut.lag,
    topics: RAW_TOPICS.map((topic) => topicReport(manifest, topic)),
    stagingRows: Object.fromEntries(STAGING_KINDS.map((kind) => [kind, rowsOf(kind)])),
    stagingBytes: sum(staging.map(({ sizeBytes }) => sizeBytes)),
    warehouse: rest.usage,
    events: sum(loaded.partitions.map(({ events }) => events)),
    copies: sum(loaded.partitions.map(({ copies }) => copies)),
    flags: rest.flags,
    problems: manifest.leftOut,
    stepsMs: { ...rest.stepsMs },
  }
}

function isCutShort(
  cut: Cut,
  manifest: Manifest,
  { runRecordsMax }: Pick<BatchConfig, 'runRecordsMax'>,
): boolean {
  return cut.ranges.some(({ topic, partition, first, end }) => {
    const taken = manifest.ranges.find(
      (range) => range.topic === topic && range.partition === partition,
    )
    // One that could not be read is left out: going on at once would not help it.
    return taken !== undefined && (taken.end < end || end - first >= runRecordsMax)
  })
}

function topicReport({ ranges, files }: Manifest, topic: RawTopic): TopicReport {
  const ofTopic = files.filter((file) => file.topic === topic)
  return {
    topic,
    partitions: ranges.filter((range) => range.topic === topic).length,
    files: ofTopic.length,
    rawBytes: sum(ofTopic.map(({ sizeBytes }) => sizeBytes)),
    textBytes: sum(ofTopic.map(({ textBytes }) => textBytes)),
    counts: ofTopic.map(({ counts }) => counts).reduce(addCounts, NO_COUNTS),
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
