/**
 * The client against servers that acknowledge, slow down, drain, drop and fall silent at random.
 * The server checks the protocol from its side; at the end it heals, and everything that was
 * accepted must have been acknowledged. A failing seed is printed and repeats the run.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ManualClock } from '../shared/runtime/clock.ts'
import { seededRandom, type Random } from '../shared/runtime/random.ts'
import { PlaybackClient } from './playback-client.ts'
import type { PlaybackEvent } from './protocol-types.ts'
import type { ClientSocket, SocketListener } from './runtime.ts'

const identity = (sessionId: string, seq: number) => `${sessionId}/${seq}`

/** What all connections of a run saw. */
interface ServerRecord {
  readonly durable: Map<string, string>
  readonly violations: string[]
}

/** One connection of a server that keeps the protocol and is otherwise capricious. */
class RandomServer implements ClientSocket {
  readonly #random: Random
  readonly #listener: SocketListener
  readonly #record: ServerRecord
  /** Frames taken and not acknowledged, lowest number first. */
  readonly #taken: { readonly text: string; readonly bytes: number }[] = []
  #frameBytesMax = 0
  #ack = -1
  #ackedBytes = 0
  #edgeFrame = -1
  #edgeBytes = 0
  #discardUntil: number | undefined
  #goneAway = false
  #open = true
  welcomed = false
  healthy = false

  constructor(random: Random, listener: SocketListener, record: ServerRecord) {
    this.#random = random
    this.#listener = listener
    this.#record = record
  }

  send(text: string): void {
    const bytes = Buffer.byteLength(text)
    this.#require(this.#open && this.welcomed, 'sent on a connection that is not ready')
    this.#require(bytes <= this.#frameBytesMax, 'frame larger than frameMaxBytes')
    const { frame } = JSON.parse(text) as { frame: number }
    if (this.#discardUntil !== undefined && frame !== this.#discardUntil) return
    this.#discardUntil = undefined
    this.#require(frame === this.#ack + 1 + this.#taken.length, 'frame number with a gap')
    this.#require(frame <= this.#edgeFrame, 'frame beyond its credit')
    this.#taken.push({ text, bytes })
    const takenBytes = this.#taken.reduce((sum, taken) => sum + taken.bytes, 0)
    this.#require(this.#ackedBytes + takenBytes <= this.#edgeBytes, 'bytes beyond their credit')
    this.#require(!this.#goneAway, 'a frame after goaway')
  }

  #require(kept: boolean, violation: string): void {
    if (!kept) this.#record.violations.push(violation)
  }

  close(): void {
    this.#open = false
  }

  get isOpen(): boolean {
    return this.#open
  }

  step(): void {
    if (!this.#open) return
    if (!this.welcomed) return this.#welcome()
    if (this.healthy) return this.#acknowledge(this.#taken.length)
    const chance = this.#random.next()
    if (chance < 0.45) this.#acknowledge(this.#random.below(this.#taken.length + 1))
    else if (chance < 0.55) this.#slow()
    else if (chance < 0.58) this.#goaway()
    else if (chance < 0.63) this.#drop()
  }

  #welcome(): void {
    this.welcomed = true
    this.#frameBytesMax = 400 + this.#random.below(1_000)
    const creditFrames = this.healthy ? 64 : this.#random.below(8)
    const creditBytes = this.#frameBytesMax + this.#random.below(2_000)
    this.#grant(creditFrames, creditBytes)
    const welcome = {
      creditFrames,
      creditBytes,
      frameMaxBytes: this.#frameBytesMax,
      heartbeatMs: 1,
    }
    this.#say({ welcome })
  }

