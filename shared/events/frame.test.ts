import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { eventErrors } from './event-errors.ts'
import type { DecodedFrame, FrameOptions } from './decoded-frame.ts'
import { decodeFrame } from './frame.ts'
import { DEFAULT_FRAME_LIMITS, DETAIL_MAX_CHARS } from './limits.ts'
import { SEQ_MAX } from './schema.ts'

const NUMBERED: FrameOptions = { numbered: true, limits: DEFAULT_FRAME_LIMITS }
const PLAIN: FrameOptions = { numbered: false, limits: DEFAULT_FRAME_LIMITS }

const utf8 = (text: string) => new TextEncoder().encode(text)
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

const HEARTBEAT = '{"seq":41,"type":"heartbeat","at":1795217990000}'
const SESSION = '{"sessionId":"s-1","contentId":"movie-1"}'

interface Parts {
  v?: string
  frame?: string
  sentAt?: string
  session?: string
  events?: string
}

function frameText({
  v = '1',
  frame = '17',
  sentAt = '1795217996512',
  session = SESSION,
  events = `[${HEARTBEAT}]`,
}: Parts = {}): string {
  return `{"v":${v},"frame":${frame},"sentAt":${sentAt},"session":${session},"events":${events}}`
}

function accepted(text: string, options = NUMBERED): DecodedFrame {
  const result = decodeFrame(utf8(text), options)
  if (!result.ok) throw new Error(`refused: ${result.code} ${result.detail}`)
  return result.frame
}

function refused(bytes: Uint8Array | string, options = NUMBERED) {
  const result = decodeFrame(typeof bytes === 'string' ? utf8(bytes) : bytes, options)
  if (result.ok) throw new Error('accepted')
  return result
}

/** The verdict on one event: its rejection, or undefined when it is accepted. */
function rejectionOf(event: string) {
  const { rejected, accepted: kept } = accepted(frameText({ events: `[${HEARTBEAT},${event}]` }))
  expect(kept[0]?.seq).toBe(41)
  expect(rejected.map(({ bytes }) => textOf(bytes))).toEqual(rejected.map(() => event))
  return rejected[0]
}

describe('a valid frame', () => {
  it('comes back with its number, time, context and events as they were written', () => {
    const events = ` [ ${HEARTBEAT} ,\n{ "type":"custom","seq":42,"at":1,"name":"é🎬","x":{"y":[1]} } ]`
    const session = '{ "viewerId":"v", "sessionId":"s-1","unknown":1 }'
    const frame = accepted(frameText({ events, session }))
    expect(frame).toMatchObject({ frameNumber: 17, sentAtMs: 1_795_217_996_512, rejected: [] })
    expect(frame.context).toEqual({ sessionId: 's-1', viewerId: 'v' })
    expect(textOf(frame.contextBytes)).toBe(session)
    expect(frame.accepted.map((event) => ({ ...event, bytes: textOf(event.bytes) }))).toEqual([
      { seq: 41, type: 'heartbeat', bytes: HEARTBEAT },
      {
        seq: 42,
        type: 'custom',
        bytes: '{ "type":"custom","seq":42,"at":1,"name":"é🎬","x":{"y":[1]} }',
      },
    ])
  })

  it('lends views of the frame, no copies', () => {
    const bytes = utf8(frameText())
    const result = decodeFrame(bytes, NUMBERED)
    if (!result.ok) throw new Error('refused')
    expect(result.frame.contextBytes.buffer).toBe(bytes.buffer)
    expect(result.frame.accepted[0]?.bytes.buffer).toBe(bytes.buffer)
  })

  it('has no number over HTTP, where one that is sent is ignored', () => {
    expect(accepted(frameText({ frame: '"x"' }), PLAIN).frameNumber).toBeUndefined()
  })

  it('may name its members twice: the last counts, as for JSON.parse', () => {
    const text = `{"session":{"sessionId":"no"},"events":[],${frameText({ frame: '1' }).slice(1)}`
    const frame = accepted(`${text.slice(0, -1)},"fr\\u0061me":2}`)
    expect(frame.frameNumber).toBe(2)
    expect(frame.context.sessionId).toBe('s-1')
    expect(textOf(frame.contextBytes)).toBe(SESSION)
    expect(frame.accepted).toHaveLength(1)
  })

  it('keeps a seq that comes twice twice: what repeats is for the fold to say', () => {
    const frame = accepted(frameText({ events: `[${HEARTBEAT},${HEARTBEAT}]` }))
    expect(frame.accepted.map((event) => event.seq)).toEqual([41, 41])
  })

  it('may hold as many events as the limit says, and no more', () => {
    const limits = { ...DEFAULT_FRAME_LIMITS, eventsMax: 3 }
    const of = (count: number) =>
      frameText({ events: `[${Array.from({ length: count }, () => HEARTBEAT).join()}]` })
    expect(accepted(of(3), { numbered: true, limits }).accepted).toHaveLength(3)
    expect(refused(of(4), { numbered: true, limits })).toMatchObject({
      code: 'FRAME_TOO_MANY_EVENTS',
      frameNumber: 17,
      detail: 'events: expected at most 3, received 4',
    })
  })
})

