import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BackhaulError } from '../runtime/errors.ts'
import { createSealer, decodeReject, encodeReject, type RejectRecord } from './reject-record.ts'

const sealer = createSealer(new Uint8Array(32).fill(1))
const utf8 = (text: string) => new TextEncoder().encode(text)

function codeOf(action: () => unknown): string {
  try {
    action()
  } catch (error) {
    if (error instanceof BackhaulError) return error.code
    throw error
  }
  return 'none'
}

describe('sealed bytes', () => {
  it('open to what they were, whatever they were', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), (bytes) => {
        expect(Buffer.from(sealer.open(sealer.seal(bytes))).equals(bytes)).toBe(true)
      }),
    )
  })

  it('neither show what they hold nor that two are equal', () => {
    const bytes = utf8('{"viewerId":"ann@example.org"}')
    const [first, second] = [sealer.seal(bytes), sealer.seal(bytes)]
    expect(Buffer.from(first).includes('ann')).toBe(false)
    expect(Buffer.from(first).equals(second)).toBe(false)
  })

  it('do not open when any byte was changed or any is missing', () => {
    const sealed = Uint8Array.from(sealer.seal(utf8('text')))
    for (let at = 0; at < sealed.length; at += 1) {
      const changed = sealed.with(at, (sealed[at] ?? 0) ^ 1)
      const code = codeOf(() => sealer.open(changed))
      expect(code).toBe(at >= 1 && at <= 4 ? 'SEAL_KEY_UNKNOWN' : 'SEAL_DAMAGED')
      expect(codeOf(() => sealer.open(sealed.subarray(0, at)))).toBe('SEAL_DAMAGED')
    }
  })

  it('name the key that sealed them', () => {
    const other = createSealer(new Uint8Array(32).fill(2))
    expect(codeOf(() => other.open(sealer.seal(utf8('text'))))).toBe('SEAL_KEY_UNKNOWN')
  })

  it('need a key of 32 bytes', () => {
    expect(codeOf(() => createSealer(new Uint8Array(31)))).toBe('SEAL_KEY_INVALID')
  })

  it('stay openable when the caller wipes its copy of the key', () => {
    const key = new Uint8Array(32).fill(3)
    const own = createSealer(key)
    const sealed = own.seal(utf8('text'))
    key.fill(0)
    expect(Buffer.from(own.open(sealed)).toString()).toBe('text')
  })
})

describe('a reject record', () => {
  const reject: RejectRecord = {
    stage: 'gateway',
    code: 'EVENT_FIELD_INVALID',
    detail: 'events[3].at: expected number, received "x"',
    sessionId: 's-1',
    seq: 7,
    receivedAtMs: 1_000,
    source: { partition: 2, offset: 41 },
    sealed: sealer.seal(utf8('{}')),
  }

  it('is one line of JSON and reads back as it was', () => {
    const value = encodeReject(reject)
    expect(Buffer.from(value).includes('\n')).toBe(false)
    const decoded = decodeReject(value)
    expect(decoded).toEqual({ ...reject, sealed: Buffer.from(reject.sealed) })
    expect(Buffer.from(sealer.open(decoded.sealed)).toString()).toBe('{}')
  })

  it('says how long what it holds the beginning of was', () => {
    const decoded = decodeReject(encodeReject({ ...reject, cutFromBytes: 10_000_000 }))
    expect(decoded.cutFromBytes).toBe(10_000_000)
    expect(decodeReject(encodeReject(reject)).cutFromBytes).toBeUndefined()
  })

  it('leaves out what is not known', () => {
    const { sessionId: _session, seq: _seq, source: _source, ...rest } = reject
    const value = encodeReject({ ...rest, seq: undefined })
    expect(Object.keys(JSON.parse(Buffer.from(value).toString()) as object)).toEqual([
      'stage',
      'code',
      'detail',
      'receivedAt',
      'sealed',
    ])
    expect(decodeReject(value).seq).toBeUndefined()
  })

  it.each([
    ['nothing', ''],
    ['no JSON', 'x'],
    ['no object', '[]'],
    ['another stage', '{"stage":"x","code":"C","detail":"","receivedAt":1,"sealed":""}'],
    ['no base64', '{"stage":"cmcd","code":"C","detail":"","receivedAt":1,"sealed":"?"}'],
  ])('is not read from %s', (_name, text) => {
    expect(codeOf(() => decodeReject(utf8(text)))).toBe('REJECT_RECORD_INVALID')
  })
})
