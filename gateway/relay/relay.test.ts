import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { decodeReject } from '../../shared/log/reject-record.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import { FeedServer } from '../../shared/http/testing/feed-server.ts'
import { eventsOf, startTestRelay, stopTestRelays } from './testing/test-relay.ts'

const servers: FeedServer[] = []

async function feedServer(options?: ConstructorParameters<typeof FeedServer>[0]) {
  const server = await new FeedServer(options).ready()
  servers.push(server)
  return server
}

afterEach(async () => {
  await stopTestRelays()
  for (const server of servers.splice(0)) await server.stop()
})

const frame = (sessionId: string, ...seqs: number[]) =>
  JSON.stringify({
    v: 1,
    sentAt: 1_790_000_000_000,
    session: { sessionId, viewerId: 'v-1' },
    events: seqs.map((seq) => ({ seq, type: 'heartbeat', at: 1_790_000_000_000 + seq })),
  })

/** A message of our own protocol at its position. */
const lines =
  (...frames: string[]) =>
  (at: { cursor: string; number: number }) =>
    [JSON.stringify(at), ...frames].join('\n')

const items =
  (...events: object[]) =>
  ({ cursor, number }: { cursor: string; number: number }) =>
    JSON.stringify({ position: cursor, number, events })

const feedOf = (server: FeedServer, more: object = {}) => ({
  id: 'acme',
  mapping: 'playback.v1',
  urls: [server.url],
  resumable: true,
  numbersGoOn: true,
  ...more,
})

test('frames of a feed go to the log, under a pseudonym, and are acknowledged after that', async () => {
  const server = await feedServer()
  const relay = await startTestRelay({ feeds: [feedOf(server)] })
  relay.log.hold()
  server.publish(lines(frame('s-1', 0, 1), frame('s-2', 0)))
  await expect.poll(() => relay.log.heldAppends).toBeGreaterThan(0)
  expect(server.heard.filter((text) => text.includes('ack'))).toEqual([])
  relay.log.release()
  await expect.poll(() => server.heard).toContain('{"ack":"1"}')
  expect(eventsOf(relay.log).toSorted()).toEqual(['s-1/0', 's-1/1', 's-2/0'])
  expect(JSON.stringify(relay.log.values(TOPICS.events))).not.toContain('v-1')
  const { received, accepted, inFlight } = relay.ledgers.events
  expect({ received, accepted, inFlight }).toEqual({ received: 3, accepted: 3, inFlight: 0 })
})

test('a feed that drops goes on where it was, nothing missing and nothing twice', async () => {
  const server = await feedServer()
  const relay = await startTestRelay({ feeds: [feedOf(server)] })
  const expected = Array.from({ length: 30 }, (_, seq) => `s-1/${seq}`)
  for (let begun = 0; begun < 30; begun += 10) {
    for (let seq = begun; seq < begun + 10; seq += 1) server.publish(lines(frame('s-1', seq)))
    await expect.poll(() => eventsOf(relay.log)).toHaveLength(begun + 10)
    server.drop()
    await expect.poll(() => server.upgrades).toHaveLength(begun / 10 + 2)
  }
  await expect.poll(() => eventsOf(relay.log)).toEqual(expected)
  expect(await relay.metric('relay_missing_messages_total')).toBe(0)
  expect(await relay.metric('relay_connection_ends_total', 'RELAY_FEED_CLOSED')).toBe(3)
})

test('sessions of a feed without numbers keep their identities over relays', async () => {
  const server = await feedServer()
  const feeds = [feedOf(server, { mapping: 'json-array' })]
  const first = await startTestRelay({ feeds })
  const at = 1_790_000_000_000
  server.publish(items({ session: 'x', what: 'open', at }, { session: 'x', what: 'play', at }))
  server.publish(items({ session: 'y', what: 'open', at }, { session: 'x', what: 'alive', at }))
  await expect.poll(() => eventsOf(first.log)).toHaveLength(4)
  await first.stop()
  const second = await startTestRelay({ feeds, after: first })
  server.publish(items({ session: 'x', what: 'close', at }, { session: 'y', what: 'play', at }))
  // After its end it is another session.
  server.publish(items({ session: 'x', what: 'open', at }))
  await expect.poll(() => eventsOf(second.log)).toHaveLength(7)
  const bySession = new Map<string, number[]>()
  for (const event of eventsOf(second.log)) {
    const [id = '', seq] = event.split('/')
    bySession.set(id, [...(bySession.get(id) ?? []), Number(seq)])
  }
  expect(new Set([...bySession.values()].map(String))).toEqual(new Set(['0', '0,1', '0,1,2,3']))
  const { session } = second.log.values(TOPICS.events)[0] as { session: { labels: object } }
  expect(session.labels).toEqual({ sourceSession: 'x' })
})

