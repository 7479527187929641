/**
 * The control rows: what each completed run took of each partition. They are the last thing that a
 * run writes into the warehouse, so a run without them is not over, and the next one begins where
 * they end.
 */
import { TOPICS } from '../shared/log/topics.ts'
import { paneLifeOf, type FoldLimits } from '../shared/qoe/fold.ts'
import { tables } from '../shared/warehouse/tables.ts'
import type { Row, WarehouseSession, WarehouseUsage } from '../shared/warehouse/warehouse.ts'
import type { Cut } from './cut.ts'
import type { StagingFile } from './flatten.ts'
import { insertValues, type ValueRow } from './insert-values.ts'
import type { PartitionRows } from './load.ts'
import type { Manifest, TakenRange } from './manifest.ts'
import { PARTITIONS_MAX, QUERY_TIMEOUT_MS } from './limits.ts'
import { RAW_TOPICS, type RawTopic } from './raw-line.ts'
import { readSql } from './read-sql.ts'

/** The last control row of a partition. */
export interface ControlRow {
  readonly topic: RawTopic
  readonly topicId: string
  readonly logPartition: number
  readonly nextOffset: number
  readonly watermarkMs: number
  /** Largest append time below `nextOffset`, epoch ms. */
  readonly lastLoggedAtMs: number
}

export interface Control {
  /** Number of the last completed run, 0 before the first. */
  readonly lastRun: number
  /** Every partition that was ever taken. */
  readonly partitions: readonly ControlRow[]
}

const CONTROL_ROWS = readSql('control-rows')

export async function readControl(session: WarehouseSession): Promise<Control> {
  const maxRows = RAW_TOPICS.length * PARTITIONS_MAX
  const rows = await session.query({ sql: CONTROL_ROWS }, { maxRows, timeoutMs: QUERY_TIMEOUT_MS })
  const partitions = rows.flatMap((row) => {
    const topic = RAW_TOPICS.find((known) => known === row['topic'])
    return topic === undefined ? [] : [controlRowOf(topic, row)]
  })
  return { lastRun: Math.max(0, ...rows.map((row) => Number(row['last_run']))), partitions }
}

/** Offsets and times are far below 2^53. */
function controlRowOf(topic: RawTopic, row: Row): ControlRow {
  return {
    topic,
    topicId: String(row['topic_id']),
    logPartition: Number(row['log_partition']),
    nextOffset: Number(row['next_offset']),
    watermarkMs: Number(row['watermark_ms']),
    lastLoggedAtMs: Number(row['last_logged_at_ms']),
  }
}

/** What a run has to say of the ranges it took. */
export interface ControlOfRun {
  readonly cut: Cut
  readonly manifest: Manifest
  readonly partitions: readonly PartitionRows[]
  readonly staging: readonly StagingFile[]
  readonly boundaryMs: number | undefined
  readonly usage: WarehouseUsage | undefined
  readonly endedAtMs: number
}

/** The run is over when this resolves. */
export async function writeControl(session: WarehouseSession, of: ControlOfRun): Promise<void> {
  const { run } = of.cut
  const rows = of.manifest.ranges.map((range) => controlValues(of, range))
  await insertValues(session, { table: tables.batchRuns, rows, jobId: `batch-${run}-control` })
}

function controlValues(of: ControlOfRun, range: TakenRange): ValueRow {
  const { cut, manifest, staging, partitions, boundaryMs, usage, endedAtMs } = of
  const { topic, topicId, partition, first, end, loggedAtMaxMs, watermarkMs } = range
  const files = manifest.files.filter(
    (file) => file.topic === topic && file.partition === partition,
  )
  const names = new Set(files.map(({ name }) => name))
  const staged = staging.filter(({ rawFile }) => names.has(rawFile))
  const rows =
    topic === TOPICS.events ? partitions.find((row) => row.partition === partition) : undefined
  return {
    run: cut.run,
    run_date: dateOf(cut.cutAtMs),
    topic,
    topic_id: topicId,
    log_partition: partition,
    first_offset: first,
    next_offset: end,
    watermark_ms: watermarkMs,
    last_logged_at_ms: loggedAtMaxMs,
    boundary_ms: boundaryMs,
    records: sum(files.map(({ counts }) => counts.records)),
    events: rows?.events ?? 0,
    copies: rows?.copies ?? 0,
    bytes: sum(files.map(({ sizeBytes }) => sizeBytes)),
    started_at: cut.cutAtMs,
    ended_at: endedAtMs,
    staging_bytes: sum(staged.map(({ sizeBytes }) => sizeBytes)),
    warehouse_read_bytes: usage?.bytesRead,
    warehouse_billed_bytes: usage?.bytesBilled,
  }
}

/** A partition's watermark at the cut. */
export interface PartitionWatermark {
  readonly partition: number
  readonly watermarkMs: number
}

/** Of every partition of `playback.events` that was ever taken, as of the run's cut, ascending. */
export function watermarksAtCut(control: Control, manifest: Manifest): PartitionWatermark[] {
  const watermarks = new Map<number, number>()
  for (const { topic, logPartition, watermarkMs } of control.partitions)
    if (topic === TOPICS.events) watermarks.set(logPartition, watermarkMs)
  for (const { topic, partition, watermarkMs } of manifest.ranges)
    if (topic === TOPICS.events) watermarks.set(partition, watermarkMs)
  return [...watermarks]
    .map(([partition, watermarkMs]) => ({ partition, watermarkMs }))
    .toSorted((a, b) => a.partition - b.partition)
}

/**
 * Up to here minutes are complete in the history: nothing can be added to them any more in any
 * partition. `undefined` while a partition was never taken.
 */
export function boundaryOf(
  watermarks: readonly PartitionWatermark[],
  partitions: number,
  limits: FoldLimits,
): number | undefined {
  if (watermarks.length < partitions) return undefined
  return Math.min(...watermarks.map(({ watermarkMs }) => watermarkMs)) - paneLifeOf(limits)
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

/** The UTC day of a moment. */
export function dateOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}
