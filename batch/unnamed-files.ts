/**
 * Files of runs that nothing names. A shard or a run that was cut off, and goes on when its run is over, writes
 * files once more that were left out, joined or erased since; no ledger and no list has them, so no erasure
 * would find what is in them. They are removed under the lease of the batch.
 *
 * Nothing is lost with a raw file that is removed: each of its records is in a file that the ledger has in
 * force and that is there, or the log still has it and the next run takes it. Nor does one go that is about to
 * come into force: files are listed first, then who may bring some of them into force is looked for (the plan of
 * a compaction, that of an erasure without a proof, the cut of a run without control rows: each stands from
 * before its files are written until the ledger has them), and the ledger is read last.
 */
import type { EventLog } from '../shared/log/event-log.ts'
import type { ObjectInfo, ObjectStore } from '../shared/objects/object-store.ts'
import type { Warehouse, WarehouseSession } from '../shared/warehouse/warehouse.ts'
import { isCompacting } from './compact/standing-plan.ts'
import { type Control, readControl } from './control.ts'
import { readCut } from './cut.ts'
import { unfinishedErasures } from './erase/unfinished-erasure.ts'
import { readStagingList, removeStrayFiles } from './flatten.ts'
import { RAW_OBJECTS_PER_PAGE, RUN_OBJECTS_PER_PAGE } from './limits.ts'
import { readManifest } from './manifest.ts'
import {
  type ParsedRawFile,
  parseRawFileName,
  rawTopicFolder,
  runOfName,
  RUNS_FOLDER,
} from './object-names.ts'
import { type LedgerEntry, readLedger } from './raw-archive.ts'
import { RAW_TOPICS, type RawTopic } from './raw-line.ts'
import { nextRun } from './unfinished-run.ts'

export interface UnnamedParts {
  readonly objects: ObjectStore
  readonly warehouse: Pick<Warehouse, 'open'>
  /** Absent where what only the log has is left alone. */
  readonly log?: Pick<EventLog, 'offsets'>
  /** Name of the plan of the erasure that asks, which may be without a proof. */
  readonly ownPlan?: string
  /** Throws when the work must not go on. */
  assertMayGoOn(): void
}

/** Resolves with the names of the raw files that were removed, of a day on or of all days. */
export async function removeUnnamedRawFiles(
  parts: UnnamedParts,
  fromDay: string | undefined,
): Promise<string[]> {
  const { objects, warehouse, assertMayGoOn } = parts
  const listed = await listRawFiles(objects, fromDay)
  if (await isUnderWay(parts)) return []
  const session = await warehouse.open()
  try {
    const judge = await judgeOf(parts, session, { listed, fromDay })
    const removed: string[] = []
    for (const file of listed) {
      if (!(await judge.isUnnamed(file))) continue
      assertMayGoOn()
      await objects.delete(file.info.name, file.info.generation)
      removed.push(file.info.name)
    }
    return removed
  } finally {
    await session.close()
  }
}

/** The same of the Parquet files of all runs that are over. */
export async function removeUnnamedStagingFiles({
  objects,
  warehouse,
  assertMayGoOn,
}: UnnamedParts): Promise<string[]> {
  const runs = await runsWithParquet(objects)
  const session = await warehouse.open()
  try {
    const next = await nextRun(objects, await readControl(session))
    const removed: string[] = []
    for (const run of runs) {
      if (run >= next) continue
      assertMayGoOn()
      // A run of which no partition could be read has none.
      const isSpent = (await readManifest(objects, run))?.ranges.length === 0
      const files = isSpent ? [] : await readStagingList(objects, run)
      if (files !== undefined) removed.push(...(await removeStrayFiles(objects, run, files)))
    }
    return removed
  } finally {
    await session.close()
  }
}

interface ListedFile extends ParsedRawFile {
  readonly info: ObjectInfo
}

async function listRawFiles(
  objects: ObjectStore,
  fromDay: string | undefined,
): Promise<ListedFile[]> {
  const listed: ListedFile[] = []
  for (const topic of RAW_TOPICS) {
    const prefix = rawTopicFolder(topic)
    for (let startAfter = fromName(topic, fromDay); ;) {
      const page = await objects.list(prefix, { startAfter, limit: RAW_OBJECTS_PER_PAGE })
      for (const info of page) {
        const parsed = parseRawFileName(info.name)
        if (parsed !== undefined) listed.push({ ...parsed, info })
      }
      if (page.length < RAW_OBJECTS_PER_PAGE) break
      startAfter = page.at(-1)?.name ?? startAfter
    }
  }
  return listed
}

