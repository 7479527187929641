import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeCmcd } from './cmcd.ts'
import { eventErrors } from './event-errors.ts'
import { CMCD_QUEUE_DELAY_MAX_MS, CMCD_RECORDS_MAX, DETAIL_MAX_CHARS } from './limits.ts'
import { eventSchema, SEQ_MAX, sessionContextSchema } from './schema.ts'

const NOW_MS = 1_795_218_002_000
const SID = '5f0c1e52-6a0b-4c38-9a41-0b9b8a1f6d10'

const utf8 = (text: string) => new TextEncoder().encode(text)
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

interface PlainEvent {
  readonly seq: number
  readonly type: string
  readonly at: number
}

/** The body's frames and rejections, events parsed; each event is checked against the schema. */
function decode(body: string | Uint8Array, receivedAtMs = NOW_MS) {
  const { frames, rejected } = decodeCmcd(
    typeof body === 'string' ? utf8(body) : body,
    receivedAtMs,
  )
  return {
    frames: frames.map(({ context, sentAtMs, events }) => {
      expect(sessionContextSchema.parse(context)).toEqual(context)
      return {
        context,
        sentAtMs,
        events: events.map(({ seq, type, bytes }) => {
          const event = JSON.parse(textOf(bytes)) as PlainEvent
          expect(eventSchema.parse(event)).toMatchObject({ seq, type })
          return event
        }),
      }
    }),
    rejected: rejected.map(({ bytes, ...rest }) => ({ ...rest, text: textOf(bytes) })),
  }
}

/** The one event of a record with a valid identity and `more` keys. */
function eventOf(more: string): Record<string, unknown> {
  const { frames, rejected } = decode(`sid="s",sn=3,ts=${NOW_MS},${more}`)
  expect(rejected).toEqual([])
  const [frame] = frames
  const { seq, at, ...own } = frame?.events[0] ?? { seq: -1, at: -1 }
  expect([seq, at, frame?.events.length]).toEqual([3, NOW_MS, 1])
  return own
}

function contextOf(more: string) {
  const { sessionId, ...rest } = decode(`sid="s",sn=3,ts=1,e=t,${more}`).frames[0]?.context ?? {}
  expect(sessionId).toBe('s')
  return rest
}

/** Bodies as hls.js 1.7.4 sends them with a batch size of one: each record ends with a LF. */
const HLS_JS_BODIES = [
  `cid="movie-1",e=t,sf=h,sid="${SID}",sn=0,ts=1795217996512,v=2\n`,
  `cid="movie-1",e=ps,sf=h,sid="${SID}",sn=1,sta=d,ts=1795217996512,v=2\n`,
  `cid="movie-1",e=ps,sf=h,sid="${SID}",sn=2,sta=s,ts=1795217996517,v=2\n`,
  `cid="movie-1",e=pr,mtp=(5000),pr=1,sf=h,sid="${SID}",sn=3,st=v,sta=s,ts=1795217996597,v=2\n`,
  `br=(2500),cid="movie-1",e=bc,mtp=(5000),ot=v,sf=h,sid="${SID}",sn=4,st=v,sta=s,ts=1795217996597,v=2\n`,
  `bl=(4200),br=(2500),cid="movie-1",e=ps,msd=312,mtp=(8100),sf=h,sid="${SID}",sn=5,st=v,sta=p,ts=1795217996907,v=2\n`,
  `bl=(0),br=(2500),cid="movie-1",e=ps,mtp=(8100),sf=h,sid="${SID}",sn=6,st=v,sta=r,ts=1795218000907,v=2\n`,
  `bl=(0),br=(2500),cid="movie-1",e=ps,mtp=(8100),sf=h,sid="${SID}",sn=7,st=v,sta=p,ts=1795218001607,v=2\n`,
  `bl=(0),br=(5000;v 128;a),cid="movie-1",e=bc,mtp=(8100),pr=1.5,sf=h,sid="${SID}",sn=9,st=v,sta=p,ts=1795218001707,v=2\n`,
  `bl=(0),br=(2500),cen="chapter \\"2\\"",cid="movie-1",e=ce,sf=h,sid="${SID}",sn=11,st=v,sta=p,ts=1795218001707,v=2\n`,
  `bg,cid="movie-1",e=b,sf=h,sid="${SID}",sn=12,st=v,sta=p,ts=1795218001707,v=2\n`,
  `bg=?0,cid="movie-1",e=b,sf=h,sid="${SID}",sn=13,st=v,sta=p,ts=1795218001707,v=2\n`,
  `cid="movie-1",e=rr,rc=200,sf=h,sid="${SID}",sn=14,st=v,sta=p,ts=1795218001400,ttfb=19,ttlb=50,url="https://cdn.example/1.ts",v=2\n`,
  `cid="movie-1",e=ps,sf=h,sid="${SID}",sn=15,st=v,sta=k,ts=1795218001708,v=2\n`,
  `cid="movie-1",e=ps,sf=h,sid="${SID}",sn=16,st=v,sta=a,ts=1795218001709,v=2\n`,
  `cid="movie-1",e=ps,sf=h,sid="${SID}",sn=17,st=v,sta=e,ts=1795218001710,v=2\n`,
  `cid="movie-1",e=ps,sf=h,sid="${SID}",sn=18,st=v,sta=f,ts=1795218001711,v=2\n`,
  `cid="movie-1",e=e,ec=("bufferStalledError"),sf=h,sid="${SID}",sn=19,st=v,sta=f,ts=1795218001711,v=2\n`,
]

