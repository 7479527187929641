import { describe, expect, test } from 'vitest'
import { ManualClock } from '../shared/runtime/clock.ts'
import type { ClientProblem } from './client-errors.ts'
import type { RejectedReport } from './connection.ts'
import { PlaybackClient, type ClientState, type PlaybackClientOptions } from './playback-client.ts'
import type { PlaybackEvent, SessionContext } from './protocol-types.ts'
import type { OpenSocket, SocketListener } from './runtime.ts'

interface SentFrame {
  readonly v: number
  readonly frame: number
  readonly sentAt: number
  readonly session: SessionContext
  readonly events: readonly PlaybackEvent[]
}

/** The server's end of one connection, driven by the test. */
class ScriptedSocket {
  readonly subprotocols: readonly string[]
  readonly texts: string[] = []
  closedByClient: number | undefined
  readonly #listener: SocketListener

  constructor(subprotocols: readonly string[], listener: SocketListener) {
    this.subprotocols = subprotocols
    this.#listener = listener
  }

  get frames(): SentFrame[] {
    return this.texts.map((text) => JSON.parse(text) as SentFrame)
  }

  get numbers(): number[] {
    return this.frames.map((frame) => frame.frame)
  }

  say(message: unknown): void {
    this.#listener.message(JSON.stringify(message))
  }

  sayRaw(data: unknown): void {
    this.#listener.message(data)
  }

  welcome(welcome: Partial<Record<'creditFrames' | 'creditBytes' | 'frameMaxBytes', number>> = {}) {
    const defaults = { creditFrames: 64, creditBytes: 1_048_576, frameMaxBytes: 262_144 }
    this.say({ welcome: { ...defaults, heartbeatMs: 30_000, ...welcome } })
  }

  drop(closeCode: number, reason = ''): void {
    this.#listener.closed(closeCode, reason)
  }
}

function setUp(options: Partial<PlaybackClientOptions> = {}, chance = 0.5) {
  const clock = new ManualClock()
  const sockets: ScriptedSocket[] = []
  const problems: ClientProblem[] = []
  const rejected: RejectedReport[] = []
  const states: ClientState[] = []
  const openSocket: OpenSocket = (_url, subprotocols, listener) => {
    const socket = new ScriptedSocket(subprotocols, listener)
    sockets.push(socket)
    return {
      send: (text) => void socket.texts.push(text),
      close: (closeCode) => void (socket.closedByClient = closeCode),
    }
  }
  const client = new PlaybackClient({
    url: 'ws://127.0.0.1:8080/v1/events',
    clock,
    random: { next: () => chance },
    openSocket,
    onProblem: (problem) => void problems.push(problem),
    onRejected: (reports) => void rejected.push(...reports),
    onState: (state) => void states.push(state),
    ...options,
  })
  const socket = (index = sockets.length - 1): ScriptedSocket => {
    const found = sockets[index]
    if (found === undefined) throw new Error(`no connection ${index}`)
    return found
  }
  return { client, clock, sockets, socket, problems, rejected, states }
}

const session: SessionContext = { sessionId: 'session-1', contentId: 'movie-1' }
const beat = (seq: number): PlaybackEvent => ({
  seq,
  type: 'heartbeat',
  at: 1_800_000_000_000 + seq,
})
const seqs = (frame: SentFrame | undefined) => frame?.events.map((event) => event.seq)

describe('sending', () => {
  test('waits for the welcome, then numbers frames from 0 without gaps', () => {
    const { client, socket } = setUp()
    client.connect()
    client.send(session, [beat(0), beat(1)])
    client.send(session, [beat(2)])
    expect(socket().texts).toEqual([])
    socket().welcome()
    client.send(session, [beat(3)])
    expect(socket().numbers).toEqual([0, 1, 2])
    expect(socket().frames.map(seqs)).toEqual([[0, 1], [2], [3]])
    expect(socket().frames[0]).toMatchObject({ v: 1, session })
  })

  test('asks for the protocol, and carries the token as base64url beside it', () => {
    const plain = setUp()
    plain.client.connect()
    expect(plain.socket().subprotocols).toEqual(['playback.v1'])
    const bearing = setUp({ token: 'a.b~é?>' })
    bearing.client.connect()
    const [protocol, bearer] = bearing.socket().subprotocols
    expect(protocol).toBe('playback.v1')
    expect(bearer).toMatch(/^bearer\.[A-Za-z0-9_-]+$/)
    const token = Buffer.from(String(bearer).slice('bearer.'.length), 'base64url').toString('utf8')
    expect(token).toBe('a.b~é?>')
  })

  test('serialises an event when it is accepted, whatever happens to the object later', () => {
    const { client, socket } = setUp()
    const event = { seq: 0, type: 'custom' as const, at: 1, name: 'before' }
    client.send(session, [event])
    event.name = 'after'
    client.connect()
    socket().welcome()
    expect(socket().frames[0]?.events[0]).toMatchObject({ name: 'before' })
  })

  test('carries many sessions, one to a frame', () => {
    const { client, socket } = setUp()
    client.connect()
    socket().welcome()
    client.send({ sessionId: 'a' }, [beat(0)])
    client.send({ sessionId: 'b' }, [beat(0)])
    expect(socket().frames.map((frame) => frame.session.sessionId)).toEqual(['a', 'b'])
  })

  test('refuses a URL that is not a WebSocket’s', () => {
    expect(() => setUp({ url: 'http://127.0.0.1:8080' })).toThrow(TypeError)
  })
})

