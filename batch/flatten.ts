/**
 * The third step: Parquet files from the raw files of the manifest, each by itself. A raw file is
 * checked against its hash before a byte of it is used, and the rows made from it against the
 * manifest's counts before they count. The list of staging files is written last.
 */
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { ObjectStore } from '../shared/objects/object-store.ts'
import { BackhaulError } from '../shared/runtime/errors.ts'
import type { Cut } from './cut.ts'
import { batchErrors } from './errors.ts'
import type { FlattenDatabase } from './flatten-database.ts'
import { flattenPlan } from './flatten-sql.ts'
import type { Manifest, RawFileInfo } from './manifest.ts'
import { RUN_OBJECTS_PER_PAGE } from './limits.ts'
import { runFolder, stagingFileName, stagingListName } from './object-names.ts'
import type { RawCounts } from './raw-line.ts'
import { createOnce, jsonBytes, readJsonObject, readObject, sha256Of } from './run-objects.ts'
import { STAGING_KINDS, type StagingKind } from './staging.ts'
import type { BatchTelemetry } from './telemetry.ts'

export const stagingFileSchema = z.object({
  name: z.string(),
  kind: z.enum(STAGING_KINDS),
  /** Name of the raw file that it was made from. */
  rawFile: z.string(),
  rows: z.int().min(0),
  sizeBytes: z.int().min(0),
})
const stagingListSchema = z.object({
  format: z.literal(1),
  run: z.int().positive(),
  files: z.array(stagingFileSchema),
})

export type StagingFile = z.infer<typeof stagingFileSchema>

export interface FlattenContext {
  readonly objects: ObjectStore
  readonly telemetry: BatchTelemetry
  openDatabase(): Promise<FlattenDatabase>
  /** Throws when the run must not go on. */
  assertMayGoOn(): void
}

/**
 * Makes the staging files that neither this run before nor its shards (`made`) have made yet; resolves
 * with all of them.
 */
export async function flatten(
  context: FlattenContext,
  { cut, manifest, made }: RunToFlatten,
): Promise<readonly StagingFile[]> {
  const { objects } = context
  const { run } = manifest
  const earlier = await readStagingList(objects, run)
  if (earlier !== undefined) return earlier
  const nameOf = (kind: StagingKind, number: number) => stagingFileName(run, kind, number)
  const { outOfOrdernessMs } = cut
  const files = await flattenFiles(context, {
    raws: manifest.files,
    outOfOrdernessMs,
    made,
    nameOf,
  })
  await createOnce(objects, stagingListName(run), jsonBytes({ format: 1, run, files }))
  return files
}

interface RunToFlatten {
  readonly cut: Cut
  readonly manifest: Manifest
  readonly made: readonly StagingFile[]
}

export interface FilesToFlatten {
  readonly raws: readonly RawFileInfo[]
  readonly outOfOrdernessMs: number
  /** Staging files that are there already. */
  readonly made: readonly StagingFile[]
  /** Of the raw file that has this place among `raws`. */
  nameOf(kind: StagingKind, number: number): string
}

/** The staging files of the raw files, in their order; a database is opened when one is to be made. */
export async function flattenFiles(
  context: FlattenContext,
  { raws, outOfOrdernessMs, made, nameOf }: FilesToFlatten,
): Promise<StagingFile[]> {
  const { objects, assertMayGoOn } = context
  const files: StagingFile[] = []
  let database: FlattenDatabase | undefined
  try {
    for (const [number, raw] of raws.entries()) {
      assertMayGoOn()
      const found = made.filter(({ rawFile }) => rawFile === raw.name)
      if (found.length > 0) {
        files.push(...found)
        continue
      }
      database ??= await context.openDatabase()
      const file = {
        raw,
        bytes: await readRawFile(objects, raw),
        outOfOrdernessMs,
        counts: raw.counts,
        nameOf: (kind: StagingKind) => nameOf(kind, number),
      }
      files.push(...(await flattenFile(context, database, file)))
    }
    return files
  } finally {
    await database?.close()
  }
}

/**
 * Removes the Parquet files of a run that its list does not name: shards that were killed, or came too
 * late, have left them, and what no list names no erasure would find. Resolves with their names.
 */
