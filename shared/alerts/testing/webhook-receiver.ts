/** The other side of the alerts' webhook. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { Alert } from '../alert.ts'

interface Post {
  readonly body: string
  readonly headers: Readonly<Record<string, unknown>>
}

/** A receiver of the webhook that answers by script, then 204. */
export class WebhookReceiver {
  readonly bodies: Post[] = []
  readonly answers: (number | 'cut')[] = []
  readonly paths: (string | undefined)[] = []
  /** Alerts answered with success. */
  readonly taken: Alert[] = []
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
  }

  static async open(): Promise<WebhookReceiver> {
    const server = createServer()
    const receiver = new WebhookReceiver(server)
    server.on('request', (request, response) => {
      receiver.paths.push(request.url)
      void text(request).then((body) => {
        receiver.bodies.push({ body, headers: request.headers })
        const answer = receiver.answers.shift() ?? 204
        if (answer === 204) receiver.taken.push(JSON.parse(body) as Alert)
        if (answer === 'cut') request.socket.destroy()
        else response.writeHead(answer, { location: '/elsewhere' }).end()
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return receiver
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/alerts`
  }

  get alerts(): Alert[] {
    return this.bodies.map(({ body }) => JSON.parse(body) as Alert)
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