describe('records of hls.js', () => {
  it('become the events of its session', () => {
    const events = HLS_JS_BODIES.flatMap((body) => {
      const { frames, rejected } = decode(body)
      expect(rejected).toEqual([])
      return frames.flatMap((frame) => frame.events)
    })
    expect(events).toEqual([
      { seq: 0, type: 'heartbeat', at: 1795217996512 },
      { seq: 1, type: 'custom', at: 1795217996512, name: 'cmcd.sta.d' },
      { seq: 2, type: 'playbackRequest', at: 1795217996517 },
      { seq: 3, type: 'playbackRateUpdate', at: 1795217996597, playbackRate: 1 },
      {
        seq: 4,
        type: 'renditionUpdate',
        at: 1795217996597,
        videoBitrateKbps: 2500,
        audioBitrateKbps: 0,
      },
      { seq: 5, type: 'playbackStart', at: 1795217996907, startupMs: 312 },
      { seq: 6, type: 'playbackStall', at: 1795218000907, bufferMs: 0 },
      { seq: 7, type: 'playbackStart', at: 1795218001607 },
      {
        seq: 9,
        type: 'renditionUpdate',
        at: 1795218001707,
        videoBitrateKbps: 5000,
        audioBitrateKbps: 128,
      },
      { seq: 11, type: 'custom', at: 1795218001707, name: 'cmcd.ce', value: 'chapter "2"' },
      { seq: 12, type: 'custom', at: 1795218001707, name: 'cmcd.b', value: 'true' },
      { seq: 13, type: 'custom', at: 1795218001707, name: 'cmcd.b', value: 'false' },
      { seq: 14, type: 'custom', at: 1795218001400, name: 'cmcd.rr' },
      { seq: 15, type: 'seekStart', at: 1795218001708 },
      { seq: 16, type: 'playbackPause', at: 1795218001709 },
      { seq: 17, type: 'playbackFinish', at: 1795218001710 },
      { seq: 18, type: 'playbackFail', at: 1795218001711, code: 'CMCD_UNKNOWN' },
      { seq: 19, type: 'playbackFail', at: 1795218001711, code: 'bufferStalledError' },
    ])
  })

  it('carry their context, the stream type from where it is known', () => {
    const contexts = HLS_JS_BODIES.map((body) => decode(body).frames[0]?.context)
    const early = { sessionId: SID, contentId: 'movie-1', streamingFormat: 'hls' }
    expect(contexts[0]).toEqual(early)
    expect(contexts[3]).toEqual({ ...early, streamType: 'vod' })
  })

  it('make one frame for each context of a body, in the order of the body', () => {
    const { frames } = decode(HLS_JS_BODIES.slice(0, 8).join(''))
    expect(frames.map((frame) => frame.events.map(({ seq }) => seq))).toEqual([
      [0, 1, 2],
      [3, 4, 5, 6, 7],
    ])
  })

  it('may come again after newer ones: an equal sn is the same event, byte for byte', () => {
    const stall = HLS_JS_BODIES[6] ?? ''
    const again = decodeCmcd(utf8(`${HLS_JS_BODIES[7]}${stall}`), NOW_MS).frames[0]?.events
    const first = decodeCmcd(utf8(stall), NOW_MS - 500).frames[0]?.events[0]
    expect(again?.map(({ seq }) => seq)).toEqual([7, 6])
    expect(again?.[1]).toEqual(first)
  })
})