describe('a frame that cannot be read', () => {
  it.each([
    ['nothing', ''],
    ['a cut frame', frameText().slice(0, -1)],
    ['two frames', frameText() + frameText()],
    ['a lone word', 'hello'],
    ['a trailing comma', '{"v":1,}'],
    ['a comment', '{"v":1}//'],
    ['NaN', frameText({ sentAt: 'NaN' })],
    ['a raw line break in a string', frameText({ session: '{"sessionId":"a\nb"}' })],
    ['a byte order mark', `\uFEFF${frameText()}`],
  ])('is refused when it is %s', (_name, text) => {
    expect(refused(text)).toMatchObject({ code: 'FRAME_NOT_JSON', frameNumber: undefined })
  })

  it.each([
    ['an overlong slash', [0xc0, 0xaf]],
    ['a surrogate in UTF-8', [0xed, 0xa0, 0x80]],
    ['a continuation alone', [0x80]],
    ['a cut sequence', [0xe2, 0x82]],
    ['UTF-16', [0xff, 0xfe]],
  ])('is refused when a string holds %s', (_name, wrong) => {
    const [head = '', tail = ''] = frameText({ session: '{"sessionId":"?"}' }).split('?')
    const bytes = Uint8Array.from([...utf8(head), ...wrong, ...utf8(tail)])
    expect(refused(bytes)).toMatchObject({
      code: 'FRAME_NOT_JSON',
      detail: 'expected UTF-8, received other bytes',
    })
  })

  it('shows none of its text, which may name a viewer', () => {
    const text = frameText({ session: '{"sessionId":"s","viewerId":"ann@example.org"x}' })
    const { detail } = refused(text)
    expect(detail).toMatch(
      /^expected JSON, received text that breaks off or is wrong at character \d+$/,
    )
  })

  it('is refused for its depth before anything is parsed', () => {
    const deep = '['.repeat(262_144)
    expect(refused(deep)).toMatchObject({ code: 'FRAME_TOO_DEEP' })
    expect(refused(frameText({ session: `${'{"a":'.repeat(16)}1${'}'.repeat(16)}` })).code).toBe(
      'FRAME_TOO_DEEP',
    )
    const nested = `${'['.repeat(13)}${']'.repeat(13)}`
    const event = (extra: string) => `[{"seq":1,"type":"seekEnd","at":1,"x":${extra}}]`
    expect(accepted(frameText({ events: event(nested) })).accepted).toHaveLength(1)
    expect(refused(frameText({ events: event(`[${nested}]`) })).code).toBe('FRAME_TOO_DEEP')
  })

  it.each([
    ['[]', 'an empty array'],
    ['[1]', 'an array'],
    ['null', 'null'],
    ['"x"', 'a string of 1 characters'],
    ['7', 'a number'],
    ['true', 'a boolean'],
  ])('is refused when it is %s instead of an object', (text, kind) => {
    expect(refused(text)).toMatchObject({
      code: 'FRAME_NOT_OBJECT',
      detail: `expected an object, received ${kind}`,
    })
  })
})

