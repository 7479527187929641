/** A record of `playback.exceptions`: an event that the fold did not apply as the batch will. */
import { z } from 'zod'
import { parseJsonBytes } from '../events/json-text.ts'
import { eventVariants, seqSchema, sessionIdSchema } from '../events/schema.ts'
import type { FoldException } from '../speed/rows.ts'

const position = z.int().min(0)
const exceptionSchema = z.object({
  sessionId: sessionIdSchema,
  seq: seqSchema,
  partition: position,
  offset: position,
  reason: z.enum(['late', 'amended', 'afterClose', 'capped']),
  type: z.enum(['rejected', ...eventVariants.map(({ shape }) => shape.type.value)]),
  /** Absent in records of before it was known. */
  forgotten: z.boolean().default(false),
})

/** The record's value: one line of JSON. */
export function encodeException(exception: FoldException): Uint8Array {
  const { sessionId, seq, partition, offset, reason, type, forgotten } = exception
  const line = { sessionId, seq, partition, offset, reason, type, forgotten }
  return new TextEncoder().encode(JSON.stringify(line))
}

/** Reads back what `encodeException` wrote; `undefined` when it is not such a record. */
export function decodeException(value: Uint8Array): FoldException | undefined {
  const parsed = parseJsonBytes(value)
  if ('problem' in parsed) return undefined
  const verdict = exceptionSchema.safeParse(parsed.value)
  return verdict.success ? verdict.data : undefined
}
