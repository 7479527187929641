/** A joined file in the making: the lines of its parts, byte for byte. */
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import { readArchived } from '../raw-archive.ts'
import { RawFile } from '../raw-file.ts'
import { keptLine, parseRawLine, rawLines } from '../raw-reader.ts'
import { createOnce } from '../run-objects.ts'
import type { Joined } from './ledger.ts'
import type { Join } from './plan.ts'

/** One part and, twice, the joined file are in memory. */
export async function writeJoined(objects: ObjectStore, join: Join): Promise<Joined> {
  const raw = new RawFile(join.parts[0]?.first ?? 0, 0, Number.MAX_SAFE_INTEGER)
  try {
    for (const part of join.parts)
      for await (const line of rawLines(part.file, await readArchived(objects, part))) {
        const { offset, loggedAt: loggedAtMs } = parseRawLine(part.file, line)
        await raw.add({ offset, loggedAtMs }, keptLine(line))
      }
    const { bytes, sha256 } = await raw.end()
    await createOnce(objects, join.name, bytes)
    return { ...join, bytes: bytes.length, sha256 }
  } finally {
    raw.abandon()
  }
}
