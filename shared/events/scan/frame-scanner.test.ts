/** The scanner and the parser are one: same verdicts, same details, same bytes, on any input. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { FrameOptions, FrameResult } from '../decoded-frame.ts'
import { decodeFrame } from '../frame.ts'
import { parseFrame } from '../frame-parse.ts'
import { DEFAULT_FRAME_LIMITS } from '../limits.ts'
import { frameText, mutated } from '../testing/frame-arbitrary.ts'
import { FUZZ_CORPUS } from '../testing/fuzz-corpus.ts'
import { createFrameScanner } from './frame-scanner.ts'

const utf8 = (text: string) => new TextEncoder().encode(text)
const OPTIONS: readonly FrameOptions[] = [true, false].map((numbered) => ({
  numbered,
  limits: { ...DEFAULT_FRAME_LIMITS, eventsMax: 5 },
}))

/** All that is told of a frame; bytes by where they lie in it. */
function told(result: FrameResult) {
  if (!result.ok) return result
  const { frame } = result
  const place = (bytes: Uint8Array) => [bytes.byteOffset, bytes.length]
  return {
    frameNumber: frame.frameNumber,
    sentAtMs: frame.sentAtMs,
    sessionId: frame.sessionId,
    context: JSON.stringify(frame.context),
    contextBytes: place(frame.contextBytes),
    acceptedCount: frame.acceptedCount,
    acceptedBytes: Buffer.from(frame.acceptedBytes).toString('latin1'),
    accepted: frame.accepted.map(({ bytes, ...event }) => ({ ...event, bytes: place(bytes) })),
    rejected: frame.rejected.map(({ bytes, ...event }) => ({ ...event, bytes: place(bytes) })),
  }
}

function expectSame(bytes: Uint8Array): void {
  for (const options of OPTIONS)
    expect(told(decodeFrame(bytes, options))).toStrictEqual(told(parseFrame(bytes, options)))
}

describe('a frame that is scanned', () => {
  it('is what the parser says it is, however it is written', () => {
    fc.assert(
      fc.property(frameText, (text) => expectSame(utf8(text))),
      { numRuns: 2_000 },
    )
  })

  it('is what the parser says it is, with bytes changed, put in or left out', () => {
    fc.assert(fc.property(mutated(frameText), expectSame), { numRuns: 2_000 })
  })

  it.each(FUZZ_CORPUS.map((text) => [text]))('is what the parser says it is: %s', (text) => {
    expectSame(utf8(text))
    const bytes = utf8(text)
    for (let end = 0; end < bytes.length; end += 1) expectSame(bytes.subarray(0, end))
    for (let at = 0; at < bytes.length; at += 1)
      for (const byte of [0x00, 0x20, 0x22, 0x2d, 0x30, 0x5c, 0x7d, 0x80, 0xed])
        expectSame(bytes.with(at, byte))
  })

  it('is what the parser says it is on any bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), expectSame), { numRuns: 300 })
  })
})

describe('the scanner', () => {
  const scanner = createFrameScanner()
  const numbered: FrameOptions = { numbered: true, limits: DEFAULT_FRAME_LIMITS }
  const frame = (events: string, session = '{"sessionId":"s"}') =>
    `{"v":1,"frame":0,"sentAt":5,"session":${session},"events":[${events}]}`
  const event = '{"seq":0,"type":"seekEnd","at":5}'
  const scan = (text: string, options = numbered) => scanner?.scan(utf8(text), options)

  it.each([
    ['a plain frame', frame(event)],
    [
      'blanks between tokens',
      ` {"v": 1,\n"frame":0 , "sentAt": 5, "session": { "sessionId": "s" },\t"events": [ ${event} , ${event} ] } `,
    ],
    [
      'members in another order',
      `{"events":[${event}],"session":{"sessionId":"s"},"sentAt":5,"frame":0,"v":1}`,
    ],
    [
      'text beyond ASCII',
      frame(
        '{"name":"é日🎬","seq":0,"at":5,"type":"custom"}',
        '{"contentTitle":"日","sessionId":"é"}',
      ),
    ],
    [
      'fields that nobody knows',
      frame('{"x":1.5,"seq":0,"y":"z","type":"seekEnd","z":null,"at":5}'),
    ],
    ['fractions', frame('{"seq":0,"type":"playbackRateUpdate","at":5,"playbackRate":1.25}')],
    ['a context with escapes', frame(event, String.raw`{"sessionId":"s","contentTitle":"\u00e9"}`)],
    [
      'an event with escapes',
      frame(String.raw`${event},{"seq":1,"type":"custom","at":5,"name":"\n"}`),
    ],
    ['an event that is wrong', frame(`${event},{"seq":-1},7`)],
  ])('takes %s', (_name, text) => {
    expect(scan(text)).toBeDefined()
  })

  it.each([
    ['a number with an exponent', frame(event).replace('"sentAt":5', '"sentAt":5e0')],
    ['a member it does not know', frame(event).replace('{"v":1', '{"x":1,"v":1')],
    ['a member that comes twice', frame(event).replace('"v":1', '"v":1,"v":1')],
    ['a name with an escape', frame(event).replace('"v"', String.raw`"\u0076"`)],
    ['a context that is wrong', frame(event, '{"sessionId":7}')],
    ['no event', frame('')],
    ['more unusual events than are worth it', frame(Array.from({ length: 40 }, () => '7').join())],
  ])('leaves %s to the parser', (_name, text) => {
    expect(scan(text)).toBeUndefined()
  })

  it('keeps to the limit of events', () => {
    const limits = { ...DEFAULT_FRAME_LIMITS, eventsMax: 2 }
    expect(scan(frame(`${event},${event}`), { numbered: true, limits })).toBeDefined()
    expect(scan(frame(`${event},${event},${event}`), { numbered: true, limits })).toBeUndefined()
  })

  it('lends the accepted events as one view where they stand together', () => {
    const bytes = utf8(frame(`${event},${event}`))
    const together = scanner?.scan(bytes, numbered)?.acceptedBytes
    expect(together?.buffer).toBe(bytes.buffer)
    expect(Buffer.from(together ?? []).toString()).toBe(`${event},${event}`)
    const apart = scan(frame(`${event},7,${event} ,${event}`))?.acceptedBytes
    expect(Buffer.from(apart ?? []).toString()).toBe(`${event},${event},${event}`)
  })
})