test('what a relay that died had not saved is made the same again by the next', async () => {
  const server = await feedServer()
  const feeds = [feedOf(server, { mapping: 'json-array' })]
  // It saves nothing after its first look.
  const first = await startTestRelay({ feeds, config: { saveMs: 600_000 } })
  const at = 1_790_000_000_000
  for (const what of ['open', 'play', 'alive']) server.publish(items({ session: 'x', what, at }))
  await expect.poll(() => eventsOf(first.log)).toHaveLength(3)
  const before = [...eventsOf(first.log)]
  // As after a kill: its saves are refused, its lease has gone.
  for (const { name } of await first.objects.list('relay/leases/', { limit: 10 }))
    await first.objects.delete(name)
  const second = await startTestRelay({ feeds, after: first })
  await expect.poll(() => eventsOf(second.log)).toHaveLength(6)
  expect(eventsOf(second.log).slice(3)).toEqual(before)
})

test('a feed in CMCD lines', async () => {
  const server = await feedServer()
  const relay = await startTestRelay({
    feeds: [feedOf(server, { mapping: 'cmcd', resumable: false, numbersGoOn: false })],
  })
  await expect.poll(() => server.connections).toBe(1)
  server.say('sid="c-1",sn=0,ts=1790000000000,e=ps,sta=s\nsid="c-1",sn=1,ts=1790000000500,e=t\n???')
  await expect.poll(() => eventsOf(relay.log)).toEqual(['c-1/0', 'c-1/1'])
  await expect.poll(() => relay.metric('relay_rejections_total', 'CMCD_')).toBe(1)
})

test('garbage and a changed schema are kept as rejects, with their reason; the feed goes on', async () => {
  const server = await feedServer()
  const relay = await startTestRelay({ feeds: [feedOf(server, { mapping: 'json-array' })] })
  await expect.poll(() => server.connections).toBe(1)
  server.say(Buffer.from([0xff, 0x00, 0x7b]))
  server.say('{"position":"9","events":[{"session":"x","at":"yesterday","what":"open"}]}')
  server.publish(items({ session: 'x', what: 'open', at: 1_790_000_000_000 }))
  await expect.poll(() => eventsOf(relay.log)).toHaveLength(1)
  await expect.poll(() => relay.log.records(TOPICS.rejects)).toHaveLength(2)
  const rejects = relay.log.records(TOPICS.rejects).map(({ value }) => decodeReject(value))
  expect(rejects.map(({ code }) => code)).toEqual(['FEED_MESSAGE_INVALID', 'FEED_MESSAGE_INVALID'])
  expect(rejects.map(({ detail }) => detail).join()).toContain('events.0.at')
  const opened = rejects.map(({ sealed }) => Buffer.from(relay.sealer.open(sealed)).toString())
  expect(opened.some((text) => text.includes('yesterday'))).toBe(true)
})

test('while the log is away messages go to the spool, and later to the log in their order', async () => {
  const server = await feedServer()
  const relay = await startTestRelay({
    feeds: [feedOf(server, { resumable: false })],
    config: { messageMaxBytes: 1_024, inFlightMaxBytes: 1_024, spoolMaxBytes: 2 ** 20 },
  })
  await expect.poll(() => server.connections).toBe(1)
  relay.log.fail()
  for (let seq = 0; seq < 100; seq += 1) server.publish(lines(frame('s-1', seq)))
  await expect.poll(() => relay.metric('relay_messages_total')).toBeGreaterThan(0)
  await expect.poll(() => relay.metric('relay_spool_bytes')).toBeGreaterThan(10_000)
  expect(await relay.metric('relay_in_flight_bytes')).toBeLessThanOrEqual(1_024)
  relay.log.heal()
  const expected = Array.from({ length: 100 }, (_, seq) => `s-1/${seq}`)
  await expect.poll(() => eventsOf(relay.log)).toEqual(expected)
  expect(server.upgrades).toHaveLength(1)
})

