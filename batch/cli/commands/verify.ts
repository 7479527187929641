/** `verify`: whether every raw file has the bytes that the ledger says. */
import { type FileFault, type LedgerEntry, readIfIntact, readLedger } from '../../raw-archive.ts'
import type { Warehouse } from '../../../shared/warehouse/warehouse.ts'
import { type Command, EXIT } from '../command.ts'

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
  summary: 'compare every raw file with the hash in the ledger',
  about: `Reads every raw file of the ledger and computes its SHA-256. Of a file whose content was
replaced (by an erasure or a compaction), the content that replaced it counts. Exits with 1 when a file is missing
or altered. Nothing is changed.`,
  examples: ['verify', 'verify --json'],
  options: {},
  positionals: [],
  async run({ stores, progress, signal }) {
    const objects = await stores.objects()
    const warehouse = await stores.warehouse()
    const checked = new Map<string, LedgerEntry>()
    let faults: Fault[] = []
    const check = async (entries: readonly LedgerEntry[]) => {
      for (const [index, entry] of entries.entries()) {
        signal.throwIfAborted()
        progress.show('files', index, entries.length)
        const found = await readIfIntact(objects, entry)
        checked.set(entry.file, entry)
        if (typeof found !== 'string') continue
        const { file, topic, partition, first, last } = entry
        faults.push({ file, fault: found, topic, partition, first, last })
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
    const bytes = [...checked.values()].reduce((sum, entry) => sum + entry.bytes, 0)
    return {
      exitCode: faults.length === 0 ? EXIT.done : EXIT.failed,
      json: { files: checked.size, bytes, faults },
      text: [
        ...faults.map(faultText),
        `${checked.size} files of ${bytes} bytes: ${faults.length === 0 ? 'all as in the ledger' : `${faults.length} missing or altered; restore them from a copy`}`,
      ].join('\n'),
    }
  },
}

async function presentFiles(warehouse: Warehouse): Promise<LedgerEntry[]> {
  const session = await warehouse.open()
  try {
    return await readLedger(session)
  } finally {
    await session.close()
  }
}

function faultText({ file, fault, topic, partition, first, last }: Fault): string {
  return `${fault}: ${file} (${topic}/${partition}, offsets ${first} to ${last})`
}
