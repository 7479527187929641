/**
 * An upstream feed for tests: it keeps its messages with numbers and cursors, goes on from where a
 * connection asks, and misbehaves as it is told.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocketServer, type WebSocket } from 'ws'

export interface FeedServerOptions {
  readonly port?: number
  /** A certificate and its key in a PKCS12 file: then the feed is wss. */
  readonly tls?: { readonly pfx: Uint8Array; readonly passphrase: string }
}

interface Kept {
  readonly connection: number
  readonly text: string
}

type Behaviour = 'serve' | 'redirect' | 'refuse'

export class FeedServer {
  /** Upgrades that were asked for, as their URL. */
  readonly upgrades: string[] = []
  readonly headers: IncomingMessage['headers'][] = []
  /** Texts that relays have sent. */
  readonly heard: string[] = []
  behaviour: Behaviour = 'serve'
  readonly #server: Server
  readonly #sockets = new WebSocketServer({ noServer: true })
  readonly #raw = new Set<Socket>()
  readonly #open = new Map<WebSocket, { readonly connection: number; next: number }>()
  readonly #kept: Kept[] = []
  readonly #scheme: string

  constructor({ port = 0, tls }: FeedServerOptions = {}) {
    this.#scheme = tls === undefined ? 'ws' : 'wss'
    this.#server =
      tls === undefined
        ? createServer()
        : (createTlsServer({ ...tls, pfx: Buffer.from(tls.pfx) }) as unknown as Server)
    this.#server.on('connection', (socket: Socket) => {
      this.#raw.add(socket)
      socket.on('close', () => this.#raw.delete(socket))
    })
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head))
    this.#server.listen(port, '127.0.0.1')
  }

  async ready(): Promise<this> {
    if (!this.#server.listening) await once(this.#server, 'listening')
    return this
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** With the template of a relay. */
  get url(): string {
    return `${this.#scheme}://127.0.0.1:${this.port}/feed/{connection}?from={cursor}`
  }

  get connections(): number {
    return this.#open.size
  }

  /** A message that is kept; `make` is given its cursor and its number in its connection. */
  publish(make: (at: { cursor: string; number: number }) => string, connection = 0): void {
    const number = this.#kept.filter((kept) => kept.connection === connection).length
    this.#kept.push({ connection, text: make({ cursor: `${number + 1}`, number }) })
    this.#serve()
  }

  /** Something that is sent once to everyone who is there. */
  say(data: string | Uint8Array): void {
    for (const socket of this.#open.keys()) socket.send(data)
  }

  /** Ends every connection, with a close frame or without. */
  drop(code?: number): void {
    for (const socket of this.#open.keys())
      if (code === undefined) socket.terminate()
      else socket.close(code)
  }

  /** Does as if the machine were gone, without a word: sockets stay, and nothing answers. */
  stall(): void {
    for (const socket of this.#raw) socket.pause()
  }

  async stop(): Promise<void> {
    for (const socket of this.#open.keys()) socket.terminate()
    for (const socket of this.#raw) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const url = new URL(request.url ?? '', 'http://feed')
    this.upgrades.push(`${url.pathname}${url.search}`)
    this.headers.push(request.headers)
    if (this.behaviour === 'redirect')
      return void socket.end('HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/else\r\n\r\n')
    if (this.behaviour === 'refuse') return void socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
    const connection = Number(url.pathname.split('/').at(-1))
    this.#sockets.handleUpgrade(request, socket, head, (upgraded) => {
      this.#open.set(upgraded, { connection, next: Number(url.searchParams.get('from') ?? 0) })
      upgraded.on('close', () => this.#open.delete(upgraded))
      upgraded.on('message', (data: Buffer) => this.heard.push(data.toString()))
      this.#serve()
    })
  }

  #serve(): void {
    for (const [socket, at] of this.#open) {
      const own = this.#kept.filter(({ connection }) => connection === at.connection)
      for (const { text } of own.slice(at.next)) socket.send(text)
      at.next = own.length
    }
  }
}
