/**
 * A checkpoint's bytes: a 4-byte big-endian length, a header of that many bytes of JSON, then the
 * slices of the fold's snapshot. The hash over all of it is the checkpoint store's.
 */
import { z } from 'zod'
import { assert } from '../shared/runtime/errors.ts'
import {
  CHECKPOINT_FORMAT,
  CHECKPOINT_MIGRATIONS,
  migrateCheckpoint,
} from './checkpoint-migrations.ts'
import { processorErrors } from './errors.ts'
import { CHECKPOINT_HEADER_BYTES_MAX } from './limits.ts'

const LENGTH_BYTES = 4

const count = z.int().min(0)
const reachSchema = z.object({ offset: count, watermarkMs: z.int() })
const headerSchema = z.object({
  format: z.literal(CHECKPOINT_FORMAT),
  topicId: z.string(),
  topicEpoch: count,
  view: z.string(),
  generation: count,
  partition: count,
  /** The offset the checkpoint shows: every record below it is in it. */
  nextOffset: count,
  /** Outputs in it that came of records below this offset are the view's own to deliver. */
  owedOffset: count,
  /** How far the rows of each class were durable at the cut. */
  reached: z.object({ narrow: reachSchema, wide: reachSchema, session: reachSchema }),
  /** Append time of the generation's first record; absent before there is one. */
  generationStartMs: z.int().optional(),
})

export type CheckpointHeader = z.infer<typeof headerSchema>

export function encodeCheckpointHeader(header: CheckpointHeader): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(header))
  assert(json.length <= CHECKPOINT_HEADER_BYTES_MAX, `a header of ${json.length} bytes fits`)
  const bytes = new Uint8Array(LENGTH_BYTES + json.length)
  new DataView(bytes.buffer).setUint32(0, json.length)
  bytes.set(json, LENGTH_BYTES)
  return bytes
}

export interface DecodedCheckpoint {
  readonly header: CheckpointHeader
  readonly fold: Uint8Array
  /** Steps by which it was brought to the current format. */
  readonly migrations: readonly string[]
}

/**
 * Splits a checkpoint into its header and the fold's bytes, in the current format. Throws
 * `PROCESSOR_CHECKPOINT_NEWER` or `PROCESSOR_CHECKPOINT_INVALID`.
 */
export function decodeCheckpoint(name: string, bytes: Uint8Array): DecodedCheckpoint {
  const { value, end } = parseHeader(name, bytes)
  const ofFormat = z.looseObject({ format: count }).safeParse(value)
  const format = ofFormat.data?.format ?? 0
  if (format > CHECKPOINT_FORMAT)
    throw processorErrors.create('PROCESSOR_CHECKPOINT_NEWER', {
      expected: `${name} of format ${CHECKPOINT_FORMAT} or lower`,
      received: `format ${format}`,
    })
  if (ofFormat.data === undefined || format < OLDEST_FORMAT)
    throw invalid(name, 'to say its format')
  const found = { header: ofFormat.data, fold: bytes.subarray(end) }
  const { checkpoint, migrations } = migrateCheckpoint(found, format)
  const header = headerSchema.safeParse(checkpoint.header)
  if (!header.success)
    throw invalid(name, 'to have a valid header', header.error.issues[0]?.message)
  return { header: header.data, fold: checkpoint.fold, migrations }
}

const OLDEST_FORMAT = CHECKPOINT_MIGRATIONS[0]?.from ?? CHECKPOINT_FORMAT

function invalid(name: string, what: string, received = 'another') {
  const expected = `${name} ${what}`
  return processorErrors.create('PROCESSOR_CHECKPOINT_INVALID', { expected, received })
}

function parseHeader(name: string, bytes: Uint8Array): { value: unknown; end: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const length = bytes.length < LENGTH_BYTES ? 0 : view.getUint32(0)
  const end = LENGTH_BYTES + length
  try {
    if (length > CHECKPOINT_HEADER_BYTES_MAX || end > bytes.length) throw new Error('cut short')
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(LENGTH_BYTES, end))
    return { value: JSON.parse(text), end }
  } catch (cause) {
    throw processorErrors.create('PROCESSOR_CHECKPOINT_INVALID', {
      expected: `${name} to begin with a header`,
      received: `${bytes.length} bytes that do not`,
      cause,
    })
  }
}
