/** Reads a raw file back: its lines one by one, and the records of the log that they stand for. */
import { Readable } from 'node:stream'
import { createZstdDecompress } from 'node:zlib'
import type { LogRecord } from '../shared/log/event-log.ts'
import { BackhaulError } from '../shared/runtime/errors.ts'
import { batchErrors } from './errors.ts'
import { RAW_LINE_BYTES_MAX } from './limits.ts'
import { NO_COUNTS, type RawLine } from './raw-line.ts'

/** What every line says, whatever topic it is of. */
export interface ParsedLine {
  readonly offset: number
  readonly loggedAt: number
  readonly loggedBefore: number | null
  readonly key: string | null
  readonly headers: Readonly<Record<string, string>>
  readonly value: unknown
  readonly original?: string
  readonly erased?: boolean
}

const LF = 0x0a
const LINE_END = Buffer.from('\n')
/** Stands before the value: of what is before it, only `headers` ends in a brace. */
const VALUE = Buffer.from('},"value":')
const TAIL_BYTES = '}'.length

/** The lines of a raw file, without their ends. Throws `BATCH_FLATTEN_FAILED` for other bytes. */
export async function* rawLines(name: string, bytes: Uint8Array): AsyncGenerator<Buffer> {
  let rest = Buffer.alloc(0)
  const decompressed = Readable.from([bytes]).pipe(createZstdDecompress())
  try {
    for await (const chunk of decompressed as AsyncIterable<Buffer>) {
      let text = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
      for (let end = text.indexOf(LF); end !== -1; end = text.indexOf(LF)) {
        yield text.subarray(0, end)
        text = text.subarray(end + 1)
      }
      if (text.length > RAW_LINE_BYTES_MAX) throw unreadable(name, `a line of ${text.length} bytes`)
      rest = Buffer.from(text)
    }
  } catch (error) {
    if (error instanceof BackhaulError) throw error
    throw unreadable(name, error instanceof Error ? error.message : String(error))
  }
  if (rest.length > 0) throw unreadable(name, 'a line without an end')
}

export function parseRawLine(name: string, line: Buffer): ParsedLine {
  try {
    return JSON.parse(line.toString()) as ParsedLine
  } catch {
    throw unreadable(name, `a line of ${line.length} bytes that is no JSON`)
  }
}

/** The line as it goes into another file: what it counts was counted when it was written. */
export function keptLine(line: Buffer): RawLine {
  return { bytes: Buffer.concat([line, LINE_END]), counts: NO_COUNTS }
}

/** The record as it stands in the log, to the byte. */
export function recordOfLine(name: string, partition: number, line: Buffer): LogRecord {
  const parsed = parseRawLine(name, line)
  const { offset, loggedAt: loggedAtMs, key, headers } = parsed
  const value = valueOf(parsed, line)
  return { partition, offset, loggedAtMs, key: key ?? undefined, headers, value }
}

function valueOf({ value, original }: ParsedLine, line: Buffer): Uint8Array {
  if (original !== undefined) return Buffer.from(original, 'base64')
  if (value === null) return new Uint8Array(0)
  const start = line.indexOf(VALUE) + VALUE.length
  return line.subarray(start, line.length - TAIL_BYTES)
}

function unreadable(name: string, received: string): BackhaulError {
  return batchErrors.create('BATCH_FLATTEN_FAILED', { expected: `lines of ${name}`, received })
}