describe('credit', () => {
  test('never sends beyond the largest ack + creditFrames', () => {
    const { client, socket } = setUp()
    client.connect()
    socket().welcome({ creditFrames: 2 })
    for (let seq = 0; seq < 6; seq++) client.send(session, [beat(seq)])
    expect(socket().numbers).toEqual([0, 1])
    socket().say({ ack: 0, creditFrames: 2 })
    expect(socket().numbers).toEqual([0, 1, 2])
    socket().say({ ack: 1, creditFrames: 0 })
    expect(socket().numbers).toEqual([0, 1, 2])
    socket().say({ ack: 2, creditFrames: 3 })
    expect(socket().numbers).toEqual([0, 1, 2, 3, 4, 5])
  })

  test('an edge once granted is not withdrawn by a smaller one', () => {
    const { client, socket } = setUp()
    client.connect()
    socket().welcome({ creditFrames: 4 })
    client.send(session, [beat(0)])
    socket().say({ ack: 0, creditFrames: 0 })
    for (let seq = 1; seq < 6; seq++) client.send(session, [beat(seq)])
    expect(socket().numbers).toEqual([0, 1, 2, 3])
  })

  test('bytes have their own edge, which moves with acknowledged bytes', () => {
    const { client, socket } = setUp()
    client.connect()
    socket().welcome({ creditBytes: 400 })
    for (let seq = 0; seq < 6; seq++) client.send(session, [beat(seq)])
    const frameBytes = Buffer.byteLength(socket().texts[0] ?? '')
    const fitting = Math.floor(400 / frameBytes)
    expect(fitting).toBeGreaterThanOrEqual(2)
    expect(socket().numbers).toHaveLength(fitting)
    socket().say({ ack: 0, creditFrames: 64, creditBytes: 400 })
    expect(socket().numbers).toHaveLength(fitting + 1)
    socket().say({ ack: 1, creditFrames: 64, creditBytes: 0 })
    expect(socket().numbers).toHaveLength(fitting + 1)
  })

  test('an acknowledgement without bytes keeps the bytes last told', () => {
    const { client, socket } = setUp()
    client.connect()
    socket().welcome({ creditBytes: 200 })
    client.send(session, [beat(0)])
    client.send(session, [beat(1)])
    expect(socket().numbers).toEqual([0])
    socket().say({ ack: 0, creditFrames: 64 })
    expect(socket().numbers).toEqual([0, 1])
  })
})