function fromName(topic: RawTopic, fromDay: string | undefined): string {
  return `${rawTopicFolder(topic)}${fromDay === undefined ? '' : `dt=${fromDay}/`}`
}

/** Whether a compaction or an erasure stands between its files and the ledger. */
async function isUnderWay({ objects, ownPlan }: UnnamedParts): Promise<boolean> {
  if (await isCompacting(objects)) return true
  return (await unfinishedErasures(objects)).some(({ plan }) => plan !== ownPlan)
}

interface Listed {
  readonly listed: readonly ListedFile[]
  readonly fromDay: string | undefined
}

async function judgeOf(
  { objects, log }: UnnamedParts,
  session: WarehouseSession,
  { listed, fromDay }: Listed,
): Promise<Judge> {
  const control = await readControl(session)
  const cut = await readCut(objects, await nextRun(objects, control))
  const parameters = Object.fromEntries(
    RAW_TOPICS.flatMap((topic, index) => [
      [`topic_${index}`, topic],
      [`from_${index}`, fromName(topic, fromDay)],
    ]),
  )
  const ofTopics = RAW_TOPICS.map(
    (_, index) => `topic = @topic_${index} AND file >= @from_${index}`,
  )
  const ledger = await readLedger(session, { sql: `(${ofTopics.join(' OR ')})`, parameters })
  // While a run is half done, what the log has is not to be taken by the next one, but by this.
  return new Judge({ control, ledger, listed, log: cut === undefined ? log : undefined })
}

interface Known {
  readonly control: Control
  /** Files in force. */
  readonly ledger: readonly LedgerEntry[]
  readonly listed: readonly ListedFile[]
  readonly log: UnnamedParts['log'] | undefined
}

class Judge {
  readonly #known: Known
  readonly #inForce: ReadonlySet<string>
  /** Files in force that are there, by topic and partition, ascending. */
  readonly #present: ReadonlyMap<string, readonly LedgerEntry[]>

  constructor(known: Known) {
    this.#known = known
    const there = new Set(known.listed.map(({ info }) => info.name))
    const present = known.ledger.filter(({ file }) => there.has(file))
    this.#inForce = new Set(known.ledger.map(({ file }) => file))
    this.#present = Map.groupBy(present, placeOf)
  }

  async isUnnamed(file: ListedFile): Promise<boolean> {
    if (this.#inForce.has(file.info.name)) return false
    const missing = this.#firstMissing(file)
    return missing === undefined || (await this.#isTakenAgain(file, missing))
  }

  /** The first of its offsets that no file in force has. */
  #firstMissing(file: ListedFile): number | undefined {
    let next = file.first
    for (const { first, last } of this.#present.get(placeOf(file)) ?? [])
      if (first <= next && last >= next) next = last + 1
    return next > file.last ? undefined : next
  }

  /** Whether the next run takes the records from this one on. */
  async #isTakenAgain({ topic, partition, last }: ListedFile, from: number): Promise<boolean> {
    const { control, log } = this.#known
    if (log === undefined) return false
    const taken = control.partitions.find(
      (row) => row.topic === topic && row.logPartition === partition,
    )
    const { start, end } = await log.offsets(topic, partition)
    return from >= Math.max(start, taken?.nextOffset ?? start) && last < end
  }
}

function placeOf({ topic, partition }: Pick<ParsedRawFile, 'topic' | 'partition'>): string {
  return `${topic}/${partition}`
}

/** Numbers of the runs that have some, ascending. */
async function runsWithParquet(objects: ObjectStore): Promise<readonly number[]> {
  const runs = new Set<number>()
  for (let startAfter = RUNS_FOLDER; ;) {
    const page = await objects.list(RUNS_FOLDER, { startAfter, limit: RUN_OBJECTS_PER_PAGE })
    for (const { name } of page) if (name.endsWith('.parquet')) runs.add(runOfName(name))
    if (page.length < RUN_OBJECTS_PER_PAGE) return [...runs]
    startAfter = page.at(-1)?.name ?? startAfter
  }
}
