import { expect, test } from 'vitest'
import { logErrors } from '../shared/log/log-errors.ts'
import { partitionOf } from '../shared/log/partitioner.ts'
import { decodeReject } from '../shared/log/reject-record.ts'
import { TOPICS } from '../shared/log/topics.ts'
import {
  ACK_MAX_BYTES,
  GOAWAY_RECONNECT_MAX_MS,
  LEAVE_MARGIN_MS,
  LIFETIME_JITTER,
  REST_AFTER_MS,
} from './limits.ts'
import { createBench, frameBytes, isBalanced, turn } from './testing/connection-bench.ts'
import { pass } from './testing/passing-time.ts'

const AT = 1_800_000_000_000
const heartbeat = (seq: number) => ({ seq, type: 'heartbeat', at: AT })

test('the welcome comes first and tells the credit', async () => {
  const { open } = await createBench()
  const { socket } = open()
  expect(socket.take()).toEqual([
    {
      welcome: {
        creditFrames: 8,
        creditBytes: 20_000,
        frameMaxBytes: 10_000,
        heartbeatMs: 10_000,
      },
    },
  ])
})

test('nothing is acknowledged before the log has it; then all of a turn in one message', async () => {
  const { open, log, clock } = await createBench()
  const { connection, socket } = open()
  socket.take()
  log.hold()
  for (let frame = 0; frame < 5; frame++) connection.receive(frameBytes(frame))
  await pass(clock, 10)
  await turn()
  expect(log.heldAppends).toBe(1)
  expect(socket.take()).toEqual([])
  log.release()
  await pass(clock, 1)
  await turn()
  expect(socket.take()).toEqual([{ ack: 4, creditFrames: 8, creditBytes: 20_000 }])
})

test('the acknowledgement is cumulative: a frame of a slow partition holds it back', async () => {
  const { open, log, clock } = await createBench()
  const { connection, socket } = open()
  socket.take()
  log.hold(TOPICS.rejects)
  connection.receive(frameBytes(0, { events: [{ seq: 0, type: 'nonsense', at: AT }] }))
  connection.receive(frameBytes(1))
  await pass(clock, 10)
  await turn()
  expect(log.records(TOPICS.events)).toHaveLength(2)
  expect(socket.take()).toEqual([])
  log.release()
  await pass(clock, 1)
  await turn()
  expect(socket.take()).toMatchObject([{ ack: 1, rejected: [{ frame: 0, seq: 0 }] }])
})

test('a bad event is rejected alone, kept sealed, and told with its code', async () => {
  const { open, log, clock, sealer, ledgers } = await createBench()
  const { connection, socket } = open({ subject: 'viewer-7' })
  socket.take()
  const bad = { seq: 4, type: 'playbackFail', at: AT, note: 'viewer-7' }
  connection.receive(frameBytes(0, { events: [heartbeat(3), bad, heartbeat(5)] }))
  await pass(clock, 10)
  await turn()
  expect(socket.take()).toMatchObject([
    { ack: 0, rejected: [{ frame: 0, seq: 4, code: 'EVENT_FIELD_INVALID' }] },
  ])
  const [value] = log.values(TOPICS.events)
  expect(value?.['rejectedSeqs']).toEqual([4])
  expect(value?.['events']).toEqual([heartbeat(3), heartbeat(5)])
  const [reject] = log.records(TOPICS.rejects)
  const { sealed, ...reason } = decodeReject(reject?.value ?? new Uint8Array())
  expect(reason).toMatchObject({
    stage: 'gateway',
    code: 'EVENT_FIELD_INVALID',
    sessionId: 's1',
    seq: 4,
  })
  expect(JSON.parse(Buffer.from(sealer.open(sealed)).toString())).toEqual(bad)
  expect(Buffer.from(reject?.value ?? []).toString()).not.toContain('viewer-7')
  expect(ledgers.events).toMatchObject({ received: 3, accepted: 2, rejected: 1, inFlight: 0 })
})