describe('an event', () => {
  it.each([
    ['e=ps,sta=s,pt=5', { type: 'playbackRequest', playheadMs: 5 }],
    ['e=ps,sta=p,pt=5,msd=7', { type: 'playbackStart', playheadMs: 5, startupMs: 7 }],
    ['e=ps,sta=k', { type: 'seekStart' }],
    ['e=ps,sta=r,bl=(900;v 300;a)', { type: 'playbackStall', bufferMs: 300 }],
    ['e=ps,sta=a', { type: 'playbackPause' }],
    ['e=ps,sta=e', { type: 'playbackFinish' }],
    ['e=ps,sta=f', { type: 'playbackFail', code: 'CMCD_UNKNOWN' }],
    ['e=ps,sta=f,ec=("E1" E2 3)', { type: 'playbackFail', code: 'E1', message: 'E2, 3' }],
    ['e=ps,sta=q', { type: 'sessionEnd' }],
    ['e=ps,sta=w', { type: 'custom', name: 'cmcd.sta.w' }],
    ['e=ps,sta=constructor', { type: 'custom', name: 'cmcd.sta.constructor' }],
    ['e=ps', { type: 'custom', name: 'cmcd.ps' }],
    ['e=ps,sta="p"', { type: 'custom', name: 'cmcd.ps' }],
    [
      'e=t,pt=61000,bl=(4200),mtp=(8100;v 900;a),dfa=3,ltc=2500',
      {
        type: 'heartbeat',
        playheadMs: 61_000,
        bufferMs: 4_200,
        droppedFrames: 3,
        liveLatencyMs: 2_500,
        throughputKbps: 8_100,
      },
    ],
    ['e=t,bl=4200,mtp=8100', { type: 'heartbeat', bufferMs: 4_200, throughputKbps: 8_100 }],
    ['e=t,sta=r', { type: 'heartbeat' }],
    ['e=e,ec=("X")', { type: 'warning', code: 'X' }],
    ['e=e,sta=p', { type: 'warning', code: 'CMCD_UNKNOWN' }],
    ['e=e,sta=f,ec=("X")', { type: 'playbackFail', code: 'X' }],
    ['e=e,ec="X"', { type: 'warning', code: 'X' }],
    [`e=e,ec="${'é'.repeat(70)}"`, { type: 'warning', code: 'é'.repeat(64) }],
    [`e=e,ec="${'x'.repeat(63)}🎬"`, { type: 'warning', code: 'x'.repeat(63) }],
    ['e=bc,br=(5000;v)', { type: 'renditionUpdate', videoBitrateKbps: 5_000 }],
    ['e=bc,br=(128;a)', { type: 'renditionUpdate', audioBitrateKbps: 128 }],
    [
      'e=bc,br=(128;a 5000;v),ab=(1)',
      { type: 'renditionUpdate', videoBitrateKbps: 5_000, audioBitrateKbps: 128 },
    ],
    [
      'e=bc,br=(5128;av)',
      { type: 'renditionUpdate', videoBitrateKbps: 5_128, audioBitrateKbps: 0 },
    ],
    ['e=bc,br=5128', { type: 'renditionUpdate', videoBitrateKbps: 5_128, audioBitrateKbps: 0 }],
    ['e=bc,ab=(5128.4)', { type: 'renditionUpdate', videoBitrateKbps: 5_128, audioBitrateKbps: 0 }],
    ['e=bc,br=(9;tt)', { type: 'custom', name: 'cmcd.bc' }],
    ['e=bc', { type: 'custom', name: 'cmcd.bc' }],
    ['e=pr,pr=1.5', { type: 'playbackRateUpdate', playbackRate: 1.5 }],
    ['e=pr,pr=0', { type: 'custom', name: 'cmcd.pr' }],
    ['e=pr', { type: 'custom', name: 'cmcd.pr' }],
    ['e=as', { type: 'adBreakStart' }],
    ['e=abs', { type: 'adBreakStart' }],
    ['e=ae', { type: 'adBreakEnd' }],
    ['e=abe', { type: 'adBreakEnd' }],
    ['e=h,h="CDN-b.Example"', { type: 'cdnUpdate', cdn: 'cdn-b.example' }],
    ['e=h,h="cdn-b.example",cdn="B"', { type: 'cdnUpdate', cdn: 'B' }],
    [`e=h,h="ok.example",cdn="${'x'.repeat(65)}"`, { type: 'cdnUpdate', cdn: 'ok.example' }],
    ['e=h', { type: 'custom', name: 'cmcd.h' }],
    ...['rr', 'm', 'um', 'pc', 'pe', 'c', 'ce', 'sk', 'other', 'constructor'].map(
      (token): [string, object] => [`e=${token}`, { type: 'custom', name: `cmcd.${token}` }],
    ),
    ['e=b', { type: 'custom', name: 'cmcd.b', value: 'false' }],
    ['e=ce,cen=""', { type: 'custom', name: 'cmcd.ce' }],
    [`e=${'x'.repeat(80)}`, { type: 'custom', name: `cmcd.${'x'.repeat(59)}` }],
    ['e=t,msd=312', { type: 'heartbeat', startupMs: 312 }],
    ['e=rr,msd=312', { type: 'custom', name: 'cmcd.rr', startupMs: 312 }],
    ['e=t,msd=-1', { type: 'heartbeat' }],
    ['e=ps,sta=p,msd=99999999', { type: 'playbackStart' }],
  ])('of %s is %j', (more, expected) => {
    expect(eventOf(more)).toEqual(expected)
  })

  it.each([
    ['text for a number', 'e=t,pt="x",bl=(1)', { type: 'heartbeat', bufferMs: 1 }],
    ['a list for a number', 'e=t,pt=(5),bl=(1)', { type: 'heartbeat', bufferMs: 1 }],
    [
      'a number out of range',
      'e=t,pt=-5,bl=(86400001),dfa=4',
      { type: 'heartbeat', droppedFrames: 4 },
    ],
    ['text in a list', 'e=t,bl=("x" 7)', { type: 'heartbeat', bufferMs: 7 }],
    [
      'a bitrate out of range',
      'e=bc,br=(5000000;v 128;a)',
      { type: 'renditionUpdate', audioBitrateKbps: 128 },
    ],
  ])('ignores %s and keeps the rest', (_name, more, expected) => {
    expect(eventOf(more)).toEqual(expected)
  })

  it('ignores keys it does not know', () => {
    expect(eventOf('e=t,com.example-x="y",su,nor="../2.m4s",rtp=12000,v=3')).toEqual({
      type: 'heartbeat',
    })
  })
})

