/**
 * Raw files as the runs know them that wrote them. A file may have been replaced since: by one without
 * what is forgotten, or by one in which neighbours are joined, of several runs. What is whose then
 * stands in the rows of what was replaced.
 */
import type { ObjectStore } from '../shared/objects/object-store.ts'
import type { WarehouseSession } from '../shared/warehouse/warehouse.ts'
import { type LedgerEntry, readArchived, readWholeLedger } from './raw-archive.ts'
import { RawFile } from './raw-file.ts'
import { keptLine, parseRawLine, rawLines } from './raw-reader.ts'

/** A file that a run wrote. */
export interface RunFile {
  /** Its row in the ledger, which is out of force when the content was replaced. */
  readonly written: LedgerEntry
  /** The file that has its lines now. */
  readonly present: LedgerEntry
}

/** Every file of every run, ascending by topic, partition and offset. */
export async function readRunFiles(session: WarehouseSession): Promise<RunFile[]> {
  const entries = await readWholeLedger(session)
  const replaced = Map.groupBy(
    // Content that was replaced by the same under another name is what it was.
    entries.filter(({ sha256, supersededBy }) => supersededBy !== null && supersededBy !== sha256),
    (entry) => contentOf(entry, entry.supersededBy),
  )
  const writtenOf = (entry: LedgerEntry): LedgerEntry[] => {
    const before = replaced.get(contentOf(entry, entry.sha256)) ?? []
    return before.length === 0 ? [entry] : before.flatMap(writtenOf)
  }
  return entries
    .filter(({ supersededBy }) => supersededBy === null)
    .flatMap((present) => writtenOf(present).map((written) => ({ written, present })))
}

/** Equal content in two partitions is of different records. */
function contentOf({ topic, partition }: LedgerEntry, sha256: string | null): string {
  return `${topic}/${partition}/${sha256}`
}

/** What the run wrote, without what was forgotten since, as a raw file. */
export async function readRunFile(
  objects: ObjectStore,
  { written: { first, last }, present }: RunFile,
): Promise<Uint8Array> {
  const bytes = await readArchived(objects, present)
  return present.first === first && present.last === last
    ? bytes
    : linesOf(present.file, bytes, { first, last })
}

async function linesOf(
  name: string,
  bytes: Uint8Array,
  { first, last }: { readonly first: number; readonly last: number },
): Promise<Uint8Array> {
  const raw = new RawFile(first, 0, Number.MAX_SAFE_INTEGER)
  try {
    for await (const line of rawLines(name, bytes)) {
      const { offset, loggedAt: loggedAtMs } = parseRawLine(name, line)
      if (offset > last) break
      if (offset >= first) await raw.add({ offset, loggedAtMs }, keptLine(line))
    }
    return (await raw.end()).bytes
  } finally {
    raw.abandon()
  }
}