test('a frame whose events are all rejected still leaves its seqs in the log', async () => {
  const { open, log, clock } = await createBench()
  const { connection, socket } = open()
  socket.take()
  connection.receive(
    frameBytes(0, {
      events: [
        { seq: 9, type: 'x', at: AT },
        { seq: -1, type: 'heartbeat', at: AT },
      ],
    }),
  )
  await pass(clock, 10)
  await turn()
  expect(log.values(TOPICS.events)).toMatchObject([{ rejectedSeqs: [9], events: [] }])
  expect(log.records(TOPICS.rejects)).toHaveLength(2)
  connection.receive(frameBytes(1, { events: ['not an event'] }))
  await pass(clock, 10)
  await turn()
  expect(log.records(TOPICS.events)).toHaveLength(1)
  expect(socket.take()).toMatchObject([{ ack: 0 }, { ack: 1, rejected: [{ frame: 1 }] }])
})

test('an unreadable frame takes the next number, is kept sealed, and the rest goes on', async () => {
  const { open, log, clock, ledgers, sealer } = await createBench()
  const { connection, socket } = open()
  socket.take()
  const garbage = Uint8Array.of(0xff, 0x00, 0x13)
  connection.receive(garbage)
  connection.receive(frameBytes(1))
  await pass(clock, 10)
  await turn()
  expect(socket.take()).toMatchObject([
    { ack: 1, rejected: [{ frame: 0, code: 'FRAME_NOT_JSON' }] },
  ])
  const [reject] = log.records(TOPICS.rejects)
  const { sealed } = decodeReject(reject?.value ?? new Uint8Array())
  expect([...sealer.open(sealed)]).toEqual([...garbage])
  expect(ledgers.unreadable).toMatchObject({ received: 1, rejected: 1 })
  expect(ledgers.events).toMatchObject({ received: 1, accepted: 1 })
})

test.each([
  ['repeated', [0, 0], 'expected 1, received 0'],
  ['skipped', [0, 2], 'expected 1, received 2'],
  ['not starting at 0', [1], 'expected 0, received 1'],
])('a frame number %s closes 1008; what came before is kept', async (_name, numbers, detail) => {
  const { open, log, clock } = await createBench()
  const { connection, socket } = open()
  for (const number of numbers) connection.receive(frameBytes(number))
  expect(socket.ended).toEqual({
    code: 1008,
    reason: `GATEWAY_FRAME_OUT_OF_SEQUENCE: ${detail}`,
  })
  await pass(clock, 10)
  expect(log.records(TOPICS.events)).toHaveLength(numbers.length - 1)
})

test('an unreadable frame with a wrong number is out of sequence too', async () => {
  const { open } = await createBench()
  const { connection, socket } = open()
  connection.receive(frameBytes(3, { v: 2 }))
  expect(socket.ended?.code).toBe(1008)
})

test('a frame beyond the credit closes 1008, in frames and in bytes', async () => {
  const { open, log } = await createBench()
  log.hold()
  const frames = open()
  for (let frame = 0; frame < 8; frame++) frames.connection.receive(frameBytes(frame))
  expect(frames.socket.ended).toBeUndefined()
  frames.connection.receive(frameBytes(8))
  expect(frames.socket.ended).toMatchObject({
    code: 1008,
    reason: expect.stringContaining('GATEWAY_CREDIT_EXCEEDED'),
  })
  const bytes = open()
  const large = (frame: number) =>
    frameBytes(frame, { session: { sessionId: 's1' }, padding: 'x'.repeat(9_500) })
  bytes.connection.receive(large(0))
  bytes.connection.receive(large(1))
  expect(bytes.socket.ended).toBeUndefined()
  bytes.connection.receive(large(2))
  expect(bytes.socket.ended?.reason).toContain('GATEWAY_CREDIT_EXCEEDED')
})

test('a frame over the limit closes 1009, and what is durable is acknowledged before', async () => {
  const { open, clock, settings } = await createBench()
  const { connection, socket } = open()
  socket.take()
  connection.receive(frameBytes(0))
  await pass(clock, 10)
  connection.receive(new Uint8Array(settings.frameMaxBytes + 1))
  expect(socket.take()).toMatchObject([{ ack: 0 }])
  expect(socket.ended?.code).toBe(1009)
  const exact = open()
  const padding = settings.frameMaxBytes - frameBytes(0, { padding: '' }).length
  exact.connection.receive(frameBytes(0, { padding: 'x'.repeat(padding) }))
  expect(exact.socket.ended).toBeUndefined()
})