describe('an sn of −0', () => {
  it('is 0', () => {
    const { frames } = decodeCmcd(utf8(`sid="s",sn=-0,ts=${NOW_MS},e=t`), NOW_MS)
    expect(frames[0]?.events[0]?.seq).toBe(0)
  })
})

describe('the context', () => {
  it.each([
    ['st=l,sf=d', { streamType: 'live', streamingFormat: 'dash' }],
    ['st=ll,sf=s', { streamType: 'lowLatencyLive', streamingFormat: 'smooth' }],
    ['st=v,sf=o,cid="m"', { contentId: 'm', streamType: 'vod', streamingFormat: 'other' }],
    ['st=x,sf="h",cid=m', {}],
    ['cid=""', {}],
    ['cdn="A",h="a.example"', { cdn: 'A' }],
    ['h="A.example"', { cdn: 'a.example' }],
  ])('of %s is %j', (more, expected) => {
    expect(contextOf(more)).toEqual(expected)
  })
})

describe('a body', () => {
  const record = (sid: string, sn: number, more = '') =>
    `sid="${sid}",sn=${sn},ts=${NOW_MS},e=t${more}`

  it('may end lines with CRLF, have blank ones, and end with or without a line break', () => {
    const body = `\n\r\n${record('s', 0)}\r\n \t\r\n\n ${record('s', 1)} \n${record('s', 2)}`
    const { frames, rejected } = decode(body)
    expect(rejected).toEqual([])
    expect(frames[0]?.events.map(({ seq }) => seq)).toEqual([0, 1, 2])
  })

  it('of nothing gives nothing', () => {
    expect(decode('')).toEqual({ frames: [], rejected: [] })
    expect(decode('\r\n\n  \n')).toEqual({ frames: [], rejected: [] })
  })

  it('of several sessions gives a frame for each', () => {
    const { frames } = decode([record('a', 0), record('b', 5), record('a', 1)].join('\n'))
    expect(frames.map(({ context, events }) => [context.sessionId, events.length])).toEqual([
      ['a', 2],
      ['b', 1],
    ])
  })

  it('loses only the lines that cannot be used, each with its number, code and bytes', () => {
    const ts = `ts=${NOW_MS}`
    const lines: [string, string, string][] = [
      ['not cmcd', 'CMCD_LINE_UNREADABLE', 'expected "," at character 4'],
      ['{"sid":"s"}', 'CMCD_LINE_UNREADABLE', 'expected a key at character 0'],
      [`sn=0,${ts},e=t`, 'CMCD_KEY_MISSING', 'expected sid, sn, ts and e, received no sid'],
      [
        `sid="",sn="0",${ts},e="t"`,
        'CMCD_KEY_MISSING',
        'expected sid, sn, ts and e, received no sid, sn, e',
      ],
      ['sid="s",sn=0,e=t', 'CMCD_KEY_MISSING', 'expected sid, sn, ts and e, received no ts'],
      [
        `sid="s",sn=1.0,${ts},e=t`,
        'CMCD_KEY_MISSING',
        'expected sid, sn, ts and e, received no sn',
      ],
      [
        `sid="${'x'.repeat(65)}",sn=0,${ts},e=t`,
        'CMCD_KEY_INVALID',
        'sid: expected 1 to 64 characters, received a string of 65 characters',
      ],
      [
        `sid="s",cid="${'x'.repeat(129)}",sn=0,${ts},e=t`,
        'CMCD_KEY_INVALID',
        'cid: expected at most 128 characters, received a string of 129 characters',
      ],
      [`sid="s",sn=-1,${ts},e=t`, 'CMCD_KEY_INVALID', 'sn: expected 0 to 1000000, received -1'],
      [
        `sid="s",sn=${SEQ_MAX + 1},${ts},e=t`,
        'CMCD_KEY_INVALID',
        'sn: expected 0 to 1000000, received 1000001',
      ],
      [
        'sid="s",sn=0,ts=-5,e=t',
        'CMCD_KEY_INVALID',
        'ts: expected epoch milliseconds, received -5',
      ],
      [
        'sid="s",sn=0,ts=999999999999999,e=t',
        'CMCD_KEY_INVALID',
        'ts: expected epoch milliseconds, received 999999999999999',
      ],
    ]
    for (const [text, code, detail] of lines) {
      const { frames, rejected } = decode(`${record('s', 1)}\n\n${text}\n${record('s', 2)}\n`)
      expect(frames[0]?.events.map(({ seq }) => seq)).toEqual([1, 2])
      expect(rejected).toEqual([{ line: 3, code, detail, text }])
    }
  })

  it('may hold bytes that are not UTF-8 in one line', () => {
    const body = Uint8Array.from([
      ...utf8(`${record('s', 1)}\nsid="`),
      0xff,
      ...utf8(`"\n${record('s', 2)}`),
    ])
    const { frames, rejected } = decode(body)
    expect(frames[0]?.events.map(({ seq }) => seq)).toEqual([1, 2])
    expect(rejected).toMatchObject([
      { line: 2, code: 'CMCD_LINE_UNREADABLE', detail: 'expected UTF-8, received other bytes' },
    ])
  })

  it('may hold so many records, good or bad, and the rest is one rejection', () => {
    const lines = Array.from({ length: CMCD_RECORDS_MAX - 1 }, (_, sn) => record('s', sn))
    const full = decode(['bad=', ...lines].join('\n'))
    expect([full.frames[0]?.events.length, full.rejected.length]).toEqual([CMCD_RECORDS_MAX - 1, 1])
    const rest = `${record('s', 5_000)}\n\nmore\n`
    const over = decode(`${['bad=', ...lines].join('\n')}\n\n${rest}`)
    expect(over.frames).toEqual(full.frames)
    expect(over.rejected).toEqual([
      full.rejected[0],
      {
        line: CMCD_RECORDS_MAX + 2,
        code: 'CMCD_TOO_MANY_RECORDS',
        detail: 'expected at most 1000 records; this line and all after it are rejected',
        text: rest,
      },
    ])
  })
})

