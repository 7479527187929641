import { describe, expect, it } from 'vitest'
import {
  decodeCheckpoint,
  encodeCheckpointHeader,
  type CheckpointHeader,
} from './checkpoint-header.ts'
import { CHECKPOINT_FORMAT, CHECKPOINT_MIGRATIONS } from './checkpoint-migrations.ts'
import { CHECKPOINT_HEADER_BYTES_MAX } from './limits.ts'

const reach = { offset: 5, watermarkMs: 1_000 }
const header: CheckpointHeader = {
  format: 2,
  topicId: 'topic-a',
  topicEpoch: 0,
  view: 'v1',
  generation: 2,
  partition: 3,
  nextOffset: 7,
  owedOffset: 6,
  reached: { narrow: reach, wide: reach, session: reach },
  generationStartMs: 900,
}

function withHeader(json: string, rest = ''): Uint8Array {
  const text = new TextEncoder().encode(json)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(text.length)
  return Buffer.concat([length, text, Buffer.from(rest)])
}

describe('a checkpoint’s header', () => {
  it('comes back as it was written, with the fold’s bytes behind it', () => {
    const bytes = Buffer.concat([encodeCheckpointHeader(header), Buffer.from('fold')])
    const decoded = decodeCheckpoint('c', bytes)
    expect(decoded.header).toEqual(header)
    expect(Buffer.from(decoded.fold).toString()).toBe('fold')
  })

  it('leaves the generation’s start out while there is none', () => {
    const early = { ...header, generationStartMs: undefined }
    const decoded = decodeCheckpoint('c', encodeCheckpointHeader(early))
    expect(decoded.header.generationStartMs).toBeUndefined()
  })

  it('of a newer format is refused as newer, whatever else is in it', () => {
    expect(() =>
      decodeCheckpoint('c', withHeader(`{"format":${CHECKPOINT_FORMAT + 1},"new":"field"}`)),
    ).toThrow('PROCESSOR_CHECKPOINT_NEWER')
  })

  it.each([
    ['no bytes', new Uint8Array(0)],
    ['a cut header', withHeader('{"format":1}').subarray(0, 8)],
    ['no JSON', withHeader('nothing')],
    ['bytes that are not UTF-8', Uint8Array.of(0, 0, 0, 1, 0xff)],
    ['a missing field', withHeader('{"format":1}')],
    ['no format', withHeader('{"topicId":"topic-a"}')],
    ['a format that never was', withHeader('{"format":0}')],
    ['a length beyond the bound', Uint8Array.of(0xff, 0xff, 0xff, 0xff)],
  ])('of %s is refused as invalid', (_, bytes) => {
    expect(() => decodeCheckpoint('c', bytes)).toThrow('PROCESSOR_CHECKPOINT_INVALID')
  })

  it('of each earlier format is read by the named steps to the current one', () => {
    const { format: _, owedOffset: __, ...first } = header
    const decoded = decodeCheckpoint(
      'c',
      withHeader(JSON.stringify({ format: 1, ...first }), 'fold'),
    )
    expect(decoded.header).toEqual({ ...header, owedOffset: header.nextOffset })
    expect(decoded.migrations).toEqual(['say which outputs the view owes'])
    expect(CHECKPOINT_MIGRATIONS.map(({ from }) => from)).toEqual(
      Array.from({ length: CHECKPOINT_FORMAT - 1 }, (__, index) => index + 1),
    )
  })

  it('may not be longer than its bound', () => {
    const long = { ...header, topicId: 'x'.repeat(CHECKPOINT_HEADER_BYTES_MAX) }
    expect(() => encodeCheckpointHeader(long)).toThrow('fits')
  })
})