test('past the append deadline the client is told to send again from the first lost frame', async () => {
  const { open, log, clock, lanes, ledgers, budget } = await createBench()
  const { connection, socket } = open()
  connection.receive(frameBytes(0))
  await pass(clock, 10)
  await turn()
  log.fail()
  for (const frame of [1, 2, 3]) connection.receive(frameBytes(frame))
  await pass(clock, 1_010)
  socket.take()
  lanes.expire()
  const [said, ...rest] = socket.take()
  expect(rest).toEqual([])
  expect(said?.slow?.resendFrom).toBe(1)
  expect(said?.slow?.retryAfterMs).toBeGreaterThanOrEqual(500)
  expect(said?.slow?.retryAfterMs).toBeLessThan(1_500)
  expect(budget.usedBytes).toBe(0)
  // Frames that were on their way are given back unread.
  connection.receive(frameBytes(4))
  connection.receive(frameBytes(5))
  expect(ledgers.events).toMatchObject({ received: 6, accepted: 1, refused: 5, inFlight: 0 })
  expect(ledgers.events.refusedBy).toMatchObject({ deadline: 1, behindRefused: 4 })
  log.heal()
  for (const frame of [1, 2, 3, 4, 5]) connection.receive(frameBytes(frame))
  await pass(clock, 3_000)
  await turn()
  expect(socket.take()).toMatchObject([{ ack: 5 }])
  expect(log.records(TOPICS.events)).toHaveLength(6)
  expect(isBalanced(ledgers.events)).toBe(true)
})

test('frames already in the log stay there and are acknowledged again when sent again', async () => {
  const { open, log, clock, lanes } = await createBench()
  const { connection, socket } = open()
  log.hold(TOPICS.rejects)
  connection.receive(frameBytes(0, { events: [heartbeat(0), 'bad'] }))
  connection.receive(frameBytes(1, { events: [heartbeat(1)] }))
  await pass(clock, 1_010)
  socket.take()
  lanes.expire()
  expect(socket.take()).toMatchObject([{ slow: { resendFrom: 0 } }])
  log.release()
  connection.receive(frameBytes(0, { events: [heartbeat(0), 'bad'] }))
  connection.receive(frameBytes(1, { events: [heartbeat(1)] }))
  await pass(clock, 10)
  await turn()
  expect(socket.take()).toMatchObject([{ ack: 1 }])
  expect(log.records(TOPICS.events)).toHaveLength(4)
})

/** A session of the given one of two partitions. */
function sessionIn(partition: number): string | undefined {
  const names = Array.from({ length: 20 }, (_, index) => `s${index}`)
  return names.find((name) => partitionOf(name, 2) === partition)
}

test('what was durable behind a lost frame counts only once it has come again', async () => {
  const { open, log, clock, lanes } = await createBench()
  const { connection, socket } = open()
  const send = () => {
    connection.receive(frameBytes(0, { session: { sessionId: sessionIn(0) } }))
    connection.receive(frameBytes(1, { session: { sessionId: sessionIn(1) } }))
  }
  log.hold(TOPICS.events, 0)
  send()
  await pass(clock, 1_010)
  socket.take()
  lanes.expire()
  expect(log.records(TOPICS.events)).toHaveLength(1)
  expect(socket.take()).toMatchObject([{ slow: { resendFrom: 0 } }])
  log.release()
  log.hold(TOPICS.events, 1)
  send()
  await pass(clock, 10)
  await turn()
  expect(socket.take()).toMatchObject([{ ack: 0 }])
  log.release()
  await pass(clock, 10)
  await turn()
  expect(socket.take()).toMatchObject([{ ack: 1 }])
})

test('frames that are sent again use the same credit, not more', async () => {
  const { open, log, clock, lanes } = await createBench()
  const { connection, socket } = open()
  const send = () => {
    for (const frame of [0, 1])
      connection.receive(frameBytes(frame, { padding: 'x'.repeat(9_000) }))
  }
  log.fail()
  send()
  await pass(clock, 1_010)
  lanes.expire()
  log.heal()
  send()
  await pass(clock, 2_000)
  await turn()
  expect(socket.ended).toBeUndefined()
  expect(socket.take().at(-1)).toMatchObject({ ack: 1 })
})