test('a full spool closes the feed, which is opened again when there is room', async () => {
  const server = await feedServer()
  const relay = await startTestRelay({
    feeds: [feedOf(server)],
    config: { messageMaxBytes: 1_024, inFlightMaxBytes: 1_024, spoolMaxBytes: 2_048 },
  })
  await expect.poll(() => server.connections).toBe(1)
  relay.log.fail()
  for (let seq = 0; seq < 100; seq += 1) server.publish(lines(frame('s-1', seq)))
  await expect.poll(() => relay.metric('relay_connection_ends_total', 'SPOOL_FULL')).toBe(1)
  await expect.poll(() => server.connections).toBe(0)
  relay.log.heal()
  const expected = Array.from({ length: 100 }, (_, seq) => `s-1/${seq}`)
  await expect.poll(() => [...new Set(eventsOf(relay.log))]).toEqual(expected)
  expect(eventsOf(relay.log)).toHaveLength(100)
})

test('what the feed’s numbers say is missing is counted', async () => {
  const server = await feedServer()
  const relay = await startTestRelay({ feeds: [feedOf(server, { resumable: false })] })
  await expect.poll(() => server.connections).toBe(1)
  server.say(lines(frame('s-1', 0))({ cursor: 'a', number: 10 }))
  server.say(lines(frame('s-1', 1))({ cursor: 'b', number: 14 }))
  server.say(lines(frame('s-1', 2))({ cursor: 'c', number: 12 }))
  await expect.poll(() => relay.metric('relay_repeated_messages_total')).toBe(1)
  expect(await relay.metric('relay_missing_messages_total')).toBe(3)
  await expect.poll(() => eventsOf(relay.log)).toEqual(['s-1/0', 's-1/1'])
  server.drop()
  await expect.poll(() => relay.metric('relay_unresumed_reconnects_total')).toBe(1)
})

test('with its first address down a feed is had from the second', async () => {
  const [gone, server] = [await feedServer(), await feedServer()]
  const goneUrl = gone.url
  await gone.stop()
  servers.splice(servers.indexOf(gone), 1)
  const relay = await startTestRelay({ feeds: [feedOf(server, { urls: [goneUrl, server.url] })] })
  server.publish(lines(frame('s-1', 0)))
  await expect.poll(() => eventsOf(relay.log)).toEqual(['s-1/0'])
  expect(await relay.metric('relay_connection_ends_total', 'UNREACHABLE')).toBeGreaterThan(0)
})

test('redirects, refusals, silence and oversized messages each end with their own code', async () => {
  const server = await feedServer()
  server.behaviour = 'redirect'
  const relay = await startTestRelay({
    feeds: [feedOf(server, { silenceMaxMs: 500, headers: { authorization: 'Bearer x' } })],
    config: { messageMaxBytes: 1_024, inFlightMaxBytes: 2_048 },
  })
  const ends = (code: string) => relay.metric('relay_connection_ends_total', code)
  await expect.poll(() => ends('RELAY_FEED_REDIRECTED')).toBeGreaterThan(0)
  server.behaviour = 'refuse'
  await expect.poll(() => ends('RELAY_FEED_REFUSED')).toBeGreaterThan(0)
  server.behaviour = 'serve'
  await expect.poll(() => server.connections).toBe(1)
  server.say('x'.repeat(5_000))
  await expect.poll(() => ends('RELAY_MESSAGE_TOO_LARGE')).toBe(1)
  await expect.poll(() => server.connections).toBe(1)
  server.stall()
  await expect.poll(() => ends('RELAY_FEED_SILENT')).toBeGreaterThan(0)
  expect(server.headers.every(({ authorization }) => authorization === 'Bearer x')).toBe(true)
})

test('a feed that floods, sends garbage and closes leaves another feed untouched', async () => {
  const [bad, good] = [await feedServer(), await feedServer()]
  const relay = await startTestRelay({
    feeds: [feedOf(bad, { id: 'bad' }), feedOf(good, { id: 'good' })],
    config: { messageMaxBytes: 4_096, inFlightMaxBytes: 8_192, spoolMaxBytes: 16_384 },
  })
  await expect.poll(() => bad.connections + good.connections).toBe(2)
  for (let seq = 0; seq < 50; seq += 1) {
    for (let copy = 0; copy < 20; copy += 1) bad.say('garbage'.repeat(400))
    if (seq % 10 === 9) bad.drop(1011)
    good.publish(lines(frame('s-1', seq)))
  }
  const expected = Array.from({ length: 50 }, (_, seq) => `s-1/${seq}`)
  await expect.poll(() => eventsOf(relay.log)).toEqual(expected)
  expect(await relay.metric('relay_connection_ends_total', '"good"')).toBe(0)
  const { received, accepted, rejected, refused, inFlight } = relay.ledgers.events
  expect(received).toBe(accepted + rejected + refused + inFlight)
})

