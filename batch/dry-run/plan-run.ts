/**
 * What a run would do, without doing it: nothing is written anywhere, no lease is taken, and no statement
 * is run that reads events. Of every range that it would take two records are read from the log, the first
 * and the last, which tell the days.
 */
import { isHeld } from '../../shared/objects/lease.ts'
import { allTables, tables } from '../../shared/warehouse/tables.ts'
import { optionalIntegerOf } from '../../shared/warehouse/row-values.ts'
import type {
  Warehouse,
  WarehouseEstimate,
  WarehouseSession,
  WarehouseUsage,
} from '../../shared/warehouse/warehouse.ts'
import { findCut } from '../begin-run.ts'
import { type Control, dateOf, readControl } from '../control.ts'
import { type AcceptedLoss, type Cut, newCut, type Problem, problemOf, type Range } from '../cut.ts'
import { batchErrors } from '../errors.ts'
import { dayBefore, oneRow } from '../facts.ts'
import { inParallel } from '../in-parallel.ts'
import type { Lag } from '../lag.ts'
import { RUN_OBJECTS_MAX } from '../limits.ts'
import { type Manifest, readManifest } from '../manifest.ts'
import { LEASE_NAME, runFolder } from '../object-names.ts'
import type { BatchParts } from '../run.ts'
import { nextRun } from '../unfinished-run.ts'
import { estimateRun } from './estimate-run.ts'

const HOUR_MS = 60 * 60_000

/** A range of a partition that the run would take, at most: it may end it by BATCH_RUN_BYTES_MAX. */
export interface PlannedRange extends Pick<Range, 'topic' | 'topicId' | 'partition' | 'first'> {
  /** Exclusive. */
  readonly end: number
  /** When the log appended its first and its last record, epoch ms. */
  readonly firstLoggedAtMs: number
  readonly lastLoggedAtMs: number
}

export interface RunPlan {
  readonly run: number
  /** Whether a run that was cut off is gone on with. */
  readonly isBegun: boolean
  /** Whether somebody has the lease at this moment, so that a run would be refused. */
  readonly isBusy: boolean
  readonly cutAtMs: number
  readonly records: number
  readonly ranges: readonly PlannedRange[]
  /** UTC days on which the records were appended, and the first one that loading searches. */
  readonly days: PlannedDays | undefined
  readonly objects: {
    /** Where all of the run's objects are but its raw files. */
    readonly folder: string
    /** How many of them are there. */
    readonly present: number
    /** A file for each hour of a partition of which a record is known, or as many as its manifest names. */
    readonly rawFilesAtLeast: number
  }
  readonly lag: Lag | undefined
  /** Partitions that it would leave out, and why. */
  readonly problems: readonly Problem[]
  /** What its statements would read; absent where nobody bills. */
  readonly estimate: WarehouseEstimate | undefined
  /** What those of the last completed run have read and were billed for. */
  readonly lastRun: WarehouseUsage | undefined
}

export interface PlannedDays {
  readonly first: string
  readonly last: string
  readonly searchedFrom: string
}

/** Throws what reading the stores throws. */
export async function planRun(
  parts: BatchParts,
  acceptLoss: readonly AcceptedLoss[] = [],
): Promise<RunPlan> {
  const { objects, clock, limits } = parts
  const { control, hasTables, lastRun } = await readAsIs(parts.warehouse)
  const begun = await findCut(parts, control)
  const run = await nextRun(objects, control)
  const { outOfOrdernessMs } = limits
  const cut = begun ?? (await newCut({ ...parts, acceptLoss, outOfOrdernessMs }, run, control))
  const manifest = await readManifest(objects, run)
  const { ranges, problems } =
    manifest === undefined ? await readRanges(parts, cut) : rangesOf(manifest)
  const days = daysOf(ranges, limits.maxAgeMs)
  const estimated = { control, cut, ranges, hasTables }
  return {
    run,
    isBegun: begun !== undefined,
    isBusy: await isHeld({ objects, clock }, LEASE_NAME),
    cutAtMs: cut.cutAtMs,
    records: ranges.reduce((sum, { first, end }) => sum + end - first, 0),
    ranges,
    days,
    objects: await objectsOf(parts, { run, manifest, ranges }),
    lag: cut.lag,
    problems,
    estimate: days && (await estimateRun(parts, estimated)),
    lastRun,
  }
}

interface AsIs {
  readonly control: Control
  /** Whether there are all that a run reads: the first run makes them. */
  readonly hasTables: boolean
  readonly lastRun: WarehouseUsage | undefined
}

