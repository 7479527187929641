/**
 * A TCP proxy that makes the network fail, for tests: it stands in front of a broker or store and
 * passes bytes on until it is told to delay, throttle, swallow or cut them. A fault holds for the
 * connections open now and for those to come, until `heal`.
 */
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

/** `up`: from the client to the server; `down`: what the server answers. */
export type Direction = 'up' | 'down'

export interface DirectionFault {
  /** Bytes are passed on this much later, in order. */
  readonly delayMs?: number
  /** Bytes are passed on at most this fast. */
  readonly bytesPerSecond?: number
  /** Bytes vanish, while the connection stays open. */
  readonly blackHole?: boolean
  /** After this many more bytes in this direction the connection is reset, the rest not passed on. */
  readonly cutAfterBytes?: number
}

export class FaultProxy {
  readonly port: number
  readonly #server: Server
  readonly #faults: Record<Direction, DirectionFault> = { up: {}, down: {} }
  readonly #pipes = new Set<Pipe>()
  readonly #sockets = new Set<Socket>()
  #refusing = false

  private constructor(server: Server, port: number, targetPort: number) {
    this.port = port
    this.#server = server
    server.on('connection', (client) => this.#accept(client, targetPort))
  }

  /** Listens on a free port of the loopback address and passes connections on to `targetPort`. */
  static start(targetPort: number): Promise<FaultProxy> {
    const server = createServer({ noDelay: true })
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen(0, '127.0.0.1', () =>
        resolve(new FaultProxy(server, (server.address() as AddressInfo).port, targetPort)),
      )
    })
  }

  get connections(): number {
    return this.#pipes.size / 2
  }

  /** Bytes passed on in this direction over the connections open now. */
  passedBytes(direction: Direction): number {
    let bytes = 0
    for (const pipe of this.#pipes) if (pipe.direction === direction) bytes += pipe.passedBytes
    return bytes
  }

  /** Puts the fault in place of the one before, in one direction. */
  inject(direction: Direction, fault: DirectionFault): void {
    this.#faults[direction] = fault
    for (const pipe of this.#pipes) if (pipe.direction === direction) pipe.fault = fault
  }

  /** Passes everything on again; bytes that a black hole swallowed stay lost. */
  heal(): void {
    this.#refusing = false
    this.inject('up', {})
    this.inject('down', {})
  }

  /** Resets all open connections; new ones are accepted. */
  reset(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  /** Resets all open connections and every new one, as if nobody listened. */
  refuse(): void {
    this.#refusing = true
    this.reset()
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.reset()
    await closed
  }

  #accept(client: Socket, targetPort: number): void {
    this.#sockets.add(client)
    client.once('close', () => this.#sockets.delete(client))
    client.on('error', () => undefined)
    if (this.#refusing) return void client.resetAndDestroy()
    const server = connect({ port: targetPort, host: '127.0.0.1', noDelay: true })
    this.#sockets.add(server)
    server.once('close', () => this.#sockets.delete(server))
    server.on('error', () => client.resetAndDestroy())
    client.once('close', () => server.destroy())
    server.once('close', () => client.end())
    this.#pipe('up', client, server)
    this.#pipe('down', server, client)
  }

  #pipe(direction: Direction, from: Socket, to: Socket): void {
    const pipe = new Pipe(direction, from, to)
    pipe.fault = this.#faults[direction]
    this.#pipes.add(pipe)
    from.once('close', () => {
      pipe.stop()
      this.#pipes.delete(pipe)
    })
  }
}

/** One direction of one connection: chunks wait in order for the moment at which they may pass. */
class Pipe {
  readonly direction: Direction
  passedBytes = 0
  readonly #from: Socket
  readonly #to: Socket
  readonly #waiting: { readonly bytes: Buffer; readonly dueMs: number }[] = []
  #fault: DirectionFault = {}
  #cutAtBytes = Number.POSITIVE_INFINITY
  #timer: NodeJS.Timeout | undefined
  /** When the throttled line is free again. */
  #freeAtMs = 0

  constructor(direction: Direction, from: Socket, to: Socket) {
    this.direction = direction
    this.#from = from
    this.#to = to
    from.on('data', (bytes: Buffer) => this.#take(bytes))
    from.once('end', () => this.#flushAndEnd())
  }

  set fault(fault: DirectionFault) {
    this.#fault = fault
    this.#cutAtBytes = this.passedBytes + (fault.cutAfterBytes ?? Number.POSITIVE_INFINITY)
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#waiting.length = 0
  }

  #take(bytes: Buffer): void {
    const { delayMs = 0, bytesPerSecond, blackHole } = this.#fault
    if (blackHole === true) return
    const nowMs = performance.now()
    let dueMs = nowMs + delayMs
    if (bytesPerSecond !== undefined) {
      this.#freeAtMs = Math.max(this.#freeAtMs, nowMs) + (bytes.length * 1_000) / bytesPerSecond
      dueMs = Math.max(dueMs, this.#freeAtMs)
    }
    if (dueMs <= nowMs && this.#waiting.length === 0) return this.#pass(bytes)
    this.#waiting.push({ bytes, dueMs })
    // What a throttled reader does not take must not pile up here.
    if (bytesPerSecond !== undefined) this.#from.pause()
    this.#schedule()
  }

  #schedule(): void {
    const [next] = this.#waiting
    if (this.#timer !== undefined || next === undefined) return
    this.#timer = setTimeout(() => this.#release(), Math.max(0, next.dueMs - performance.now()))
  }

  #release(): void {
    this.#timer = undefined
    const next = this.#waiting.shift()
    if (next !== undefined) this.#pass(next.bytes)
    if (this.#waiting.length === 0) this.#from.resume()
    this.#schedule()
  }

  #pass(bytes: Buffer): void {
    const room = this.#cutAtBytes - this.passedBytes
    const passed = bytes.subarray(0, Math.min(room, bytes.length))
    this.passedBytes += passed.length
    if (passed.length > 0 && !this.#to.write(passed)) {
      this.#from.pause()
      this.#to.once('drain', () => this.#from.resume())
    }
    if (passed.length < bytes.length || this.passedBytes >= this.#cutAtBytes) this.#cut()
  }

  /** What passed before the cut arrives; the rest never does. */
  #cut(): void {
    this.#to.end(() => this.#to.resetAndDestroy())
    this.#from.resetAndDestroy()
  }

  #flushAndEnd(): void {
    if (this.#fault.blackHole === true) return
    for (const { bytes } of this.#waiting.splice(0)) this.#pass(bytes)
    this.#to.end()
  }
}