test('connections of a feed are shared out among relays by what each may own', async () => {
  const server = await feedServer()
  const feeds = [feedOf(server, { connections: 4 })]
  const first = await startTestRelay({ feeds, config: { ownedMax: 2 } })
  const second = await startTestRelay({ feeds, config: { ownedMax: 2 }, after: first })
  await expect.poll(() => server.connections).toBe(4)
  for (const relay of [first, second]) {
    await expect.poll(() => relay.metric('relay_connections_owned')).toBe(2)
    expect(await relay.metric('relay_connections_wanted')).toBe(4)
  }
  for (let connection = 0; connection < 4; connection += 1)
    server.publish(lines(frame(`s-${connection}`, 0)), connection)
  await expect.poll(() => eventsOf(first.log)).toHaveLength(4)
  await first.stop()
  await expect.poll(() => server.connections).toBe(2)
  expect(second.folder).toBe(first.folder)
})

test('a blank message of a feed of CMCD holds nothing up', async () => {
  const server = await feedServer()
  const relay = await startTestRelay({
    feeds: [feedOf(server, { mapping: 'cmcd', resumable: false, numbersGoOn: false })],
  })
  await expect.poll(() => server.connections).toBe(1)
  server.say('\n')
  server.say('sid="c-1",sn=0,ts=1790000000000,e=ps,sta=s')
  await expect.poll(() => eventsOf(relay.log)).toEqual(['c-1/0'])
  await expect.poll(() => relay.metric('relay_in_flight_bytes')).toBe(0)
  await expect.poll(() => relay.metric('relay_lag_ms')).toBe(0)
})

test('a disk that fails under the spool ends the connection alone', async () => {
  const server = await feedServer()
  const relay = await startTestRelay({
    feeds: [feedOf(server)],
    config: { messageMaxBytes: 1_024, inFlightMaxBytes: 1_024 },
  })
  await expect.poll(() => server.connections).toBe(1)
  // A file where the folder should be.
  writeFileSync(join(relay.folder, 'spool'), '')
  relay.log.fail()
  for (let seq = 0; seq < 30; seq += 1) server.publish(lines(frame('s-1', seq)))
  await expect.poll(() => relay.metric('relay_connection_ends_total', 'SPOOL_FAILED')).toBe(1)
  relay.log.heal()
  const expected = Array.from({ length: 30 }, (_, seq) => `s-1/${seq}`)
  await expect.poll(() => [...new Set(eventsOf(relay.log))]).toEqual(expected)
})

test('a mapping that throws, or makes what cannot be kept, costs its message or its connection', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'backhaul-mapping-'))
  const mapping = join(folder, 'bad.mjs')
  writeFileSync(
    mapping,
    `let said = 0
    export default {
      hello() { if (said++ === 0) throw new Error('no hello'); return 'hello' },
      map: (message) => JSON.parse(Buffer.from(message).toString()),
    }`,
  )
  const server = await feedServer()
  const relay = await startTestRelay({ feeds: [feedOf(server, { mapping, numbersGoOn: false })] })
  await expect.poll(() => server.heard).toContain('hello')
  expect(await relay.metric('relay_connection_ends_total', 'MAPPING_FAILED')).toBe(1)
  const events = [{ seq: 0, type: 'heartbeat', at: 1_790_000_000_000 }]
  const kept = { session: { sessionId: 's-1' }, events }
  for (const message of [
    { frames: [null] },
    { frames: [{ session: {} }] },
    { position: { cursor: '\ud800' }, frames: [kept] },
    { position: { number: 0.5 }, frames: [kept] },
    { frames: [{ sourceSession: 'x', session: {}, events: [{ type: 'heartbeat', at: 1 }] }] },
  ])
    server.say(JSON.stringify(message))
  server.say(JSON.stringify({ position: { cursor: '1' }, frames: [kept] }))
  await expect.poll(() => eventsOf(relay.log)).toEqual(['s-1/0'])
  await expect.poll(() => relay.log.records(TOPICS.rejects)).toHaveLength(5)
  const rejects = relay.log.records(TOPICS.rejects).map(({ value }) => decodeReject(value))
  expect(rejects.map(({ detail }) => detail).join()).toContain('a cursor of its own')
  rmSync(folder, { recursive: true, force: true })
})