describe('the send time of a body', () => {
  const sentAtOf = (newestTsMs: number) => {
    const older = `sid="a",sn=0,ts=${newestTsMs - 86_400_000},e=t`
    const { frames } = decode(`sid="b",sn=1,ts=${newestTsMs},e=t\n${older}`)
    const [first, second] = frames
    expect(second?.sentAtMs).toBe(first?.sentAtMs)
    return first?.sentAtMs
  }

  it.each([
    ['now', 0],
    ['at the longest believable delay', CMCD_QUEUE_DELAY_MAX_MS],
  ])('is its arrival when the newest record is from %s', (_name, delayMs) => {
    expect(sentAtOf(NOW_MS - delayMs)).toBe(NOW_MS)
  })

  it.each([
    ['older than that', CMCD_QUEUE_DELAY_MAX_MS + 1],
    ['from the future', -1],
    ['days in the future', -3 * 86_400_000],
  ])('is its newest record when that is %s', (_name, delayMs) => {
    expect(sentAtOf(NOW_MS - delayMs)).toBe(NOW_MS - delayMs)
  })

  it('does not depend on lines that are rejected', () => {
    const body = `sid="b",sn=1,ts=${NOW_MS},e=t\nsid="b",sn=-1,ts=${NOW_MS + 86_400_000},e=t`
    expect(decode(body).frames[0]?.sentAtMs).toBe(NOW_MS)
  })
})