describe('a frame whose members are wrong', () => {
  it.each<[Parts, string, number | undefined, string]>([
    [{ v: '2' }, 'FRAME_VERSION_UNSUPPORTED', 17, 'v: expected 1, received 2'],
    [{ v: '"1"' }, 'FRAME_VERSION_UNSUPPORTED', 17, 'v: expected 1, received "1"'],
    [{ v: '9', frame: '-1' }, 'FRAME_VERSION_UNSUPPORTED', undefined, 'v: expected 1, received 9'],
    [
      { frame: '-1' },
      'FRAME_NUMBER_INVALID',
      undefined,
      'frame: expected a whole number from 0, received -1',
    ],
    [
      { frame: '1e999' },
      'FRAME_NUMBER_INVALID',
      undefined,
      'frame: expected a whole number from 0, received Infinity',
    ],
    [
      { frame: '"17"' },
      'FRAME_NUMBER_INVALID',
      undefined,
      'frame: expected a whole number from 0, received "17"',
    ],
    [
      { sentAt: '1.5' },
      'FRAME_SENT_AT_INVALID',
      17,
      'sentAt: expected epoch milliseconds, received 1.5',
    ],
    [
      { sentAt: '9e15' },
      'FRAME_SENT_AT_INVALID',
      17,
      'sentAt: expected epoch milliseconds, received 9000000000000000',
    ],
    [
      { events: '{}' },
      'FRAME_EVENTS_INVALID',
      17,
      'events: expected an array of at least one event, received an object',
    ],
    [
      { events: '[]' },
      'FRAME_EVENTS_INVALID',
      17,
      'events: expected an array of at least one event, received an empty array',
    ],
    [
      { session: '{}' },
      'CONTEXT_INVALID',
      17,
      'session.sessionId: expected string, received nothing',
    ],
    [{ session: '[]' }, 'CONTEXT_INVALID', 17, 'session: expected object, received an empty array'],
    [
      { session: '"ann@example.org"' },
      'CONTEXT_INVALID',
      17,
      'session: expected object, received a string of 15 characters',
    ],
    [
      { session: `{"sessionId":"${'x'.repeat(65)}"}` },
      'CONTEXT_INVALID',
      17,
      'session.sessionId: expected a length of at most 64, received a string of 65 characters',
    ],
    [
      { session: '{"sessionId":"s","device":{"type":5}}' },
      'CONTEXT_INVALID',
      17,
      'session.device.type: expected string, received 5',
    ],
    [
      { session: '{"sessionId":"s","country":"de"}' },
      'CONTEXT_INVALID',
      17,
      'session.country: expected text like /^[A-Z]{2}$/, received "de"',
    ],
    [
      { session: '{"sessionId":"s","streamType":"VOD"}' },
      'CONTEXT_INVALID',
      17,
      'session.streamType: expected one of "vod", "live", "lowLatencyLive", received "VOD"',
    ],
    [
      { session: '{"sessionId":"s\\ud800"}' },
      'CONTEXT_INVALID',
      17,
      'session.sessionId: expected well-formed Unicode, received "s\\ud800"',
    ],
    [
      { session: '{"sessionId":"s","viewerId":12345678}' },
      'CONTEXT_INVALID',
      17,
      'session.viewerId: expected string, received a number',
    ],
    [
      {
        session: `{"sessionId":"s","labels":{${Array.from({ length: 9 }, (_, n) => `"${n}":"x"`).join()}}}`,
      },
      'CONTEXT_INVALID',
      17,
      'session.labels: expected at most 8 labels, received {"0":"x","1":"x","2":"x","3":"x","4":"x"…',
    ],
  ])('%j is refused as %s', (parts, code, frameNumber, detail) => {
    expect(refused(frameText(parts))).toEqual({ ok: false, code, frameNumber, detail })
  })

  it('is refused for the first member that is absent', () => {
    expect(refused('{}')).toMatchObject({ code: 'FRAME_VERSION_UNSUPPORTED' })
    expect(refused('{"v":1}')).toMatchObject({ code: 'FRAME_NUMBER_INVALID' })
    expect(refused('{"v":1,"frame":3}')).toMatchObject({
      code: 'FRAME_SENT_AT_INVALID',
      frameNumber: 3,
    })
    expect(refused('{"v":1,"frame":3,"sentAt":0}')).toMatchObject({ code: 'FRAME_EVENTS_INVALID' })
    expect(refused('{"v":1,"sentAt":0,"events":[1]}', PLAIN)).toMatchObject({
      code: 'CONTEXT_INVALID',
      frameNumber: undefined,
    })
  })

  it('does not read them from a prototype that it names', () => {
    const hostile = `{"__proto__":${frameText()}}`
    expect(refused(hostile).code).toBe('FRAME_VERSION_UNSUPPORTED')
    expect(({} as { v?: unknown }).v).toBeUndefined()
  })
})