export async function removeStrayFiles(
  objects: ObjectStore,
  run: number,
  listed: readonly StagingFile[],
): Promise<string[]> {
  const names = new Set(listed.map(({ name }) => name))
  const removed: string[] = []
  const folder = `${runFolder(run)}/`
  let startAfter = folder
  for (;;) {
    const page = await objects.list(folder, { startAfter, limit: RUN_OBJECTS_PER_PAGE })
    for (const { name } of page) {
      if (!name.endsWith('.parquet') || names.has(name)) continue
      await objects.delete(name)
      removed.push(name)
    }
    if (page.length < RUN_OBJECTS_PER_PAGE) return removed
    startAfter = page.at(-1)?.name ?? startAfter
  }
}

/** The same of a run whose list stands: what shards that came too late have left since. */
export async function removeLateFiles(objects: ObjectStore, run: number): Promise<void> {
  const listed = await readStagingList(objects, run)
  if (listed !== undefined) await removeStrayFiles(objects, run, listed)
}

/** The staging files of a run; `undefined` while they are not all there. */
export async function readStagingList(
  objects: ObjectStore,
  run: number,
): Promise<readonly StagingFile[] | undefined> {
  return (await readJsonObject(objects, stagingListName(run), stagingListSchema))?.files
}

export interface FileToFlatten {
  readonly raw: Pick<RawFileInfo, 'name' | 'topic' | 'partition'>
  /** Its content, found to be intact. */
  readonly bytes: Uint8Array
  readonly outOfOrdernessMs: number
  /** What must come of it; absent where nobody counted. */
  readonly counts?: RawCounts
  nameOf(kind: StagingKind): string
}

/** Makes the staging files of one raw file. */
export async function flattenFile(
  { objects, telemetry }: Pick<FlattenContext, 'objects' | 'telemetry'>,
  database: FlattenDatabase,
  file: FileToFlatten,
): Promise<StagingFile[]> {
  const path = join(database.folder, 'raw.ndjson.zst')
  const { raw, bytes, outOfOrdernessMs } = file
  const { topic, partition } = raw
  const plan = flattenPlan({ topic, partition, outOfOrdernessMs, path })
  const made: StagingFile[] = []
  try {
    await writeFile(path, bytes)
    await database.run(plan.read)
    for (const kind of STAGING_KINDS) {
      const select = plan.select[kind]
      if (select === undefined) continue
      const parquet = join(database.folder, `${kind}.parquet`)
      const rows = await database.writeParquet(select, parquet)
      refuseOtherCount(file, kind, rows)
      const content = await readFile(parquet)
      const name = file.nameOf(kind)
      await createOnce(objects, name, content)
      await rm(parquet)
      made.push({ name, kind, rawFile: raw.name, rows, sizeBytes: content.length })
      telemetry.fileFlattened(kind, rows, content.length)
    }
    return made
  } catch (error) {
    throw failureOf(error, raw.name)
  }
}

/** The raw file's bytes, as the manifest has them; a file that is cut or altered is refused. */
export async function readRawFile(objects: ObjectStore, raw: RawFileInfo): Promise<Uint8Array> {
  const bytes = await readObject(objects, raw.name)
  const found = sha256Of(bytes)
  if (found !== raw.sha256)
    throw batchErrors.create('BATCH_RAW_FILE_DAMAGED', {
      expected: `${raw.name} of ${raw.sizeBytes} bytes with SHA-256 ${raw.sha256}`,
      received: `${bytes.length} bytes with ${found}`,
    })
  return bytes
}

function refuseOtherCount({ raw, counts }: FileToFlatten, kind: StagingKind, rows: number): void {
  if (counts === undefined) return
  const expected = kind === 'events' ? counts.events + counts.rejectedSeqs : counts.rows
  if (rows !== expected)
    throw batchErrors.create('BATCH_FLATTEN_DIFFERS', {
      expected: `${expected} rows of ${kind} from ${raw.name}`,
      received: `${rows}`,
    })
}

/** That of whoever ends the work is none of the file. */
function isAbort(error: unknown): error is Error {
  return error instanceof Error && error.name === 'AbortError'
}

function failureOf(error: unknown, rawFile: string): Error {
  if (error instanceof BackhaulError || isAbort(error)) return error
  const received = error instanceof Error ? error.message : String(error)
  const isFull = /no space left|file too large|ENOSPC|EFBIG|EDQUOT/i.test(received)
  const code = isFull ? 'BATCH_DISK_FULL' : 'BATCH_FLATTEN_FAILED'
  return batchErrors.create(code, { expected: `Parquet of ${rawFile}`, received, cause: error })
}