test('a second, earlier refusal moves the frame that is awaited back', async () => {
  const { open, log, clock, lanes } = await createBench()
  const { connection, socket } = open()
  const first = () => frameBytes(0, { session: { sessionId: sessionIn(1) } })
  const second = () => frameBytes(1, { session: { sessionId: sessionIn(0) } })
  log.hold()
  connection.receive(first())
  connection.receive(second())
  await pass(clock, 1_010)
  socket.take()
  lanes.expire()
  expect(socket.take()).toMatchObject([{ slow: { resendFrom: 1 } }, { slow: { resendFrom: 0 } }])
  connection.receive(frameBytes(2))
  connection.receive(second())
  expect(connection.state).toBe('discarding')
  log.release()
  connection.receive(first())
  connection.receive(second())
  expect(connection.state).toBe('open')
  await pass(clock, 10)
  await turn()
  expect(socket.take()).toMatchObject([{ ack: 1 }])
})

test('while discarding, the number of frames is bounded, and credit still counts', async () => {
  const { open, log, clock, lanes, settings } = await createBench()
  const bounded = open()
  const beyond = open()
  log.fail()
  for (const { connection } of [bounded, beyond]) connection.receive(frameBytes(0))
  await pass(clock, 1_010)
  lanes.expire()
  for (let frame = 1; frame <= settings.credit.frames; frame++)
    bounded.connection.receive(frameBytes(Math.min(frame, 7)))
  expect(bounded.socket.ended).toBeUndefined()
  bounded.connection.receive(frameBytes(7))
  expect(bounded.socket.ended?.reason).toContain('GATEWAY_FRAME_OUT_OF_SEQUENCE')
  beyond.connection.receive(frameBytes(8))
  expect(beyond.socket.ended?.reason).toContain('GATEWAY_CREDIT_EXCEEDED')
})

test('an unreadable frame that cannot be kept ends the connection: its number would not be known again', async () => {
  const { open, log, clock, lanes, ledgers } = await createBench()
  const { connection, socket } = open()
  log.fail()
  connection.receive(Buffer.from('not json'))
  await pass(clock, 1_010)
  lanes.expire()
  expect(socket.ended).toMatchObject({ code: 1013, reason: 'GATEWAY_OVERLOADED' })
  expect(ledgers.unreadable).toMatchObject({ received: 1, refused: 1, inFlight: 0 })
})

test('a full process budget makes the client slow, and others that are done are not touched', async () => {
  const { open, log, clock, ledgers, budget } = await createBench({ budgetBytes: 2_000 })
  const neighbour = open()
  neighbour.connection.receive(frameBytes(0))
  await pass(clock, 10)
  await turn()
  const { connection, socket } = open()
  log.hold()
  socket.take()
  for (let frame = 0; frame < 8; frame++) {
    connection.receive(frameBytes(frame))
    expect(budget.usedBytes).toBeLessThanOrEqual(2_000)
  }
  expect(socket.take()).toMatchObject([{ slow: { resendFrom: expect.any(Number) } }])
  expect(ledgers.events.refusedBy.overload).toBe(1)
  expect(neighbour.socket.take()).toMatchObject([{ welcome: {} }, { ack: 0 }])
  expect(neighbour.connection.state).toBe('open')
  expect(isBalanced(ledgers.events)).toBe(true)
})

test('a connection above its rate is told how long to wait, and goes on after it', async () => {
  const { open, clock, ledgers } = await createBench({
    settings: { credit: { frames: 20, bytes: 20_000 } },
    rates: { connection: { frames: { perSecond: 10, burst: 8 } } },
  })
  const { connection, socket } = open()
  socket.take()
  for (let frame = 0; frame < 9; frame++) connection.receive(frameBytes(frame))
  expect(socket.take()).toEqual([{ slow: { resendFrom: 8, retryAfterMs: 400 } }])
  expect(ledgers.events.refusedBy.rate).toBe(1)
  await pass(clock, 400)
  for (let frame = 8; frame < 12; frame++) connection.receive(frameBytes(frame))
  await pass(clock, 10)
  await turn()
  expect(socket.take().at(-1)).toMatchObject({ ack: 11 })
  expect(isBalanced(ledgers.events)).toBe(true)
})