describe('an event that breaks the schema', () => {
  it.each([
    [
      '"x"',
      'EVENT_NOT_OBJECT',
      undefined,
      'events[1]: expected an object, received a string of 1 characters',
    ],
    ['null', 'EVENT_NOT_OBJECT', undefined, 'events[1]: expected an object, received null'],
    ['[1]', 'EVENT_NOT_OBJECT', undefined, 'events[1]: expected an object, received an array'],
    [
      '{"seq":5,"type":"explode","at":1}',
      'EVENT_TYPE_UNKNOWN',
      5,
      'events[1].type: expected a known event type, received "explode"',
    ],
    [
      '{"seq":5,"type":"__proto__","at":1}',
      'EVENT_TYPE_UNKNOWN',
      5,
      'events[1].type: expected a known event type, received "__proto__"',
    ],
    [
      '{"seq":-1,"at":1}',
      'EVENT_TYPE_UNKNOWN',
      undefined,
      'events[1].type: expected a known event type, received nothing',
    ],
    [
      '{"__proto__":{"seq":5,"type":"seekEnd","at":1}}',
      'EVENT_TYPE_UNKNOWN',
      undefined,
      'events[1].type: expected a known event type, received nothing',
    ],
    [
      '{"type":"seekEnd","at":1}',
      'EVENT_SEQ_INVALID',
      undefined,
      'events[1].seq: expected number, received nothing',
    ],
    [
      `{"seq":${SEQ_MAX + 1},"type":"seekEnd","at":1}`,
      'EVENT_SEQ_INVALID',
      undefined,
      'events[1].seq: expected at most 1000000, received 1000001',
    ],
    [
      '{"seq":1e999,"type":"seekEnd","at":1}',
      'EVENT_SEQ_INVALID',
      undefined,
      'events[1].seq: expected number, received Infinity',
    ],
    [
      '{"seq":5,"type":"renditionUpdate","at":1,"videoBitrateKbps":"5000"}',
      'EVENT_FIELD_INVALID',
      5,
      'events[1].videoBitrateKbps: expected number, received "5000"',
    ],
    [
      '{"seq":5,"type":"renditionUpdate","at":1,"videoBitrateKbps":5000.5}',
      'EVENT_FIELD_INVALID',
      5,
      'events[1].videoBitrateKbps: expected int, received 5000.5',
    ],
    [
      '{"seq":5,"type":"playbackFail","at":1}',
      'EVENT_FIELD_INVALID',
      5,
      'events[1].code: expected string, received nothing',
    ],
    [
      '{"seq":5,"type":"seekEnd","at":-1}',
      'EVENT_FIELD_INVALID',
      5,
      'events[1].at: expected at least 0, received -1',
    ],
    [
      '{"seq":5,"type":"custom","at":1,"name":"\\ud800"}',
      'EVENT_FIELD_INVALID',
      5,
      'events[1].name: expected well-formed Unicode, received "\\ud800"',
    ],
    [
      '{"seq":5,"type":"seekEnd","at":1,"other":["\\udc00"]}',
      'EVENT_TEXT_INVALID',
      5,
      'events[1]: expected well-formed Unicode, received half a surrogate pair',
    ],
    [
      '{"seq":5,"type":"seekEnd","at":1,"s\\u0065q":6}',
      'EVENT_FIELD_REPEATED',
      6,
      'events[1]: expected each field once, received 4 fields with 3 names',
    ],
  ])('%s is rejected alone', (event, code, seq, detail) => {
    expect(rejectionOf(event)).toMatchObject({ code, seq, detail })
  })

  it('may hold unknown fields of any name and kind', () => {
    expect(
      rejectionOf('{"seq":5,"type":"seekEnd","at":1,"__proto__":{"x":1},"big":1e999,"a":{"b":[]}}'),
    ).toBeUndefined()
  })

  it('gives a seq of −0 as 0', () => {
    const frame = accepted(frameText({ events: '[{"seq":-0,"type":"seekEnd","at":1}]' }))
    expect(Object.is(frame.accepted[0]?.seq, 0)).toBe(true)
  })
})

