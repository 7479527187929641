/** `verify`: whether every raw file has the bytes that the ledger says. */
import { type FileFault, readIfIntact, readLedger } from '../../raw-archive.ts'
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
replaced (by an erasure), the content that replaced it counts. Exits with 1 when a file is missing
or altered. Nothing is changed.`,
  examples: ['verify', 'verify --json'],
  options: {},
  positionals: [],
  async run({ stores, progress, signal }) {
    const objects = await stores.objects()
    const session = await (await stores.warehouse()).open()
    try {
      const entries = await readLedger(session)
      const faults: Fault[] = []
      for (const [index, entry] of entries.entries()) {
        signal.throwIfAborted()
        progress.show('files', index, entries.length)
        const found = await readIfIntact(objects, entry)
        if (typeof found !== 'string') continue
        const { file, topic, partition, first, last } = entry
        faults.push({ file, fault: found, topic, partition, first, last })
      }
      const bytes = entries.reduce((sum, entry) => sum + entry.bytes, 0)
      return {
        exitCode: faults.length === 0 ? EXIT.done : EXIT.failed,
        json: { files: entries.length, bytes, faults },
        text: [
          ...faults.map(faultText),
          `${entries.length} files of ${bytes} bytes: ${faults.length === 0 ? 'all as in the ledger' : `${faults.length} missing or altered; restore them from a copy`}`,
        ].join('\n'),
      }
    } finally {
      await session.close()
    }
  },
}

function faultText({ file, fault, topic, partition, first, last }: Fault): string {
  return `${fault}: ${file} (${topic}/${partition}, offsets ${first} to ${last})`
}