test.each([
  ['address', 'events'],
  ['address', 'bytes'],
  ['subject', 'events'],
  ['subject', 'bytes'],
] as const)(
  'connections of one %s share its rate in %s; what is beyond is kept by the client',
  async (scope, unit) => {
    const costs = { events: 1, bytes: frameBytes(0).length }
    const burst = 4 * costs[unit]
    const { open, clock, ledgers, rates } = await createBench({
      rates: { [scope]: { [unit]: { perSecond: burst, burst } } },
    })
    const [first, second, other] = ['a', 'a', 'b'].map((payer) => open({ [scope]: payer }))
    for (const frame of [0, 1]) first?.connection.receive(frameBytes(frame))
    for (const frame of [0, 1, 2]) second?.connection.receive(frameBytes(frame))
    for (const frame of [0, 1, 2, 3]) other?.connection.receive(frameBytes(frame))
    const [slow, ...more] = (second?.socket.take() ?? []).flatMap((said) => said.slow ?? [])
    expect(more).toEqual([])
    expect(slow?.resendFrom).toBe(2)
    // Half the burst takes half a second; chance adds as much at most.
    expect(slow?.retryAfterMs).toBeGreaterThanOrEqual(500)
    expect(slow?.retryAfterMs).toBeLessThanOrEqual(1_000)
    expect(ledgers.events).toMatchObject({ received: 9, refused: 1, inFlight: 8 })
    expect(ledgers.events.refusedBy.rate).toBe(1)
    expect(rates.remembered[scope]).toBe(2)
    await pass(clock, slow?.retryAfterMs ?? 0)
    second?.connection.receive(frameBytes(2))
    await pass(clock, 30)
    await turn()
    expect(second?.socket.take().at(-1)).toMatchObject({ ack: 2 })
    expect(other?.socket.take().at(-1)).toMatchObject({ ack: 3 })
    expect(isBalanced(ledgers.events)).toBe(true)
  },
)

test('short of memory the edges stand still, and move on by themselves afterwards', async () => {
  const { open, clock, grants } = await createBench()
  const { connection, socket } = open()
  socket.take()
  grants.credit = false
  connection.receive(frameBytes(0))
  await pass(clock, 10)
  await turn()
  const [held] = socket.take()
  expect(held).toMatchObject({ ack: 0, creditFrames: 7 })
  expect(held?.creditBytes).toBeLessThan(20_000)
  connection.sweep()
  expect(socket.take()).toEqual([])
  grants.credit = true
  connection.sweep()
  expect(socket.take()).toEqual([{ ack: 0, creditFrames: 8, creditBytes: 20_000 }])
  connection.sweep()
  expect(socket.take()).toEqual([])
})

test('a frame that the log will never take closes its own connection with 1011', async () => {
  const { open, log, clock, ledgers } = await createBench({ partitions: 1 })
  log.failWith((records) =>
    records.some(({ key }) => key === 'bad') ? logErrors.create('LOG_RECORD_TOO_LARGE') : undefined,
  )
  const bad = open()
  const good = open()
  bad.connection.receive(frameBytes(0, { session: { sessionId: 'bad' } }))
  good.connection.receive(frameBytes(0))
  await pass(clock, 500)
  await turn()
  expect(bad.socket.ended).toEqual({ code: 1011, reason: 'GATEWAY_APPEND_REFUSED' })
  expect(good.socket.take().at(-1)).toMatchObject({ ack: 0 })
  expect(ledgers.events).toMatchObject({ received: 2, accepted: 1, refused: 1, inFlight: 0 })
})