describe('decodeFrame', () => {
  const valid = frameText({
    session: '{"sessionId":"s-1","labels":{"a":"ü"},"device":{"type":"tv"}}',
    events: `[${HEARTBEAT},{"seq":42,"type":"playbackFail","at":2,"code":"e\\"\\u00e9","message":"🎬"}]`,
  })

  function expectVerdict(bytes: Uint8Array): void {
    const result = decodeFrame(bytes, NUMBERED)
    const kept = result.ok ? result.frame.accepted : []
    for (const { bytes: event, seq } of kept)
      expect(JSON.parse(textOf(event))).toMatchObject({ seq })
    const contexts = result.ok ? [result.frame] : []
    for (const { context, contextBytes } of contexts)
      expect(JSON.parse(textOf(contextBytes))).toMatchObject({ sessionId: context.sessionId })
    for (const { code, detail } of result.ok ? result.frame.rejected : [result]) {
      expect(eventErrors.catalogue).toHaveProperty(code)
      expect(detail.length).toBeLessThanOrEqual(DETAIL_MAX_CHARS)
    }
  }

  it('has a verdict on any bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), expectVerdict), { numRuns: 300 })
  })

  it('has a verdict on any JSON', () => {
    fc.assert(
      fc.property(fc.json(), (text) => expectVerdict(utf8(text))),
      { numRuns: 300 },
    )
  })

  it('has a verdict on a valid frame with some bytes changed, added or cut', () => {
    const original = utf8(valid)
    const edits = fc.array(
      fc.record({
        at: fc.nat(original.length - 1),
        bytes: fc.oneof(
          fc.uint8Array({ maxLength: 4 }),
          fc.constantFrom('{', '}', '[', ']', '"', ',', ':', '\\', '1e999', '-', 'null').map(utf8),
        ),
        cut: fc.nat(6),
      }),
      { minLength: 1, maxLength: 3 },
    )
    fc.assert(
      fc.property(edits, (list) => {
        let bytes = [...original]
        for (const { at, bytes: inserted, cut } of list)
          bytes = [...bytes.slice(0, at), ...inserted, ...bytes.slice(at + cut)]
        expectVerdict(Uint8Array.from(bytes))
      }),
      { numRuns: 800 },
    )
  })

  it('has a verdict on a valid frame with members of any kind put in', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('v', 'frame', 'sentAt', 'session', 'events'),
        fc.json({ maxDepth: 4 }),
        fc.boolean(),
        (name, value, wrapped) => {
          const member = wrapped ? `[${HEARTBEAT},${value},${HEARTBEAT}]` : value
          expectVerdict(utf8(frameText({ [name]: member })))
        },
      ),
      { numRuns: 400 },
    )
  })
})