describe('acknowledgement', () => {
  test('is cumulative and settles the counters', () => {
    const { client, socket } = setUp()
    client.connect()
    socket().welcome()
    for (let seq = 0; seq < 5; seq++) client.send(session, [beat(seq)])
    socket().say({ ack: 3, creditFrames: 64 })
    expect(client.metrics).toMatchObject({
      eventsAccepted: 5,
      eventsAcknowledged: 4,
      eventsQueued: 1,
      framesSent: 5,
      framesResent: 0,
      framesAcknowledged: 4,
      framesQueued: 1,
      framesInFlight: 1,
    })
    socket().say({ ack: 2, creditFrames: 64 })
    expect(client.metrics.framesQueued).toBe(1)
  })

  test('a rejected event is reported with its session and not sent again', async () => {
    const { client, socket, rejected, clock } = setUp()
    client.connect()
    socket().welcome()
    client.send(session, [beat(41)])
    socket().say({
      ack: 0,
      rejected: [{ frame: 0, seq: 41, code: 'EVENT_FIELD_INVALID', detail: 'at' }],
    })
    expect(rejected).toEqual([
      { sessionId: 'session-1', seq: 41, code: 'EVENT_FIELD_INVALID', detail: 'at' },
    ])
    expect(client.metrics).toMatchObject({
      eventsRejected: 1,
      eventsAcknowledged: 1,
      framesQueued: 0,
    })
    socket().drop(1006)
    await clock.advance(1_000)
    socket().welcome()
    expect(socket().texts).toEqual([])
  })

  test.each([
    ['of a frame that was never sent', { ack: 5, creditFrames: 64 }],
    ['with a credit that is no number', { ack: 0, creditFrames: '64' }],
    ['whose rejects are no list', { ack: 0, rejected: {} }],
    ['whose reject names no code', { ack: 0, rejected: [{ frame: 0, seq: 1 }] }],
  ])('%s is refused, and everything sent again elsewhere', async (_name, message) => {
    const { client, socket, sockets, problems, clock } = setUp()
    client.connect()
    socket().welcome()
    client.send(session, [beat(0)])
    socket().say(message)
    expect(problems.map((problem) => problem.code)).toEqual(['CLIENT_SERVER_MESSAGE_INVALID'])
    expect(socket(0).closedByClient).toBe(1000)
    await clock.advance(1_000)
    socket().welcome()
    expect(sockets).toHaveLength(2)
    expect(socket().numbers).toEqual([0])
  })
})

describe('server messages', () => {
  test.each([
    ['not JSON', '{"ack":'],
    ['not an object', '[1]'],
    ['binary', new Uint8Array([1])],
    ['a second welcome', '{"welcome":{"creditFrames":1,"creditBytes":1,"frameMaxBytes":1}}'],
    ['a welcome without credit', '{"welcome":{}}'],
    ['a slow without number', '{"slow":{"retryAfterMs":1}}'],
    ['a goaway without delay', '{"goaway":{}}'],
    ['a goaway that is no object', '{"goaway":1}'],
    ['a slow that is no object', '{"slow":null}'],
  ])('%s ends the connection', (_name, data) => {
    const { client, socket, problems } = setUp()
    client.connect()
    socket().welcome()
    socket().sayRaw(data)
    expect(problems.map((problem) => problem.code)).toEqual(['CLIENT_SERVER_MESSAGE_INVALID'])
    expect(client.state).toBe('waiting')
  })

  test('an acknowledgement before the welcome ends the connection', () => {
    const { client, socket, problems } = setUp()
    client.connect()
    socket().say({ ack: -1, creditFrames: 4 })
    expect(problems[0]?.detail).toContain('ack before welcome')
  })

  test('a message of a newer server is ignored', () => {
    const { client, socket, problems } = setUp()
    client.connect()
    socket().welcome()
    socket().say({ notice: { text: 'hello' } })
    expect(problems).toEqual([])
    expect(client.state).toBe('ready')
  })
})

describe('slow', () => {
  test('waits, then sends again from the named frame under the same numbers', async () => {
    const { client, socket, clock } = setUp()
    client.connect()
    socket().welcome()
    for (let seq = 0; seq < 4; seq++) client.send(session, [beat(seq)])
    socket().say({ slow: { resendFrom: 1, retryAfterMs: 700 } })
    client.send(session, [beat(4)])
    await clock.advance(699)
    expect(socket().numbers).toEqual([0, 1, 2, 3])
    socket().say({ ack: 0, creditFrames: 64 })
    await clock.advance(1)
    expect(socket().numbers).toEqual([0, 1, 2, 3, 1, 2, 3, 4])
    expect(socket().frames.slice(4).map(seqs)).toEqual([[1], [2], [3], [4]])
    expect(client.metrics).toMatchObject({ framesSent: 8, framesResent: 3 })
  })

  test('a resend has a new send time and the same bytes behind it', async () => {
    const { client, socket, clock } = setUp()
    client.connect()
    socket().welcome()
    client.send(session, [beat(0)])
    socket().say({ slow: { resendFrom: 0, retryAfterMs: 250 } })
    await clock.advance(250)
    const [first, second] = socket().frames
    expect(second?.sentAt).toBe((first?.sentAt ?? 0) + 250)
    const behind = (text = '') => text.slice(text.indexOf('"session"'))
    expect(behind(socket().texts[1])).toBe(behind(socket().texts[0]))
  })

  test('a second slow while waiting begins the wait anew', async () => {
    const { client, socket, clock } = setUp()
    client.connect()
    socket().welcome()
    client.send(session, [beat(0)])
    socket().say({ slow: { resendFrom: 0, retryAfterMs: 500 } })
    await clock.advance(400)
    socket().say({ slow: { resendFrom: 0, retryAfterMs: 500 } })
    await clock.advance(499)
    expect(socket().numbers).toEqual([0])
    await clock.advance(1)
    expect(socket().numbers).toEqual([0, 0])
  })

  test('frames that are sent again use no credit twice', async () => {
    const { client, socket, clock } = setUp()
    client.connect()
    socket().welcome({ creditFrames: 3 })
    for (let seq = 0; seq < 5; seq++) client.send(session, [beat(seq)])
    socket().say({ slow: { resendFrom: 0, retryAfterMs: 10 } })
    await clock.advance(10)
    expect(socket().numbers).toEqual([0, 1, 2, 0, 1, 2])
  })

  test('no server makes the client wait longer than its bound', async () => {
    const { client, socket, clock } = setUp({ limits: { retryAfterMaxMs: 1_000 } })
    client.connect()
    socket().welcome()
    client.send(session, [beat(0)])
    socket().say({ slow: { resendFrom: 0, retryAfterMs: 86_400_000 } })
    await clock.advance(1_000)
    expect(socket().numbers).toEqual([0, 0])
  })

  test.each([
    ['acknowledged already', 0],
    ['never sent', 3],
  ])('from a frame %s ends the connection', (_name, resendFrom) => {
    const { client, socket, problems } = setUp()
    client.connect()
    socket().welcome()
    client.send(session, [beat(0)])
    client.send(session, [beat(1)])
    socket().say({ ack: 0, creditFrames: 64 })
    socket().say({ slow: { resendFrom, retryAfterMs: 10 } })
    expect(problems.map((problem) => problem.code)).toEqual(['CLIENT_SERVER_MESSAGE_INVALID'])
  })
})