async function readAsIs(warehouse: Warehouse): Promise<AsIs> {
  const session = await warehouse.open()
  try {
    const names = new Set(session.tables.map(({ name }) => name))
    const hasTables = allTables.every(({ name }) => names.has(name))
    const control = names.has(tables.batchRuns.name)
      ? await readControl(session)
      : { lastRun: 0, partitions: [] }
    const lastRun = control.lastRun === 0 ? undefined : await usageOf(session, control.lastRun)
    return { control, hasTables, lastRun }
  } finally {
    await session.close()
  }
}

async function usageOf(
  session: WarehouseSession,
  run: number,
): Promise<WarehouseUsage | undefined> {
  const sql = `SELECT MAX(warehouse_read_bytes) AS bytes_read, MAX(warehouse_billed_bytes) AS bytes_billed
    FROM ${tables.batchRuns.name}
    WHERE run = CAST(@run AS INT64)`
  const [row] = await session.query({ sql, parameters: { run } }, oneRow)
  const bytesRead = row && optionalIntegerOf(row, 'bytes_read')
  const bytesBilled = row && optionalIntegerOf(row, 'bytes_billed')
  if (bytesRead === undefined || bytesBilled === undefined) return undefined
  return { bytesRead, bytesBilled }
}

async function readRanges(
  parts: BatchParts,
  { ranges, leftOut }: Cut,
): Promise<Pick<RunPlan, 'ranges' | 'problems'>> {
  const read = await inParallel(ranges, parts.config.partitionsAtOnce, async (range) => {
    try {
      return await readEnds(parts, range)
    } catch (error) {
      return problemOf(range.topic, range.partition, error)
    }
  })
  return {
    ranges: read.flatMap((one) => ('code' in one ? [] : [one])),
    problems: [...leftOut, ...read.flatMap((one) => ('code' in one ? [one] : []))],
  }
}

/** Of a run whose raw files are there: the log may have forgotten the records. */
function rangesOf({ ranges, files, leftOut }: Manifest): Pick<RunPlan, 'ranges' | 'problems'> {
  const planned = ranges.map(({ topic, topicId, partition, first, end, loggedAtMaxMs }) => {
    const own = files.filter((file) => file.topic === topic && file.partition === partition)
    const firstLoggedAtMs = Math.min(...own.map(({ loggedAtMinMs }) => loggedAtMinMs))
    const lastLoggedAtMs = loggedAtMaxMs
    return { topic, topicId, partition, first, end, firstLoggedAtMs, lastLoggedAtMs }
  })
  return { ranges: planned, problems: leftOut }
}

async function readEnds(parts: BatchParts, range: Range): Promise<PlannedRange> {
  const { topic, topicId, partition, first, end } = range
  const firstLoggedAtMs = await loggedAtOf(parts, range, first)
  const lastLoggedAtMs = await loggedAtOf(parts, range, end - 1)
  return { topic, topicId, partition, first, end, firstLoggedAtMs, lastLoggedAtMs }
}

async function loggedAtOf(
  { log, config }: BatchParts,
  { topic, partition }: Range,
  offset: number,
): Promise<number> {
  const { records } = await log.read(topic, partition, {
    fromOffset: offset,
    maxRecords: 1,
    maxBytes: config.fetchBytesMax,
    waitMs: 0,
  })
  const [record] = records
  if (record !== undefined) return record.loggedAtMs
  throw batchErrors.create('BATCH_PARTITION_UNREADABLE', {
    expected: `the record of ${topic}/${partition} with the offset ${offset}`,
    received: 'none',
  })
}

function daysOf(ranges: readonly PlannedRange[], maxAgeMs: number): PlannedDays | undefined {
  if (ranges.length === 0) return undefined
  const first = dateOf(Math.min(...ranges.map(({ firstLoggedAtMs }) => firstLoggedAtMs)))
  const last = dateOf(Math.max(...ranges.map(({ lastLoggedAtMs }) => lastLoggedAtMs)))
  return { first, last, searchedFrom: dayBefore(first, maxAgeMs) }
}

async function objectsOf(
  { objects }: BatchParts,
  { run, manifest, ranges }: Pick<RunPlan, 'run' | 'ranges'> & { manifest: Manifest | undefined },
): Promise<RunPlan['objects']> {
  const folder = `${runFolder(run)}/`
  const present = await objects.list(folder, { limit: RUN_OBJECTS_MAX })
  const hours = ranges.map(({ firstLoggedAtMs, lastLoggedAtMs }) =>
    Math.floor(firstLoggedAtMs / HOUR_MS) === Math.floor(lastLoggedAtMs / HOUR_MS) ? 1 : 2,
  )
  const rawFilesAtLeast = manifest?.files.length ?? hours.reduce((sum, count) => sum + count, 0)
  return { folder, present: present.length, rawFilesAtLeast }
}