test('a client that does not read is closed when its buffer is full; others are not', async () => {
  const { open, clock, settings } = await createBench()
  const slow = open()
  const other = open()
  slow.connection.receive(frameBytes(0))
  other.connection.receive(frameBytes(0))
  slow.socket.bufferedBytes = settings.sendBufferMaxBytes
  await pass(clock, 10)
  await turn()
  expect(slow.socket.ended).toBeUndefined()
  slow.socket.bufferedBytes += 1
  slow.connection.receive(frameBytes(1))
  await pass(clock, 10)
  await turn()
  expect(slow.socket.ended).toEqual({ code: 1013, reason: 'GATEWAY_CLIENT_TOO_SLOW' })
  expect(other.socket.ended).toBeUndefined()
  expect(other.socket.take().at(-1)).toMatchObject({ ack: 0 })
})

test('many rejections are told in several acknowledgements of bounded size', async () => {
  const { open, clock } = await createBench({
    settings: { frameMaxBytes: 30_000, credit: { frames: 8, bytes: 100_000 } },
    bounds: { maxRecords: 10_000, maxBytes: 10_000_000, batchMaxRecords: 10_000 },
  })
  const { connection, socket } = open()
  socket.take()
  const events = Array.from({ length: 100 }, () => 7)
  for (let frame = 0; frame < 5; frame++) connection.receive(frameBytes(frame, { events }))
  await pass(clock, 10)
  await turn()
  for (const message of socket.sent) expect(message.length).toBeLessThanOrEqual(ACK_MAX_BYTES)
  const said = socket.take()
  expect(said.map(({ ack }) => ack)).toEqual([1, 3, 4])
  for (const { rejected = [] } of said) {
    expect(rejected.length).toBeLessThanOrEqual(192)
    expect(rejected.filter(({ code }) => code === 'GATEWAY_REJECTIONS_OMITTED')).toHaveLength(
      new Set(rejected.map(({ frame }) => frame)).size,
    )
  }
  expect(said[0]?.rejected?.[64]).toEqual({
    frame: 0,
    code: 'GATEWAY_REJECTIONS_OMITTED',
    detail: '36 more events',
  })
})

test('without a first frame in time the connection is closed with 4408', async () => {
  const { open, clock, settings } = await createBench()
  const { connection, socket } = open()
  const talking = open()
  talking.connection.receive(frameBytes(0))
  await pass(clock, settings.helloMs - 1)
  connection.sweep()
  expect(socket.ended).toBeUndefined()
  await pass(clock, 1)
  connection.sweep()
  talking.connection.sweep()
  expect(socket.ended).toMatchObject({
    code: 4408,
    reason: expect.stringContaining('GATEWAY_HELLO_TIMEOUT'),
  })
  expect(talking.socket.ended).toBeUndefined()
})

test('a silent connection is pinged, and closed when it does not answer', async () => {
  const { open, clock, settings } = await createBench()
  const { connection, socket } = open()
  connection.receive(frameBytes(0))
  await pass(clock, settings.pingMs)
  connection.sweep()
  connection.sweep()
  expect(socket.pings).toBe(1)
  connection.heard()
  await pass(clock, settings.pingMs)
  connection.sweep()
  expect(socket.pings).toBe(2)
  await pass(clock, settings.pongTimeoutMs)
  connection.sweep()
  expect(socket.ended).toMatchObject({
    code: 4408,
    reason: expect.stringContaining('GATEWAY_CLIENT_UNRESPONSIVE'),
  })
})

test('a connection that answers pings but brings no frame is idle', async () => {
  const { open, clock, settings } = await createBench()
  const { connection, socket } = open()
  connection.receive(frameBytes(0))
  for (let passedMs = 0; passedMs < settings.idleMs; passedMs += 4_000) {
    expect(socket.ended).toBeUndefined()
    await pass(clock, 4_000)
    connection.heard()
    connection.sweep()
  }
  expect(socket.ended?.reason).toContain('GATEWAY_IDLE_TIMEOUT')
})

test('a connection ends with 4401 when its token has expired and the grace is over', async () => {
  const { open, clock, settings } = await createBench()
  const { connection, socket } = open({ tokenExpiresAtMs: clock.nowMs() + 1_000 })
  connection.receive(frameBytes(0))
  await pass(clock, 1_000 + settings.tokenGraceMs - 1)
  connection.heard()
  connection.sweep()
  expect(socket.ended).toBeUndefined()
  await pass(clock, 1)
  connection.sweep()
  expect(socket.ended).toEqual({ code: 4401, reason: 'GATEWAY_TOKEN_EXPIRED' })
})

