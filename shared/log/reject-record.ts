/**
 * A record of `playback.rejects`: why something was refused, in clear, and its original bytes,
 * sealed because they may hold a raw viewer id.
 *
 *   {"stage":…,"code":…,"detail":…,"sessionId":…?,"seq":…?,"receivedAt":…,
 *    "source":{"partition":…,"offset":…}?,"cutFrom":…?,"sealed":"<base64>"}
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { z } from 'zod'
import { epochMsSchema, seqSchema, sessionIdSchema } from '../events/schema.ts'
import { defineErrors } from '../runtime/errors.ts'

export const rejectErrors = defineErrors({
  SEAL_KEY_INVALID: {
    rule: 'the sealing key must be 32 bytes',
    retryable: false,
    action: 'Correct BACKHAUL_SEAL_KEY, the base64 of 32 random bytes.',
  },
  SEAL_KEY_UNKNOWN: {
    rule: 'sealed bytes must be opened with the key that sealed them',
    retryable: false,
    action: 'Give the former key as BACKHAUL_SEAL_KEY to read older rejects.',
  },
  SEAL_DAMAGED: {
    rule: 'sealed bytes must be whole and unchanged',
    retryable: false,
    action: 'The bytes were changed after they were sealed; they cannot be recovered.',
  },
  REJECT_RECORD_INVALID: {
    rule: 'a record of the reject topic must be one that Backhaul wrote',
    retryable: false,
    action: 'Look for another producer on the topic playback.rejects.',
  },
})

export interface Sealer {
  /** `version | key id | IV | ciphertext | tag`. */
  seal(bytes: Uint8Array): Uint8Array
  /** Throws `SEAL_KEY_UNKNOWN` or `SEAL_DAMAGED`. */
  open(sealed: Uint8Array): Uint8Array
}

const SEAL_VERSION = 1
const KEY_BYTES = 32
const KEY_ID_BYTES = 4
const HEADER_BYTES = 1 + KEY_ID_BYTES
const IV_BYTES = 12
const TAG_BYTES = 16

/** AES-256-GCM with a random IV: good for some 2³² sealings under one key. */
export function createSealer(key: Uint8Array): Sealer {
  if (key.length !== KEY_BYTES)
    throw rejectErrors.create('SEAL_KEY_INVALID', {
      expected: `${KEY_BYTES} bytes`,
      received: `${key.length}`,
    })
  const secret = Uint8Array.from(key)
  const keyId = createHash('sha256').update(secret).digest().subarray(0, KEY_ID_BYTES)
  const header = Buffer.concat([Uint8Array.of(SEAL_VERSION), keyId])
  return {
    seal(bytes) {
      const iv = randomBytes(IV_BYTES)
      const cipher = createCipheriv('aes-256-gcm', secret, iv).setAAD(header)
      const ciphertext = [cipher.update(bytes), cipher.final()]
      return Buffer.concat([header, iv, ...ciphertext, cipher.getAuthTag()])
    },
    open(sealed) {
      if (sealed.length < HEADER_BYTES + IV_BYTES + TAG_BYTES || sealed[0] !== SEAL_VERSION)
        throw rejectErrors.create('SEAL_DAMAGED', { received: `${sealed.length} bytes` })
      if (!keyId.equals(sealed.subarray(1, HEADER_BYTES)))
        throw rejectErrors.create('SEAL_KEY_UNKNOWN', {
          expected: keyId.toString('hex'),
          received: Buffer.from(sealed.subarray(1, HEADER_BYTES)).toString('hex'),
        })
      const iv = sealed.subarray(HEADER_BYTES, HEADER_BYTES + IV_BYTES)
      const tagStart = sealed.length - TAG_BYTES
      const decipher = createDecipheriv('aes-256-gcm', secret, iv, { authTagLength: TAG_BYTES })
        .setAAD(header)
        .setAuthTag(sealed.subarray(tagStart))
      try {
        const text = decipher.update(sealed.subarray(HEADER_BYTES + IV_BYTES, tagStart))
        return Buffer.concat([text, decipher.final()])
      } catch (cause) {
        throw rejectErrors.create('SEAL_DAMAGED', { cause })
      }
    },
  }
}

export interface RejectRecord {
  /** Who refused: the frame protocol, the processor, or the CMCD endpoint. */
  readonly stage: 'gateway' | 'processor' | 'cmcd'
  readonly code: string
  readonly detail: string
  readonly sessionId?: string | undefined
  readonly seq?: number | undefined
  /** Gateway clock at arrival, epoch ms. */
  readonly receivedAtMs: number
  /** Where a poison record stands in `playback.events`. */
  readonly source?: { readonly partition: number; readonly offset: number } | undefined
  /** Length of the original when `sealed` is only its beginning: the topic did not take all of it. */
  readonly cutFromBytes?: number | undefined
  /** The original bytes under `Sealer.seal`. */
  readonly sealed: Uint8Array
}

/** The record's value: one line of JSON. */
export function encodeReject(reject: RejectRecord): Uint8Array {
  const { stage, code, detail, sessionId, seq, receivedAtMs, source, cutFromBytes, sealed } = reject
  const line = {
    stage,
    code,
    detail,
    sessionId,
    seq,
    receivedAt: receivedAtMs,
    source,
    cutFrom: cutFromBytes,
    sealed: Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength).toString('base64'),
  }
  return new TextEncoder().encode(JSON.stringify(line))
}

const position = z.int().min(0)
const rejectLineSchema = z.object({
  stage: z.enum(['gateway', 'processor', 'cmcd']),
  code: z.string().min(1),
  detail: z.string(),
  sessionId: sessionIdSchema.optional(),
  seq: seqSchema.optional(),
  receivedAt: epochMsSchema,
  source: z.object({ partition: position, offset: position }).optional(),
  cutFrom: position.optional(),
  sealed: z.base64(),
})

/** Reads back what `encodeReject` wrote; throws `REJECT_RECORD_INVALID`. */
export function decodeReject(value: Uint8Array): RejectRecord {
  let line: z.infer<typeof rejectLineSchema>
  try {
    line = rejectLineSchema.parse(
      JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(value)),
    )
  } catch (cause) {
    throw rejectErrors.create('REJECT_RECORD_INVALID', { received: `${value.length} bytes`, cause })
  }
  const { receivedAt, cutFrom, sealed, ...rest } = line
  return {
    ...rest,
    receivedAtMs: receivedAt,
    cutFromBytes: cutFrom,
    sealed: Buffer.from(sealed, 'base64'),
  }
}