describe('goaway', () => {
  test('sends nothing new, and leaves at its random moment once nothing is in flight', async () => {
    const { client, socket, sockets, clock, problems } = setUp({}, 0.5)
    client.connect()
    socket().welcome()
    client.send(session, [beat(0)])
    socket().say({ goaway: { reconnectAfterMs: 2_000 } })
    client.send(session, [beat(1)])
    expect(socket().numbers).toEqual([0])
    socket().say({ ack: 0, creditFrames: 64 })
    await clock.advance(999)
    expect(sockets).toHaveLength(1)
    await clock.advance(1)
    expect(sockets).toHaveLength(2)
    socket().welcome()
    expect(socket().frames.map(seqs)).toEqual([[1]])
    expect(problems).toEqual([])
  })

  test('waits for what is in flight beyond its moment, but not beyond reconnectAfterMs', async () => {
    const { client, socket, sockets, clock } = setUp({}, 0.5)
    client.connect()
    socket().welcome()
    client.send(session, [beat(0)])
    socket().say({ goaway: { reconnectAfterMs: 2_000 } })
    await clock.advance(1_500)
    expect(sockets).toHaveLength(1)
    await clock.advance(500)
    expect(sockets).toHaveLength(2)
    socket().welcome()
    expect(socket().frames.map(seqs)).toEqual([[0]])
    expect(client.metrics.framesResent).toBe(1)
  })

  test('an acknowledgement after the moment ends the wait', async () => {
    const { client, socket, sockets, clock } = setUp({}, 0.5)
    client.connect()
    socket().welcome()
    client.send(session, [beat(0)])
    socket().say({ goaway: { reconnectAfterMs: 2_000 } })
    await clock.advance(1_500)
    socket().say({ ack: 0, creditFrames: 64 })
    await clock.advance(0)
    expect(sockets).toHaveLength(2)
  })

  test('a close before the moment keeps the moment, and is no problem', async () => {
    const { client, socket, sockets, clock, problems } = setUp({}, 0.5)
    client.connect()
    socket().welcome()
    socket().say({ goaway: { reconnectAfterMs: 2_000 } })
    socket().drop(1001, 'draining')
    await clock.advance(999)
    expect(sockets).toHaveLength(1)
    await clock.advance(1)
    expect(sockets).toHaveLength(2)
    expect(problems).toEqual([])
  })

  test('full jitter spreads clients over the whole of reconnectAfterMs', async () => {
    for (const [chance, momentMs] of [
      [0.25, 500],
      [0.5, 1_000],
      [0.999, 1_998],
    ] as const) {
      const { client, socket, sockets, clock } = setUp({}, chance)
      client.connect()
      socket().welcome()
      socket().say({ goaway: { reconnectAfterMs: 2_000 } })
      await clock.advance(momentMs - 1)
      expect(sockets).toHaveLength(1)
      await clock.advance(1)
      expect(sockets).toHaveLength(2)
    }
  })
})

