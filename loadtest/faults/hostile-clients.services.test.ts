/**
 * Rows 21 to 23 and 34 of the fault matrix through the whole gateway on a real broker. Each hostile
 * client stands beside a dense load, of which nothing may be lost.
 */
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { deflateRawSync } from 'node:zlib'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { startKafka, type Kafka } from '../../scripts/services/kafka.ts'
import { frameHeader, RawClient } from '../../shared/http/testing/raw-websocket.ts'
import { systemClock as clock } from '../../shared/runtime/clock.ts'
import { usageOf } from '../load/process-usage.ts'
import { endFaultedGateways, FAULT_TIMEOUT_MS, FaultedGateway } from './faulted-gateway.ts'
import { until } from './until.ts'
import { Visitor } from './visitor.ts'

const MIB = 2 ** 20
const FRAME_MAX_BYTES = 256 * 1_024
/** Twice what one of them may hold would be far less; the rest is what a process varies by. */
const GROWTH_MAX_BYTES = 64 * MIB
const [TEXT, PING, PONG] = [1, 9, 10]

vi.setConfig({ testTimeout: FAULT_TIMEOUT_MS })
let kafka: Kafka

beforeAll(async () => {
  kafka = await startKafka()
})
afterEach(endFaultedGateways)
afterAll(() => kafka.stop())

const frame = (number: number, sessionId: string) =>
  Buffer.from(
    JSON.stringify({
      v: 1,
      frame: number,
      sentAt: clock.nowMs(),
      session: { sessionId },
      events: [{ seq: number, type: 'heartbeat', at: clock.nowMs() }],
    }),
  )

const closes = ({ gateway }: FaultedGateway, code: string) =>
  gateway.metric('gateway_closes_total', `code="${code}"`)

describe('beside a load of which nothing is lost', () => {
  test('row 21: a client that does not read is closed at a bounded buffer, and the p99 of others stays', async () => {
    const faulted = await FaultedGateway.start(kafka, { GATEWAY_SEND_BUFFER_MAX_BYTES: '327680' })
    const neighbour = await Visitor.open(faulted.gateway.port, 'neighbour')
    const p99 = async (rounds: number) => {
      const taken: number[] = []
      for (let round = 0; round < rounds; round++) {
        const sentAtMs = clock.monotonicMs()
        neighbour.send()
        await neighbour.untilAcked()
        taken.push(clock.monotonicMs() - sentAtMs)
      }
      return taken.toSorted((a, b) => a - b)[Math.floor(rounds * 0.99)] ?? 0
    }
    const alone = await p99(100)
    const residentBytes = usageOf(faulted.gateway.pid).residentBytes
    const deaf = await RawClient.open(faulted.gateway.port)
    deaf.socket.pause()
    // Every ping is answered, which fills the kernel's buffers and then the gateway's.
    const ping = Buffer.concat([frameHeader(125, PING), Buffer.alloc(125)])
    const pings = Buffer.concat(Array.from({ length: 2_000 }, () => ping))
    let sent = 0
    const cancel = clock.every(20, () => {
      if (deaf.socket.writableNeedDrain) return
      deaf.send(frame(sent++, 'deaf'))
      deaf.socket.write(pings)
    })
    const beside = await p99(100)
    await until(
      'the deaf one is closed',
      async () => (await closes(faulted, 'GATEWAY_CLIENT_TOO_SLOW')) === 1,
    )
    cancel()
    deaf.socket.destroy()
    expect(usageOf(faulted.gateway.pid).residentBytes - residentBytes).toBeLessThan(
      GROWTH_MAX_BYTES,
    )
    // A machine under load varies; who was held up by the deaf one would wait for its end.
    expect(beside).toBeLessThan(20 * alone + 50)
    neighbour.close()
    await faulted.expectKept()
  })

  test('row 23: oversized frames, deep JSON and a compression bomb are turned away within bounded memory', async () => {
    const faulted = await FaultedGateway.start(kafka)
    const { gateway } = faulted
    const residentBytes = usageOf(gateway.pid).residentBytes
    const large = await RawClient.open(gateway.port)
    large.send(Buffer.alloc(FRAME_MAX_BYTES + 1, 'x'))
    await until('it is closed', () => large.closed)
    expect(large.received).toContain('\x03\xf1GATEWAY_FRAME_TOO_LARGE')
    const huge = await RawClient.open(gateway.port)
    huge.send(Buffer.alloc(4 * FRAME_MAX_BYTES, 'x'))
    await until('it is closed', () => huge.closed)
    await until(
      'both are counted',
      async () => (await closes(faulted, 'GATEWAY_FRAME_TOO_LARGE')) === 2,
    )
    const bomb = deflateRawSync(Buffer.alloc(128 * MIB, 'x'))
    const bomber = await RawClient.open(gateway.port)
    const compressed = frameHeader(bomb.length)
    compressed[0] = 0xc0 | TEXT
    bomber.socket.write(Buffer.concat([compressed, bomb]))
    await until('it is closed', () => bomber.closed)
    const deep = await RawClient.open(gateway.port)
    deep.send(Buffer.from(`{"v":1,"frame":0,"events":${'['.repeat(FRAME_MAX_BYTES - 100)}`))
    await until('it is rejected', () => deep.received.includes('"rejected"'))
    deep.socket.destroy()
    expect(usageOf(gateway.pid).residentBytes - residentBytes).toBeLessThan(GROWTH_MAX_BYTES)
    await faulted.expectKept()
  })

  test('row 22: who says nothing, or drips a header, a frame or fragments, is closed', async () => {
    const faulted = await FaultedGateway.start(kafka, {
      GATEWAY_HEARTBEAT_MS: '5000',
      GATEWAY_IDLE_MS: '10000',
    })
    const { port } = faulted.gateway
    const [silent, frames, fragments, hello] = await Promise.all(
      Array.from({ length: 4 }, () => answering(port)),
    )
    if (!silent || !frames || !fragments || !hello) throw new Error('four are open')
    const header = connect(port, '127.0.0.1')
    let isHeaderCut = false
    header.on('close', () => (isHeaderCut = true)).on('error', () => undefined)
    header.write('GET /v1/events HTTP/1.1\r\nHost: t\r\nX-Drip: ')
    for (const client of [frames, fragments]) client.send(frame(0, 'dripping'))
    await until('both are heard', () =>
      [frames, fragments].every(({ received }) => received.includes('"ack":0')),
    )
    frames.socket.write(frameHeader(10_000))
    for (const client of [fragments, hello]) client.socket.write(fragment(TEXT))
    const cancel = clock.every(200, () => {
      header.write('x')
      frames.socket.write('x')
      for (const client of [fragments, hello]) client.socket.write(fragment(0))
    })
    await until(
      'all are closed',
      () => isHeaderCut && [silent, frames, fragments, hello].every(({ closed }) => closed),
    )
    cancel()
    expect(silent.received).toContain('GATEWAY_HELLO_TIMEOUT')
    expect(hello.received).toContain('GATEWAY_HELLO_TIMEOUT')
    expect(frames.received).toContain('GATEWAY_CLIENT_UNRESPONSIVE')
    expect(fragments.received).toContain('GATEWAY_IDLE_TIMEOUT')
    await faulted.expectKept()
  })

  test('row 34: known keys verify while the key set is down, a rotated one is learned, an expired token ends 4401', async () => {
    const keys = await KeySet.start()
    const settings = {
      BACKHAUL_AUTH_MODE: 'jwks',
      BACKHAUL_AUTH_JWKS_URL: keys.url,
      GATEWAY_TOKEN_GRACE_MS: '1000',
    }
    const faulted = await FaultedGateway.start(kafka, settings, await keys.token('k1'))
    const { gateway } = faulted
    const ask = async (kid: 'k1' | 'k2') => (await gateway.upgrade(await keys.token(kid))).status
    expect(await ask('k1')).toBe(101)
    expect(await ask('k2')).toBe(401)
    keys.isDown = true
    expect(await ask('k1')).toBe(101)
    expect(await ask('k2')).toBe(401)
    const expiring = await Visitor.open(gateway.port, 'expiring', await keys.token('k1', 5))
    expect((await gateway.upgrade()).status).toBe(401)

    keys.isDown = false
    keys.served = 'k2'
    // Who asks for an unknown key does not make the gateway ask the key set each time.
    const asked = keys.requests
    for (let attempt = 0; attempt < 10; attempt++) await ask('k2')
    expect(keys.requests - asked).toBeLessThanOrEqual(1)
    await until('the new key is learned', async () => (await ask('k2')) === 101)
    expect(await ask('k1')).toBe(401)
    await until('the expired one is closed', () => expiring.closeCode !== undefined)
    expect(expiring.closeCode).toBe(4401)
    await faulted.expectKept()
    keys.stop()
  })
})