  #acknowledge(frames: number): void {
    for (const { text, bytes } of this.#taken.splice(0, frames)) {
      this.#ackedBytes += bytes
      this.#keep(text)
    }
    this.#ack += frames
    const creditFrames = this.healthy ? 64 : this.#random.below(8)
    const creditBytes = this.healthy ? 100_000 : this.#random.below(4_000)
    this.#grant(creditFrames, creditBytes)
    this.#say({ ack: this.#ack, creditFrames, creditBytes })
  }

  #keep(text: string): void {
    const { session, events } = JSON.parse(text) as {
      session: { sessionId: string }
      events: PlaybackEvent[]
    }
    for (const event of events) {
      const bytes = JSON.stringify(event)
      this.#require(text.includes(bytes), 'an event whose bytes changed')
      this.#record.durable.set(identity(session.sessionId, event.seq), bytes)
    }
  }

  #slow(): void {
    if (this.#taken.length === 0) return
    const kept = this.#random.below(this.#taken.length)
    this.#taken.length = kept
    this.#discardUntil = this.#ack + 1 + kept
    this.#say({
      slow: { resendFrom: this.#discardUntil, retryAfterMs: this.#random.below(2_000) },
    })
  }

  #goaway(): void {
    if (this.#goneAway) return
    this.#goneAway = true
    this.#say({ goaway: { reconnectAfterMs: this.#random.below(5_000) } })
  }

  #drop(): void {
    this.#open = false
    // What was taken may have become durable all the same: the client cannot know.
    for (const { text } of this.#taken) if (this.#random.next() < 0.5) this.#keep(text)
    this.#listener.closed([1001, 1006, 1008, 4408][this.#random.below(4)] ?? 1006, '')
  }

  #grant(creditFrames: number, creditBytes: number): void {
    this.#edgeFrame = Math.max(this.#edgeFrame, this.#ack + creditFrames)
    this.#edgeBytes = Math.max(this.#edgeBytes, this.#ackedBytes + creditBytes)
  }

  #say(message: unknown): void {
    this.#listener.message(JSON.stringify(message))
  }
}

async function run(seed: number): Promise<void> {
  const random = seededRandom(seed)
  const clock = new ManualClock()
  const record: ServerRecord = { durable: new Map(), violations: [] }
  const accepted = new Map<string, string>()
  let server: RandomServer | undefined
  let healthy = false
  const client = new PlaybackClient({
    url: 'ws://127.0.0.1/v1/events',
    clock,
    random,
    limits: { queueFramesMax: 40, serverSilenceMaxMs: 15_000 },
    openSocket: (_url, _subprotocols, listener) => {
      server = new RandomServer(random, listener, record)
      server.healthy = healthy
      return server
    },
  })
  client.connect()
  const nextSeqs = [0, 0, 0]
  for (let step = 0; step < 150; step++) {
    if (random.next() < 0.7) offer(client, random, nextSeqs, accepted)
    server?.step()
    checkCounters(client)
    await clock.advance(random.below(random.next() < 0.1 ? 20_000 : 400))
  }
  healthy = true
  if (server !== undefined) server.healthy = true
  for (let step = 0; step < 400 && client.metrics.eventsQueued > 0; step++) {
    server?.step()
    await clock.advance(500)
  }
  checkCounters(client)
  expect(record.violations).toEqual([])
  expect(client.metrics.eventsQueued).toBe(0)
  for (const [key, bytes] of accepted) expect(record.durable.get(key)).toBe(bytes)
  for (const key of record.durable.keys()) expect(accepted.has(key)).toBe(true)
  expect(client.metrics.eventsAcknowledged).toBe(accepted.size)
  client.close()
}

function offer(
  client: PlaybackClient,
  random: Random,
  nextSeqs: number[],
  accepted: Map<string, string>,
): void {
  const which = random.below(nextSeqs.length)
  const first = nextSeqs[which] ?? 0
  const events = Array.from({ length: 1 + random.below(6) }, (_, index): PlaybackEvent => ({
    seq: first + index,
    type: 'custom',
    at: 1_800_000_000_000 + index,
    name: 'filler',
    value: 'x'.repeat(1 + random.below(100)),
  }))
  if (!client.send({ sessionId: `session-${which}` }, events).accepted) return
  nextSeqs[which] = first + events.length
  for (const event of events)
    accepted.set(identity(`session-${which}`, event.seq), JSON.stringify(event))
}

function checkCounters(client: PlaybackClient): void {
  const metrics = client.metrics
  expect(metrics.eventsAccepted).toBe(
    metrics.eventsAcknowledged + metrics.eventsUndeliverable + metrics.eventsQueued,
  )
}

test('whatever a server does, no accepted event is lost, doubled in number or sent beyond credit', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 31 - 1 }), (seed) => run(seed)),
    { numRuns: 40 },
  )
})
