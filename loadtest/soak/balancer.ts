/**
 * One address in front of several gateways, as a load balancer is: each connection goes to the next one
 * that takes it. Who stands still takes connections too, and answers none: clients find that out.
 */
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

const LOOPBACK = '127.0.0.1'

export class Balancer {
  readonly port: number
  readonly #server: Server
  readonly #targets: readonly number[]
  readonly #clients = new Set<Socket>()
  #next = 0

  private constructor(server: Server, targets: readonly number[]) {
    this.port = (server.address() as AddressInfo).port
    this.#server = server
    this.#targets = targets
    server.on('connection', (client) => this.#accept(client))
  }

  /** Listens on a free port of the loopback address. */
  static start(targets: readonly number[]): Promise<Balancer> {
    const server = createServer({ noDelay: true, pauseOnConnect: true })
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen(0, LOOPBACK, () => resolve(new Balancer(server, targets)))
    })
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    for (const client of this.#clients) client.resetAndDestroy()
    await closed
  }

  #accept(client: Socket): void {
    this.#clients.add(client)
    client.on('error', () => undefined)
    client.once('close', () => this.#clients.delete(client))
    this.#passOn(client, this.#next++, this.#targets.length)
  }

  #passOn(client: Socket, turn: number, targetsLeft: number): void {
    const port = this.#targets[turn % this.#targets.length]
    if (port === undefined || targetsLeft === 0) return void client.resetAndDestroy()
    const server = connect({ port, host: LOOPBACK, noDelay: true })
    let connected = false
    server.once('connect', () => {
      connected = true
      client.pipe(server).pipe(client)
      client.once('close', () => server.destroy())
      server.once('close', () => client.destroy())
    })
    server.on('error', () => {
      if (connected) client.resetAndDestroy()
      else this.#passOn(client, turn + 1, targetsLeft - 1)
    })
  }
}