describe('reconnecting', () => {
  test('sends what was not acknowledged again, in order, from frame 0', async () => {
    const { client, socket, clock, problems } = setUp()
    client.connect()
    socket().welcome()
    for (let seq = 0; seq < 4; seq++) client.send(session, [beat(seq)])
    socket().say({ ack: 1, creditFrames: 64 })
    socket().drop(1006)
    client.send(session, [beat(4)])
    await clock.advance(1_000)
    socket().welcome()
    expect(socket().numbers).toEqual([0, 1, 2])
    expect(socket().frames.map(seqs)).toEqual([[2], [3], [4]])
    expect(problems.map((problem) => problem.code)).toEqual(['CLIENT_CONNECTION_LOST'])
    expect(client.metrics).toMatchObject({ framesResent: 2, connections: 2 })
  })

  test('backs off exponentially up to its bound, and anew after an acknowledgement', async () => {
    const limits = { backoffBaseMs: 100, backoffMaxMs: 1_000, serverSilenceMaxMs: 600_000 }
    const { client, socket, sockets, clock } = setUp({ limits }, 0.999)
    const nextDelayMs = async () => {
      const before = sockets.length
      let waitedMs = 0
      for (; sockets.length === before && waitedMs < 5_000; waitedMs++) await clock.advance(1)
      return waitedMs
    }
    client.send(session, [beat(0)])
    client.connect()
    const delaysMs: number[] = []
    for (let attempt = 0; attempt < 6; attempt++) {
      socket().drop(1006)
      delaysMs.push(await nextDelayMs())
    }
    expect(delaysMs).toEqual([99, 199, 399, 799, 999, 999])
    socket().welcome()
    socket().say({ ack: 0, creditFrames: 64 })
    socket().drop(1006)
    expect(await nextDelayMs()).toBe(99)
  })

  test('a connection that held for long ends a series of failures', async () => {
    const limits = { backoffBaseMs: 100, backoffMaxMs: 1_000 }
    const { client, socket, sockets, clock } = setUp({ limits }, 0.999)
    client.connect()
    for (let attempt = 0; attempt < 5; attempt++) {
      socket().drop(1006)
      await clock.advance(1_000)
    }
    socket().welcome()
    await clock.advance(1_000)
    const before = sockets.length
    socket().drop(1006)
    await clock.advance(99)
    expect(sockets).toHaveLength(before + 1)
  })

  test('a server that says no welcome in time is left', async () => {
    const { client, sockets, clock, problems } = setUp({ limits: { connectTimeoutMs: 3_000 } })
    client.connect()
    await clock.advance(2_999)
    expect(problems).toEqual([])
    await clock.advance(1)
    expect(problems.map((problem) => problem.code)).toEqual(['CLIENT_CONNECT_TIMEOUT'])
    expect(sockets[0]?.closedByClient).toBe(1000)
  })

  test('a server that owes an acknowledgement and is silent is left', async () => {
    const { client, socket, clock, problems } = setUp({ limits: { serverSilenceMaxMs: 5_000 } })
    client.connect()
    socket().welcome()
    await clock.advance(20_000)
    expect(problems).toEqual([])
    client.send(session, [beat(0)])
    await clock.advance(4_000)
    client.send(session, [beat(1)])
    socket().say({ ack: 0, creditFrames: 64 })
    await clock.advance(4_999)
    expect(problems).toEqual([])
    await clock.advance(1)
    expect(problems.map((problem) => problem.code)).toEqual(['CLIENT_SERVER_SILENT'])
  })

  test('a socket that cannot be opened is one more lost connection', async () => {
    let attempts = 0
    const { client, clock, problems } = setUp({
      openSocket: () => {
        attempts += 1
        throw new Error('blocked by policy')
      },
    })
    client.connect()
    expect(problems[0]).toMatchObject({ code: 'CLIENT_CONNECTION_LOST', reconnects: true })
    await clock.advance(30_000)
    expect(attempts).toBeGreaterThan(1)
  })

  test('a socket that throws on sending loses nothing', async () => {
    let failing = true
    const texts: string[] = []
    let listener: SocketListener | undefined
    const { client, clock } = setUp({
      openSocket: (_url, _subprotocols, given) => {
        listener = given
        return {
          send(text) {
            if (failing) throw new Error('not open')
            texts.push(text)
          },
          close: () => undefined,
        }
      },
    })
    const welcome = { creditFrames: 4, creditBytes: 10_000, frameMaxBytes: 10_000 }
    client.connect()
    client.send(session, [beat(0)])
    listener?.message(JSON.stringify({ welcome }))
    expect(client.state).toBe('waiting')
    failing = false
    await clock.advance(30_000)
    listener?.message(JSON.stringify({ welcome }))
    expect(texts).toHaveLength(1)
  })

  test.each([
    [1002, 'CLIENT_PROTOCOL_VIOLATION'],
    [1003, 'CLIENT_PROTOCOL_VIOLATION'],
    [1007, 'CLIENT_PROTOCOL_VIOLATION'],
    [1008, 'CLIENT_PROTOCOL_VIOLATION'],
    [1009, 'CLIENT_FRAME_TOO_LARGE'],
    [1001, 'CLIENT_CONNECTION_LOST'],
    [1013, 'CLIENT_CONNECTION_LOST'],
  ])('close code %i is told as %s, with its reason, and followed by a reconnect', (code, name) => {
    const { client, socket, problems } = setUp()
    client.connect()
    socket().welcome()
    socket().drop(code, 'because')
    expect(problems).toMatchObject([{ code: name, closeCode: code, reconnects: true }])
    expect(problems[0]?.detail).toContain('because')
    expect(client.state).toBe('waiting')
  })
})

