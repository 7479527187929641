/** A WebSocket by hand, for what a browser would not do. */
import { connect, type Socket } from 'node:net'

export const UPGRADE_REQUEST =
  'GET /v1/events HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n' +
  'Sec-WebSocket-Protocol: playback.v1\r\n\r\n'

export class RawClient {
  readonly socket: Socket
  received = ''
  closed = false

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1')
    this.socket.on('data', (chunk) => (this.received += chunk.toString('latin1')))
    this.socket.on('close', () => (this.closed = true))
    this.socket.on('error', () => undefined)
  }

  /** Connects and waits for the welcome. */
  static async open(port: number): Promise<RawClient> {
    const client = new RawClient(port)
    client.socket.write(UPGRADE_REQUEST)
    await new Promise<void>((resolve, reject) => {
      client.socket.on('data', () => client.received.includes('welcome') && resolve())
      client.socket.once('close', () => reject(new Error(`no welcome: ${client.received}`)))
    })
    return client
  }

  /** A masked message; the mask is zero, so the payload stands as it is. */
  send(payload: Uint8Array, opcode = 1): void {
    this.socket.write(Buffer.concat([frameHeader(payload.length, opcode), payload]))
  }
}

/** Of a final frame from a client. */
export function frameHeader(length: number, opcode = 1): Buffer {
  const mask = [0, 0, 0, 0]
  if (length < 126) return Buffer.from([0x80 | opcode, 0x80 | length, ...mask])
  if (length < 65_536) return Buffer.from([0x80 | opcode, 0xfe, length >> 8, length & 255, ...mask])
  const header = Buffer.from([0x80 | opcode, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, ...mask])
  header.writeUInt32BE(length, 6)
  return header
}