describe('decodeCmcd', () => {
  it('makes only valid events and contexts of records of any keys and values', () => {
    const keys = ['sid', 'cid', 'sn', 'ts', 'e', 'sta', 'st', 'sf', 'pt', 'bl', 'br', 'ab', 'ec']
    const more = ['pr', 'h', 'cdn', 'msd', 'mtp', 'dfa', 'ltc', 'cen', 'bg', 'x']
    const bare = fc.oneof(
      fc.integer({ min: -10, max: 2_000_000 }).map(String),
      fc.constantFrom('1795218000000', '0', '-1', '999999999999999', '1.5', '0.001', '?0', '?1'),
      fc.constantFrom('ps', 't', 'e', 'bc', 'pr', 'h', 'ce', 's', 'p', 'r', 'f', 'q', 'v', 'zz'),
      fc
        .string({ maxLength: 300, unit: fc.constantFrom('a', ' ', 'é', '🎬', '\\', '"') })
        .map((text) => `"${text.replace(/[\\"\p{Cc}]/gu, '')}"`),
    )
    const value = fc.oneof(
      bare,
      fc
        .array(fc.tuple(bare, fc.constantFrom('', ';v', ';a', ';av')), { maxLength: 3 })
        .map((items) => `(${items.map((item) => item.join('')).join(' ')})`),
    )
    const fixed = fc.tuple(fc.nat(9), fc.constantFrom('ps', 't', 'e', 'bc', 'pr', 'h', 'ce', 'b'))
    const line = fc
      .tuple(fixed, fc.array(fc.tuple(fc.constantFrom(...keys, ...more), value), { maxLength: 9 }))
      .map(([[sn, e], members]) =>
        [
          `sid="s",sn=${sn},ts=${NOW_MS},e=${e}`,
          ...members.map((member) => member.join('=')),
        ].join(),
      )
    fc.assert(
      fc.property(fc.array(line, { maxLength: 4 }), (lines) => {
        const { frames, rejected } = decode(lines.join('\n'))
        const events = frames.reduce((sum, frame) => sum + frame.events.length, 0)
        expect(events + rejected.length).toBe(lines.length)
      }),
      { numRuns: 500 },
    )
  })

  it('has a verdict on any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(), (bytes, receivedAtMs) => {
        for (const { code, detail } of decode(bytes, receivedAtMs).rejected) {
          expect(eventErrors.catalogue).toHaveProperty(code)
          expect(detail.length).toBeLessThanOrEqual(DETAIL_MAX_CHARS)
        }
      }),
      { numRuns: 300 },
    )
  })
})
