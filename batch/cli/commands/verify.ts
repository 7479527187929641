/** `verify`: whether files and tables are what the runs left. */
import { isHeld } from '../../../shared/objects/lease.ts'
import type { ObjectStore } from '../../../shared/objects/object-store.ts'
import type { Warehouse } from '../../../shared/warehouse/warehouse.ts'
import { LEASE_NAME } from '../../object-names.ts'
import { type FileFault, type LedgerEntry, readIfIntact, readLedger } from '../../raw-archive.ts'
import type { RawCounts } from '../../raw-line.ts'
import {
  compareRows,
  countRecords,
  isWrittenAnew,
  rowsDifferenceError,
  type RowsDifference,
} from '../../table-rows.ts'
import { type Command, type CommandContext, EXIT } from '../command.ts'

interface Fault {
  readonly file: string
  readonly fault: FileFault
  readonly topic: string
  readonly partition: number
  readonly first: number
  readonly last: number
}

export const verify: Command = {
  name: 'verify',
  summary: 'compare every raw file with the hash in the ledger, and the tables with the files',
  about: `Reads every raw file of the ledger and computes its SHA-256. Of a file whose content was
replaced (by an erasure or a compaction), the content that replaced it counts. Then counts the rows of the tables by
partition: they must be as many as the files have. Exits with 1 when a file is missing or
altered, or rows are missing or too many. While a run, an erasure or a replay writes the tables they
are not counted. Nothing is changed.`,
  examples: ['verify', 'verify --json'],
  options: {},
  positionals: [],
  async run(context) {
    const objects = await context.stores.objects()
    const warehouse = await context.stores.warehouse()
    const { entries, faults, counted } = await checkFiles(context, { objects, warehouse })
    context.progress.show('tables')
    const differences = await checkTables(context, { objects, warehouse, entries, counted })
    const bytes = entries.reduce((sum, entry) => sum + entry.bytes, 0)
    const isRight = faults.length + (differences?.length ?? 0) === 0
    return {
      exitCode: isRight ? EXIT.done : EXIT.failed,
      json: {
        files: entries.length,
        bytes,
        faults,
        tables: { compared: differences !== undefined, differences: differences ?? [] },
      },
      text: [
        ...faults.map(faultText),
        `${entries.length} files of ${bytes} bytes: ${faults.length === 0 ? 'all as in the ledger' : `${faults.length} missing or altered; restore them from a copy`}`,
        ...tablesText(differences),
      ].join('\n'),
    }
  },
}

interface Opened {
  readonly objects: ObjectStore
  readonly warehouse: Warehouse
}

interface CheckedFiles {
  readonly entries: readonly LedgerEntry[]
  readonly faults: readonly Fault[]
  /** What is in files that were written anew: the manifest of a run does not say it. */
  readonly counted: ReadonlyMap<string, RawCounts>
}

async function checkFiles(
  { progress, signal }: CommandContext,
  { objects, warehouse }: Opened,
): Promise<CheckedFiles> {
  const checked = new Map<string, LedgerEntry>()
  const counted = new Map<string, RawCounts>()
  let faults: Fault[] = []
  const check = async (entries: readonly LedgerEntry[]) => {
    for (const [index, entry] of entries.entries()) {
      signal.throwIfAborted()
      progress.show('files', index, entries.length)
      const found = await readIfIntact(objects, entry)
      checked.set(entry.file, entry)
      const { file, topic, partition, first, last } = entry
      if (typeof found === 'string')
        faults.push({ file, fault: found, topic, partition, first, last })
      else if (isWrittenAnew(entry)) counted.set(file, await countRecords(entry, found))
    }
  }
  await check(await presentFiles(warehouse))
  if (faults.length > 0) {
    // What an erasure or a compaction has replaced meanwhile counts in its present content.
    const present = await presentFiles(warehouse)
    const names = new Set(present.map(({ file }) => file))
    for (const file of checked.keys()) if (!names.has(file)) checked.delete(file)
    faults = faults.filter(({ file }) => names.has(file))
    await check(present.filter(({ file }) => !checked.has(file)))
  }
  return { entries: [...checked.values()], faults, counted }
}

async function presentFiles(warehouse: Warehouse): Promise<LedgerEntry[]> {
  const session = await warehouse.open()
  try {
    return await readLedger(session)
  } finally {
    await session.close()
  }
}

interface Checked extends Opened, Pick<CheckedFiles, 'entries' | 'counted'> {}

/** `undefined` while somebody writes the tables, so that one may be ahead of another. */
async function checkTables(
  { clock }: CommandContext,
  { objects, warehouse, ...files }: Checked,
): Promise<readonly RowsDifference[] | undefined> {
  const isWritten = () => isHeld({ objects, clock }, LEASE_NAME)
  if (await isWritten()) return undefined
  const session = await warehouse.open()
  try {
    const differences = await compareRows({ session, objects, ...files })
    return (await isWritten()) ? undefined : differences
  } finally {
    await session.close()
  }
}

function tablesText(differences: readonly RowsDifference[] | undefined): string[] {
  if (differences === undefined)
    return ['tables: somebody is writing them, and they were not counted; verify again']
  if (differences.length === 0) return ['tables: as many rows as the files have']
  return differences.map((difference) => rowsDifferenceError(difference).message)
}

function faultText({ file, fault, topic, partition, first, last }: Fault): string {
  return `${fault}: ${file} (${topic}/${partition}, offsets ${first} to ${last})`
}