describe('an idle connection that the server closed', () => {
  test('is no problem, and comes back with the next event', async () => {
    const { client, socket, sockets, clock, problems } = setUp()
    client.connect()
    socket().welcome()
    socket().drop(4408, 'idle')
    await clock.advance(600_000)
    expect(client.state).toBe('resting')
    expect(sockets).toHaveLength(1)
    client.send(session, [])
    expect(sockets).toHaveLength(1)
    client.send(session, [beat(0)])
    expect(sockets).toHaveLength(2)
    socket().welcome()
    expect(socket().numbers).toEqual([0])
    expect(problems).toEqual([])
  })

  test('is a lost connection when something was waiting', () => {
    const { client, socket, problems } = setUp()
    client.connect()
    socket().welcome({ creditFrames: 0 })
    client.send(session, [beat(0)])
    socket().drop(4408, 'idle')
    expect(client.state).toBe('waiting')
    expect(problems.map((problem) => problem.code)).toEqual(['CLIENT_CONNECTION_LOST'])
  })
})

describe('tokens', () => {
  test('a fixed token that is refused stops the client until connect is called', async () => {
    const { client, socket, sockets, problems, clock } = setUp({ token: 'old' })
    client.connect()
    client.send(session, [beat(0)])
    socket().welcome()
    socket().drop(4401, 'expired')
    expect(problems).toMatchObject([{ code: 'CLIENT_TOKEN_REFUSED', closeCode: 4401 }])
    await clock.advance(600_000)
    expect(sockets).toHaveLength(1)
    expect(client.state).toBe('stopped')
    client.connect()
    socket().welcome()
    expect(socket().frames.map(seqs)).toEqual([[0]])
  })

  test('a provider is asked again for every connection', async () => {
    let issued = 0
    const { client, socket, sockets, problems, clock } = setUp({ token: () => `token-${issued++}` })
    client.connect()
    await clock.advance(0)
    await clock.advance(0)
    socket().welcome()
    socket().drop(4401, 'expired')
    expect(problems).toMatchObject([{ code: 'CLIENT_TOKEN_EXPIRED', reconnects: true }])
    await clock.advance(30_000)
    await clock.advance(0)
    expect(sockets).toHaveLength(2)
    expect(sockets.map(({ subprotocols }) => subprotocols[1])).toEqual([
      'bearer.dG9rZW4tMA',
      'bearer.dG9rZW4tMQ',
    ])
  })

  test('a provider that fails is asked again after the backoff', async () => {
    let calls = 0
    const { client, sockets, problems, clock } = setUp({
      token: () => (calls++ === 0 ? Promise.reject(new Error('offline')) : Promise.resolve('t')),
    })
    client.connect()
    for (let turn = 0; turn < 5; turn++) await clock.advance(0)
    expect(problems.map((problem) => problem.code)).toEqual(['CLIENT_TOKEN_UNAVAILABLE'])
    await clock.advance(30_000)
    for (let turn = 0; turn < 5; turn++) await clock.advance(0)
    expect(sockets).toHaveLength(1)
  })

  test('a token that comes after close opens nothing', async () => {
    const { client, sockets, clock } = setUp({ token: () => Promise.resolve('late') })
    client.connect()
    client.close()
    for (let turn = 0; turn < 5; turn++) await clock.advance(0)
    expect(sockets).toHaveLength(0)
  })

  test('a scope that is missing stops the client even with a provider', async () => {
    const { client, socket, clock, problems } = setUp({ token: () => 'read-only' })
    client.connect()
    for (let turn = 0; turn < 3; turn++) await clock.advance(0)
    socket().drop(4403)
    expect(problems).toMatchObject([{ code: 'CLIENT_TOKEN_REFUSED', reconnects: false }])
    expect(client.state).toBe('stopped')
  })
})