/** A client that answers pings, so that only what it sends besides can end it. */
async function answering(port: number): Promise<RawClient> {
  const client = await RawClient.open(port)
  client.socket.on('data', (chunk: Buffer) => {
    if (chunk.includes(Buffer.from([0x80 | PING, 0]))) client.send(Buffer.alloc(0), PONG)
  })
  return client
}

/** One byte of a message that goes on. */
function fragment(opcode: number): Buffer {
  const bytes = Buffer.concat([frameHeader(1, opcode), Buffer.from('x')])
  bytes[0] = opcode
  return bytes
}

type KeyId = 'k1' | 'k2'

/** An issuer: its key set as it serves it at the moment, and tokens under any of its keys. */
class KeySet {
  isDown = false
  served: KeyId = 'k1'
  requests = 0
  readonly #keys: Awaited<ReturnType<typeof makeKeys>>
  readonly #server = createServer((_request, response) => this.#answer(response))
  #tokens = 0

  private constructor(keys: Awaited<ReturnType<typeof makeKeys>>) {
    this.#keys = keys
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/keys`
  }

  static async start(): Promise<KeySet> {
    const keySet = new KeySet(await makeKeys())
    keySet.#server.listen(0, '127.0.0.1')
    await once(keySet.#server, 'listening')
    return keySet
  }

  token(kid: KeyId, seconds = 3_600): Promise<string> {
    const exp = Math.floor(clock.nowMs() / 1_000) + seconds
    return new SignJWT({ scope: 'write', jti: `${this.#tokens++}`, exp })
      .setProtectedHeader({ alg: 'ES256', kid })
      .sign(this.#keys[kid].privateKey)
  }

  stop(): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }

  #answer(response: ServerResponse): void {
    this.requests += 1
    if (this.isDown) response.writeHead(500).end()
    else response.end(JSON.stringify({ keys: [this.#keys[this.served].jwk] }))
  }
}

async function makeKeys() {
  const make = async (kid: KeyId) => {
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
    return { privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256' } }
  }
  return { k1: await make('k1'), k2: await make('k2') }
}
