/**
 * A raw file without the records that are forgotten: the same range under the next generation of its
 * name. A forgotten record keeps its line, its offset and its time, so that offsets stay dense and
 * watermarks can be computed again; every other line keeps its bytes.
 */
import type { Erasures } from '../../shared/objects/erasures.ts'
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import { batchErrors } from '../errors.ts'
import { RawFile } from '../raw-file.ts'
import { encodeErasedLine } from '../raw-line.ts'
import { keptLine, type ParsedLine, parseRawLine, rawLines } from '../raw-reader.ts'
import { createOnce, readObject, sha256Of } from '../run-objects.ts'
import type { ErasedFile, PlannedFile } from './erasure-objects.ts'

const SUFFIX = /(?:-g(\d+))?\.ndjson\.zst$/

/** The name of the content that follows this one. */
export function nextGenerationName(name: string): string {
  return name.replace(
    SUFFIX,
    (_, generation?: string) => `-g${Number(generation ?? 0) + 1}.ndjson.zst`,
  )
}

export interface RewriteRequest {
  readonly file: PlannedFile
  readonly erasures: Erasures
  readonly pseudonyms: readonly string[]
}

/** Writes the new content, unless an earlier try has; the old one stays for now. */
export async function rewriteFile(
  objects: ObjectStore,
  request: RewriteRequest,
): Promise<ErasedFile> {
  const { name, sha256 } = request.file
  const replacedBy = nextGenerationName(name)
  const old = await objects.read(name)
  // The old content is deleted only after the new is in the ledger.
  const bytes =
    old === undefined
      ? await readObject(objects, replacedBy)
      : await contentWithout(request, assertIntact(request.file, old.bytes))
  if (old !== undefined) await createOnce(objects, replacedBy, bytes)
  return {
    name,
    sha256,
    replacedBy,
    replacedBySha256: sha256Of(bytes),
    bytes: bytes.length,
    erasedRecords: await countErased(replacedBy, bytes),
  }
}

function assertIntact({ name, sha256 }: PlannedFile, bytes: Uint8Array): Uint8Array {
  const found = sha256Of(bytes)
  if (found !== sha256)
    throw batchErrors.create('BATCH_RAW_FILE_DAMAGED', {
      expected: `${name} with SHA-256 ${sha256}`,
      received: `${bytes.length} bytes with ${found}`,
    })
  return bytes
}

async function contentWithout(request: RewriteRequest, old: Uint8Array): Promise<Uint8Array> {
  const { file } = request
  const raw = new RawFile(file.first, 0, Number.MAX_SAFE_INTEGER)
  try {
    for await (const line of rawLines(file.name, old)) {
      const parsed = parseRawLine(file.name, line)
      const place = { offset: parsed.offset, loggedAtMs: parsed.loggedAt }
      const kept = isForgotten(parsed, request)
        ? encodeErasedLine(place, parsed.loggedBefore)
        : keptLine(line)
      await raw.add(place, kept)
    }
    return (await raw.end()).bytes
  } finally {
    raw.abandon()
  }
}

function isForgotten(line: ParsedLine, { erasures, pseudonyms }: RewriteRequest): boolean {
  const { key, loggedAt: atMs, value, original } = line
  const { session, sessionId } = (value ?? {}) as {
    readonly session?: { readonly sessionId?: string; readonly viewerPseudonym?: string }
    readonly sessionId?: string
  }
  const ids = [key ?? undefined, session?.sessionId, sessionId]
  if (ids.some((id) => erasures.covers({ sessionId: id, atMs }))) return true
  if (erasures.covers({ viewerPseudonym: session?.viewerPseudonym, atMs })) return true
  // A record that cannot be read may still name the viewer.
  if (original === undefined) return false
  const bytes = Buffer.from(original, 'base64')
  return pseudonyms.some(
    (pseudonym) =>
      bytes.includes(pseudonym) && erasures.covers({ viewerPseudonym: pseudonym, atMs }),
  )
}

async function countErased(name: string, bytes: Uint8Array): Promise<number> {
  let erased = 0
  for await (const line of rawLines(name, bytes))
    if (parseRawLine(name, line).erased === true) erased += 1
  return erased
}
