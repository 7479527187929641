import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FaultProxy } from './fault-proxy.ts'

/** A server that sends back what it is sent. */
let echo: Server
let proxy: FaultProxy
const clients: Client[] = []

beforeEach(async () => {
  echo = createServer((socket) => socket.on('error', () => undefined).pipe(socket))
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve))
  proxy = await FaultProxy.start((echo.address() as AddressInfo).port)
})
afterEach(async () => {
  for (const client of clients.splice(0)) client.socket.destroy()
  await proxy.stop()
  await new Promise((resolve) => echo.close(resolve))
})

/** A client of the proxy, with what came back and how it ended. */
class Client {
  readonly socket: Socket
  received = ''
  ended: 'open' | 'closed' | 'reset' = 'open'

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true })
    this.socket.on('data', (bytes: Buffer) => (this.received += bytes.toString()))
    this.socket.on('error', () => (this.ended = 'reset'))
    this.socket.on('close', () => (this.ended = this.ended === 'reset' ? 'reset' : 'closed'))
    clients.push(this)
  }

  send(text: string): void {
    this.socket.write(text)
  }
}

function open(): Client {
  return new Client(proxy.port)
}

/** Echoes once, so that the connection is known to be through. */
async function openAndEcho(): Promise<Client> {
  const client = open()
  client.send('hello')
  await expect.poll(() => client.received).toBe('hello')
  client.received = ''
  return client
}

describe('the fault proxy', () => {
  it('passes bytes on in both directions and counts them', async () => {
    const client = await openAndEcho()
    client.send('more')
    await expect.poll(() => client.received).toBe('more')
    expect(proxy.passedBytes('up')).toBe(9)
    expect(proxy.passedBytes('down')).toBe(9)
    expect(proxy.connections).toBe(1)
  })

  it('ends a connection when either side does', async () => {
    const client = await openAndEcho()
    client.socket.end()
    await expect.poll(() => client.ended).toBe('closed')
    await expect.poll(() => proxy.connections).toBe(0)
  })

  it('delays bytes and keeps their order', async () => {
    const client = await openAndEcho()
    proxy.inject('down', { delayMs: 150 })
    const startMs = performance.now()
    for (const text of ['a', 'b', 'c']) client.send(text)
    await expect.poll(() => client.received, { interval: 5 }).toBe('abc')
    expect(performance.now() - startMs).toBeGreaterThan(140)
  })

  it('throttles', async () => {
    const client = await openAndEcho()
    proxy.inject('up', { bytesPerSecond: 100_000 })
    const startMs = performance.now()
    client.send('x'.repeat(30_000))
    await expect.poll(() => client.received.length, { interval: 5 }).toBe(30_000)
    expect(performance.now() - startMs).toBeGreaterThan(250)
  })

  it('cuts a connection after so many bytes, which still arrive', async () => {
    const client = await openAndEcho()
    proxy.inject('down', { cutAfterBytes: 4 })
    client.send('0123456789')
    await expect.poll(() => client.ended).not.toBe('open')
    expect(client.received).toBe('0123')
  })

  it('swallows one direction while the other goes on', async () => {
    const client = await openAndEcho()
    proxy.inject('down', { blackHole: true })
    const passed = proxy.passedBytes('up')
    client.send('lost answer')
    await expect.poll(() => proxy.passedBytes('up') - passed).toBe('lost answer'.length)
    proxy.heal()
    client.send('heard')
    await expect.poll(() => client.received).toBe('heard')
    expect(client.ended).toBe('open')
  })

  it('resets what is open, and takes new connections after', async () => {
    const client = await openAndEcho()
    proxy.reset()
    await expect.poll(() => client.ended).toBe('reset')
    await openAndEcho()
  })

  it('refuses until it is healed', async () => {
    proxy.refuse()
    const refused = open()
    await expect.poll(() => refused.ended).not.toBe('open')
    proxy.heal()
    await openAndEcho()
  })

  it('applies a fault to connections that come later', async () => {
    proxy.inject('up', { blackHole: true })
    const client = open()
    client.send('nothing')
    proxy.inject('up', {})
    client.send('something')
    await expect.poll(() => client.received).not.toBe('')
    expect('nothingsomething'.endsWith(client.received)).toBe(true)
  })
})