describe('bounds', () => {
  test('a queue full of frames refuses, counts it, and takes more once acknowledged', () => {
    const { client, socket } = setUp({ limits: { queueFramesMax: 3 } })
    client.connect()
    socket().welcome()
    for (let seq = 0; seq < 3; seq++)
      expect(client.send(session, [beat(seq)])).toEqual({ accepted: true })
    expect(client.send(session, [beat(3), beat(4)])).toEqual({
      accepted: false,
      reason: 'queueFull',
    })
    expect(client.metrics).toMatchObject({ framesQueued: 3, eventsRefused: 2, eventsAccepted: 3 })
    socket().say({ ack: 0, creditFrames: 64 })
    expect(client.send(session, [beat(3)])).toEqual({ accepted: true })
  })

  test('a queue full of bytes refuses', () => {
    const limits = { queueBytesMax: 600, frameBytesMax: 600 }
    const { client } = setUp({ limits })
    let accepted = 0
    while (client.send(session, [beat(accepted)]).accepted) accepted += 1
    expect(accepted).toBeGreaterThanOrEqual(2)
    expect(client.metrics.bytesQueued).toBeLessThanOrEqual(600)
    expect(client.metrics.eventsRefused).toBe(1)
  })

  test('a send of several frames is taken whole or not at all', () => {
    const { client } = setUp({ limits: { queueFramesMax: 2, frameEventsMax: 2 } })
    const events = Array.from({ length: 5 }, (_, seq) => beat(seq))
    expect(client.send(session, events)).toEqual({ accepted: false, reason: 'queueFull' })
    expect(client.metrics).toMatchObject({ framesQueued: 0, eventsRefused: 5 })
  })

  test('events beyond a frame’s number go into the next frame', () => {
    const { client, socket } = setUp()
    client.connect()
    socket().welcome()
    client.send(
      session,
      Array.from({ length: 2_001 }, (_, seq) => beat(seq)),
    )
    expect(socket().frames.map((frame) => frame.events.length)).toEqual([1_000, 1_000, 1])
  })

  test('no frame is larger than its bound, and only the last may be much smaller', () => {
    const { client, socket } = setUp({ limits: { frameBytesMax: 1_000 } })
    client.connect()
    socket().welcome()
    client.send(
      session,
      Array.from({ length: 60 }, (_, seq) => beat(seq)),
    )
    const sizes = socket().texts.map((text) => Buffer.byteLength(text))
    expect(Math.max(...sizes)).toBeLessThanOrEqual(1_000)
    expect(Math.min(...sizes.slice(0, -1))).toBeGreaterThan(850)
    expect(socket().frames.flatMap(seqs)).toEqual(Array.from({ length: 60 }, (_, seq) => seq))
  })

  test('frames made before the welcome are cut for a server that takes less', () => {
    const { client, socket } = setUp()
    client.send(
      session,
      Array.from({ length: 30 }, (_, seq) => beat(seq)),
    )
    client.connect()
    socket().welcome({ frameMaxBytes: 500 })
    expect(Math.max(...socket().texts.map((text) => Buffer.byteLength(text)))).toBeLessThanOrEqual(
      500,
    )
    expect(socket().numbers).toEqual(socket().numbers.map((_, index) => index))
    expect(socket().frames.flatMap(seqs)).toEqual(Array.from({ length: 30 }, (_, seq) => seq))
  })

  test('an event too large for any frame is refused when it is offered', () => {
    const { client } = setUp({ limits: { frameBytesMax: 400 } })
    const large: PlaybackEvent = {
      seq: 0,
      type: 'custom',
      at: 1,
      name: 'x',
      value: 'é'.repeat(200),
    }
    expect(client.send(session, [large])).toEqual({ accepted: false, reason: 'eventTooLarge' })
  })

  test('an event too large for this server leaves the queue with a report', async () => {
    const { client, socket, rejected } = setUp()
    const large: PlaybackEvent = {
      seq: 0,
      type: 'custom',
      at: 1,
      name: 'x',
      value: 'é'.repeat(200),
    }
    client.send(session, [large, beat(1)])
    const flushed = client.flush(10_000)
    client.connect()
    socket().welcome({ frameMaxBytes: 300 })
    expect(rejected).toMatchObject([
      { sessionId: 'session-1', seq: 0, code: 'CLIENT_EVENT_TOO_LARGE' },
    ])
    expect(socket().frames.map(seqs)).toEqual([[1]])
    socket().say({ ack: 0, creditFrames: 64 })
    expect(await flushed).toBe(true)
    expect(client.metrics).toMatchObject({ eventsUndeliverable: 1, eventsAcknowledged: 1 })
  })

  test.each([
    [{ queueBytesMax: 1_000, frameBytesMax: 2_000 }, 'queueBytesMax (1000)'],
    [{ backoffMaxMs: 10, backoffBaseMs: 20 }, 'backoffMaxMs (10)'],
    [{ frameEventsMax: 1_001 }, 'received 1001'],
    [{ queueFramesMax: 0 }, 'queueFramesMax'],
    [{ connectTimeoutMs: 1.5 }, 'connectTimeoutMs'],
  ])('contradictory limits %o are refused with their values', (limits, text) => {
    expect(() => setUp({ limits })).toThrow(RangeError)
    expect(() => setUp({ limits })).toThrow(text)
  })
})

