/**
 * A WebSocket by hand for a load that no other client can send fast enough: what is sent in one
 * turn of the event loop goes in one write, under a mask of zero, so that the bytes stand as they are.
 */
import { connect, type Socket } from 'node:net'
import { frameHeader } from '../../shared/http/testing/raw-websocket.ts'
import type { LoadSocket } from '../k6/load-connection.ts'

const CONNECTING = 0
const OPEN = 1
const CLOSED = 3

const TEXT = 1
const BINARY = 2
const CLOSE = 8
const PING = 9
const PONG = 10
const OPCODE_BITS = 0x0f
const LENGTH_16 = 126
const LENGTH_64 = 127
const HEAD_END = '\r\n\r\n'
const NOTHING = Buffer.alloc(0)

export class PlainSocket implements LoadSocket {
  readyState = CONNECTING
  onmessage: LoadSocket['onmessage'] = null
  onclose: LoadSocket['onclose'] = null
  onerror: LoadSocket['onerror'] = null
  readonly #socket: Socket
  /** What came and is not a whole message yet. */
  #received: Buffer = NOTHING
  #toSend: Buffer[] = []

  constructor(url: string, protocol: string) {
    const { hostname, port, pathname } = new URL(url)
    this.#socket = connect({ host: hostname, port: Number(port), noDelay: true })
    this.#socket.write(
      `GET ${pathname} HTTP/1.1\r\nHost: ${hostname}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n` +
        `Sec-WebSocket-Protocol: ${protocol}${HEAD_END}`,
    )
    this.#socket.on('data', (chunk) => this.#receive(chunk))
    this.#socket.on('error', () => this.onerror?.())
    this.#socket.on('close', () => {
      this.readyState = CLOSED
      this.onclose?.()
    })
  }

  send(bytes: ArrayBuffer): void {
    this.#write(BINARY, Buffer.from(bytes))
  }

  close(code: number): void {
    if (this.readyState !== OPEN) return void this.#socket.destroy()
    this.#write(CLOSE, Buffer.from([code >> 8, code & 0xff]))
    this.#flush()
    this.#socket.destroySoon()
  }

  #write(opcode: number, payload: Buffer): void {
    if (this.#toSend.length === 0) setImmediate(() => this.#flush())
    this.#toSend.push(frameHeader(payload.length, opcode), payload)
  }

  #flush(): void {
    if (this.#toSend.length === 0 || this.#socket.destroyed) return
    this.#socket.write(Buffer.concat(this.#toSend))
    this.#toSend = []
  }

  #receive(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
    if (this.readyState === CONNECTING && !this.#takeHead()) return
    while (this.#takeMessage());
  }

  /** The answer to the upgrade; anything but a yes ends the socket. */
  #takeHead(): boolean {
    const end = this.#received.indexOf(HEAD_END)
    if (end < 0) return false
    if (!this.#received.subarray(0, end).toString('latin1').startsWith('HTTP/1.1 101')) {
      this.onerror?.()
      this.#socket.destroy()
      return false
    }
    this.#received = this.#received.subarray(end + HEAD_END.length)
    this.readyState = OPEN
    return true
  }

  /** The gateway sends whole messages without a mask. */
  #takeMessage(): boolean {
    const bytes = this.#received
    if (bytes.length < 2) return false
    let length = (bytes[1] ?? 0) & 0x7f
    let start = 2
    if (length === LENGTH_16) start = 4
    else if (length === LENGTH_64) start = 10
    if (bytes.length < start) return false
    if (length === LENGTH_16) length = bytes.readUInt16BE(2)
    else if (length === LENGTH_64) length = Number(bytes.readBigUInt64BE(2))
    if (bytes.length < start + length) return false
    this.#received = bytes.subarray(start + length)
    const payload = bytes.subarray(start, start + length)
    const opcode = (bytes[0] ?? 0) & OPCODE_BITS
    if (opcode === TEXT) this.onmessage?.({ data: payload.toString('latin1') })
    else if (opcode === PING) this.#write(PONG, payload)
    else if (opcode === CLOSE) this.#socket.end()
    return true
  }
}
