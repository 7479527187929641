/** Reads a file of content metadata: lines of JSON, a line a version (docs/content.md). */
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { BackhaulError } from '../runtime/errors.ts'
import { contentErrors } from './content-errors.ts'
import { inOrder, parseContentLine, type Content, type ContentVersion } from './content-record.ts'
import {
  CONTENT_FILE_MAX_BYTES,
  CONTENT_LINE_MAX_BYTES,
  CONTENT_PROBLEMS_LISTED_MAX,
  CONTENT_VERSIONS_MAX,
  CONTENTS_MAX,
} from './limits.ts'

export interface ContentProblem {
  /** From 1. */
  readonly line: number
  readonly error: BackhaulError
}

export interface ContentFile {
  readonly contents: readonly Content[]
  /** Contents that the file ends, and does not begin again. */
  readonly deleted: readonly string[]
  /** Lines that are not blank. */
  readonly lines: number
  readonly badLines: number
  /** The first of them. */
  readonly problems: readonly ContentProblem[]
}

/** What tells one state of a file from another without reading it. */
export async function fileSignature(path: string): Promise<string> {
  const { size, mtimeMs, ino } = await stat(path).catch((cause: unknown) => {
    throw unreadable(path, cause)
  })
  if (size > CONTENT_FILE_MAX_BYTES)
    throw refused(`at most ${CONTENT_FILE_MAX_BYTES} bytes`, `${size}`)
  return JSON.stringify([size, mtimeMs, ino])
}

/**
 * A line that is wrong is a problem of its own, and the lines beside it are taken. Throws
 * `CONTENT_FILE_UNREADABLE`, and `CONTENT_FILE_REFUSED` when no line is right or the file is too large.
 */
export async function readContentFile(path: string): Promise<ContentFile> {
  await fileSignature(path)
  const reading = new Reading()
  try {
    for await (const line of linesOf(createReadStream(path))) reading.take(line)
  } catch (cause) {
    throw unreadable(path, cause)
  }
  const file = reading.result()
  const [first] = file.problems
  if (file.lines === file.badLines)
    throw refused(
      'a line that is right',
      first === undefined ? 'an empty file' : `line ${first.line}: ${first.error.message}`,
    )
  return file
}

class Reading {
  /** Versions of each content that is named; none of one that is ended. */
  readonly #contents = new Map<string, ContentVersion[]>()
  readonly #problems: ContentProblem[] = []
  #line = 0
  #lines = 0
  #badLines = 0

  take(line: Uint8Array): void {
    this.#line += 1
    if (isBlank(line)) return
    this.#lines += 1
    const parsed = parseContentLine(line)
    if ('error' in parsed) return this.#refuse(parsed.error)
    const { contentId } = parsed
    if (!this.#contents.has(contentId) && this.#contents.size >= CONTENTS_MAX)
      return this.#refuse(
        contentErrors.create('CONTENT_TOO_MANY', {
          expected: `at most ${CONTENTS_MAX} contents`,
          received: 'one more',
        }),
      )
    if ('deleted' in parsed) {
      this.#contents.set(contentId, [])
      return
    }
    const versions = this.#contents.get(contentId) ?? []
    versions.push(parsed.version)
    this.#contents.set(
      contentId,
      versions.length > CONTENT_VERSIONS_MAX ? this.#shortened(versions) : versions,
    )
  }

  result(): ContentFile {
    const entries = [...this.#contents]
    return {
      contents: entries.flatMap(([contentId, versions]) =>
        versions.length === 0 ? [] : { contentId, versions: inOrder(versions) },
      ),
      deleted: entries.flatMap(([contentId, { length }]) => (length === 0 ? contentId : [])),
      lines: this.#lines,
      badLines: this.#badLines,
      problems: this.#problems,
    }
  }

  /** Two versions of one time are one. */
  #shortened(versions: readonly ContentVersion[]): ContentVersion[] {
    const ordered = inOrder(versions)
    if (ordered.length > CONTENT_VERSIONS_MAX)
      this.#refuse(
        contentErrors.create('CONTENT_TOO_MANY_VERSIONS', {
          expected: `at most ${CONTENT_VERSIONS_MAX}`,
          received: 'one more',
        }),
      )
    return ordered.slice(-CONTENT_VERSIONS_MAX)
  }

  #refuse(error: BackhaulError): void {
    this.#badLines += 1
    if (this.#problems.length < CONTENT_PROBLEMS_LISTED_MAX)
      this.#problems.push({ line: this.#line, error })
  }
}

/** Lines without their ends; of one that is too long, as much as shows that it is. */
async function* linesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<Uint8Array> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of chunks) {
    let from = 0
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      yield joined(rest, chunk.subarray(from, end))
      rest = Buffer.alloc(0)
      from = end + 1
    }
    rest = joined(rest, chunk.subarray(from)).subarray(0, CONTENT_LINE_MAX_BYTES + 1)
  }
  if (rest.length > 0) yield rest
}

const NEWLINE = 0x0a

function joined(rest: Buffer, more: Buffer): Buffer {
  return rest.length === 0 ? more : Buffer.concat([rest, more])
}

function isBlank(line: Uint8Array): boolean {
  return line.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d)
}

function unreadable(path: string, cause: unknown): BackhaulError {
  return contentErrors.create('CONTENT_FILE_UNREADABLE', {
    expected: 'a readable file',
    received: path,
    cause,
  })
}

function refused(expected: string, received: string): BackhaulError {
  return contentErrors.create('CONTENT_FILE_REFUSED', { expected, received })
}