describe('flush and close', () => {
  test('flush resolves when what was accepted before it is acknowledged', async () => {
    const { client, socket } = setUp()
    expect(await client.flush(1_000)).toBe(true)
    client.connect()
    socket().welcome()
    client.send(session, [beat(0)])
    const flushed = client.flush(1_000)
    client.send(session, [beat(1)])
    socket().say({ ack: 0, creditFrames: 64 })
    expect(await flushed).toBe(true)
    expect(client.metrics.framesQueued).toBe(1)
  })

  test('flush gives up at its deadline and keeps the frames', async () => {
    const { client, socket, clock } = setUp()
    client.connect()
    socket().welcome()
    client.send(session, [beat(0)])
    const flushed = client.flush(1_000)
    await clock.advance(1_000)
    expect(await flushed).toBe(false)
    expect(client.metrics.framesQueued).toBe(1)
  })

  test('close ends the connection, waiting flushes and every later send', async () => {
    const { client, socket, sockets, clock, problems } = setUp()
    client.connect()
    socket().welcome()
    client.send(session, [beat(0)])
    const flushed = client.flush(1_000)
    client.close()
    client.close()
    expect(await flushed).toBe(false)
    expect(socket().closedByClient).toBe(1000)
    expect(client.send(session, [beat(1)])).toEqual({ accepted: false, reason: 'closed' })
    expect(await client.flush(1_000)).toBe(false)
    socket().drop(1000)
    socket().welcome()
    client.connect()
    await clock.advance(600_000)
    expect(sockets).toHaveLength(1)
    expect(problems).toEqual([])
  })

  test('close while waiting to reconnect keeps it from reconnecting', async () => {
    const { client, socket, sockets, clock } = setUp()
    client.connect()
    socket().drop(1006)
    client.close()
    await clock.advance(600_000)
    expect(sockets).toHaveLength(1)
  })

  test('states follow one another as drawn', async () => {
    const { client, socket, clock, states } = setUp()
    client.connect()
    socket().welcome()
    socket().say({ goaway: { reconnectAfterMs: 1_000 } })
    await clock.advance(1_000)
    socket().welcome()
    client.close()
    expect(states).toEqual([
      'connecting',
      'ready',
      'leaving',
      'waiting',
      'connecting',
      'ready',
      'closed',
    ])
  })
})

describe('pageHide', () => {
  test('hands over unsent frames first, then those in flight, without numbers', () => {
    const { client, socket, clock } = setUp()
    client.connect()
    socket().welcome({ creditFrames: 1 })
    client.send(session, [beat(0)])
    client.send(session, [beat(1)])
    const bodies = client.pageHide().map((body) => JSON.parse(body) as SentFrame)
    expect(bodies.map(seqs)).toEqual([[1], [0]])
    expect(bodies[0]).toEqual({ v: 1, sentAt: clock.nowMs(), session, events: [beat(1)] })
    expect(client.metrics.framesQueued).toBe(2)
  })

  test('hands over no more than its bound, cutting frames to fit', () => {
    const { client } = setUp({ limits: { keepaliveBytesMax: 1_000 } })
    client.send(
      session,
      Array.from({ length: 100 }, (_, seq) => beat(seq)),
    )
    const bodies = client.pageHide()
    const bytes = bodies.reduce((sum, body) => sum + Buffer.byteLength(body), 0)
    expect(bodies.length).toBeGreaterThan(0)
    expect(bytes).toBeLessThanOrEqual(1_000)
  })
})
