/**
 * A checkpoint: the object with its hash as it comes and with a right one, and what it holds down to
 * the state of the fold. Damage is told from what is sound, or refused by code.
 */
import { createHash } from 'node:crypto'
import { decodeCheckpoint, encodeCheckpointHeader } from '../../../processor/checkpoint-header.ts'
import { CHECKPOINT_FORMAT } from '../../../processor/checkpoint-migrations.ts'
import { processorErrors } from '../../../processor/errors.ts'
import {
  decodeCheckpointObject,
  encodeCheckpointObject,
} from '../../../shared/objects/checkpoint-object.ts'
import { objectErrors } from '../../../shared/objects/object-errors.ts'
import { assert } from '../../../shared/runtime/errors.ts'
import { codeOf, utf8, type FuzzTarget } from '../target.ts'

const HASH_BYTES = 32
/** What an input of 16 KiB may become at most when its pieces are unpacked. */
const UNPACKED_MAX_BYTES = 64 * 2 ** 20
const catalogue = { ...objectErrors.catalogue, ...processorErrors.catalogue }
const reach = { offset: 5, watermarkMs: 1_000 }

const content = Buffer.concat([
  encodeCheckpointHeader({
    format: CHECKPOINT_FORMAT,
    topicId: 'topic',
    topicEpoch: 0,
    view: 'v1',
    generation: 2,
    partition: 3,
    nextOffset: 7,
    owedOffset: 6,
    reached: { narrow: reach, wide: reach, session: reach },
  }),
  utf8('{"k":"fold","version":1,"nextOffset":7}\n'),
])
const object = await encodeCheckpointObject({ name: 'view/3', offset: 7, topicId: 'topic' }, [
  content,
  new Uint8Array(100_000),
])

export const checkpointTarget: FuzzTarget = {
  name: 'checkpoint',
  seeds: [object, content, object.subarray(0, -HASH_BYTES)],
  words: [
    'BHCP',
    '\0\u0001',
    '\0\0\0\u0010',
    '(/',
    '{"name":',
    '"offset":',
    '"format":',
    '{}',
    '[]',
  ],
  async judge(bytes) {
    const verdicts = [inner(bytes)]
    for (const whole of [bytes, hashed(bytes), hashed(bytes.subarray(0, -HASH_BYTES))])
      verdicts.push(await outer(whole))
    return verdicts.join(' ')
  },
}

async function outer(bytes: Uint8Array): Promise<string> {
  try {
    const found = await decodeCheckpointObject('checkpoints/x', bytes)
    if (found === undefined) return 'damaged'
    assert(found.bytes.length <= UNPACKED_MAX_BYTES, `${found.bytes.length} bytes unpacked`)
    return `sound, ${inner(found.bytes)}`
  } catch (error) {
    return codeOf(error, catalogue)
  }
}

function inner(bytes: Uint8Array): string {
  try {
    const { header, migrations } = decodeCheckpoint('checkpoints/x', bytes)
    return `${typeof header.generationStartMs} after ${migrations.length}`
  } catch (error) {
    return codeOf(error, catalogue)
  }
}

function hashed(bytes: Uint8Array): Uint8Array {
  return Buffer.concat([bytes, createHash('sha256').update(bytes).digest()])
}