test('a leaving connection takes no more frames, acknowledges what is in flight, then closes 1001', async () => {
  const { open, log, clock } = await createBench()
  const { connection, socket } = open()
  socket.take()
  log.hold()
  connection.receive(frameBytes(0))
  connection.goAway(40)
  await pass(clock, 40 + LEAVE_MARGIN_MS - 1)
  connection.sweep()
  connection.receive(frameBytes(1))
  await pass(clock, 1)
  connection.sweep()
  connection.receive(frameBytes(2))
  await pass(clock, 10)
  expect(socket.take()).toEqual([{ goaway: { reconnectAfterMs: 40 } }])
  log.release()
  await pass(clock, 10)
  await turn()
  expect(socket.take()).toMatchObject([{ ack: 1 }])
  expect(socket.ended).toEqual({ code: 1001, reason: 'GATEWAY_DRAINING' })
  expect(log.records(TOPICS.events)).toHaveLength(2)
})

test('a connection is asked to go when its lifetime is over, and closed with 1001 of its own code', async () => {
  const { open, clock } = await createBench({ settings: { maxLifetimeMs: 60_000 } })
  const connections = Array.from({ length: 20 }, () => open())
  const goneAtMs: number[] = []
  for (let passedMs = 0; passedMs < 60_000; passedMs += 500) {
    await clock.advance(500)
    for (const { connection, socket } of connections) {
      if (passedMs % 4_000 === 0 && socket.ended === undefined)
        connection.receive(frameBytes(passedMs / 4_000))
      connection.sweep()
      await turn()
      if (socket.take().some(({ goaway }) => goaway !== undefined)) goneAtMs.push(passedMs)
    }
  }
  expect(goneAtMs).toHaveLength(20)
  expect(Math.min(...goneAtMs)).toBeGreaterThanOrEqual(60_000 * (1 - LIFETIME_JITTER) - 500)
  expect(new Set(goneAtMs).size).toBeGreaterThan(8)
  await clock.advance(GOAWAY_RECONNECT_MAX_MS + LEAVE_MARGIN_MS)
  for (const { connection } of connections) connection.sweep()
  for (const { socket } of connections)
    expect(socket.ended).toEqual({ code: 1001, reason: 'GATEWAY_LIFETIME_REACHED' })
})

test('a connection at rest keeps nothing but its place: it goes on where it was', async () => {
  const { open, clock, ledgers } = await createBench({
    rates: { connection: { frames: { perSecond: 1, burst: 3 } } },
  })
  const { connection, socket } = open()
  for (const frame of [0, 1, 2]) connection.receive(frameBytes(frame))
  await pass(clock, 10)
  await turn()
  expect(socket.take().at(-1)).toEqual({ ack: 2, creditFrames: 8, creditBytes: 20_000 })
  await clock.advance(REST_AFTER_MS)
  connection.sweep()
  // The rate is not forgotten before it would be whole again.
  for (const frame of [3, 4, 5]) connection.receive(frameBytes(frame))
  expect(socket.take()).toMatchObject([{ slow: { resendFrom: 5 } }])
  await clock.advance(10_000)
  await turn()
  connection.sweep()
  for (const frame of [5, 6, 7]) connection.receive(frameBytes(frame))
  await pass(clock, 10)
  await turn()
  expect(socket.take().at(-1)).toEqual({ ack: 7, creditFrames: 8, creditBytes: 20_000 })
  await pass(clock, 100)
  expect(isBalanced(ledgers.events)).toBe(true)
})

test('what a client sent before it went away is kept, and nobody is told', async () => {
  const { open, log, clock, ledgers } = await createBench()
  const { connection, socket } = open()
  socket.take()
  connection.receive(frameBytes(0))
  connection.closed('client')
  await pass(clock, 10)
  await turn()
  expect(log.records(TOPICS.events)).toHaveLength(1)
  expect(ledgers.events).toMatchObject({ accepted: 1, inFlight: 0 })
  expect(socket.take()).toEqual([])
})
