/**
 * A server that keeps buckets, datasets and tables as the APIs of Google's cloud describe them: what is
 * posted is there, what is patched is merged, what is absent is 404. It knows nothing of objects or jobs.
 */
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

type Resource = Record<string, unknown>

export class ResourcesServer {
  /** By path below the collections, such as `b/bucket` or `datasets/history`. */
  readonly resources = new Map<string, Resource>()
  /** Requests that changed something. */
  readonly changes: string[] = []
  /** Answers instead of doing anything, while it is set. */
  refusal: { readonly status: number; readonly message: string } | undefined
  readonly #server = createServer((request, response) => {
    void this.#answer(request).then(({ status, body }) => {
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(JSON.stringify(body))
    })
  })

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  stop(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve())
      this.#server.closeAllConnections()
    })
  }

  async #answer(request: IncomingMessage): Promise<{ status: number; body: Resource }> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const text = Buffer.concat(chunks).toString()
    const given = (text === '' ? {} : JSON.parse(text)) as Resource
    if (this.refusal !== undefined) return refused(this.refusal.status, this.refusal.message)
    const { method = '' } = request
    const path = new URL(request.url ?? '/', 'http://any').pathname
    const collection = path.replace(/^\/(storage\/v1|bigquery\/v2\/projects\/[^/]+)\//, '')
    if (method === 'GET') return this.#read(collection)
    this.changes.push(`${method} ${collection}`)
    if (method === 'POST') {
      const reference = given['datasetReference'] as { datasetId: string } | undefined
      const name = reference?.datasetId ?? (given['name'] as string)
      this.resources.set(`${collection}/${name}`, given)
      return { status: 200, body: given }
    }
    this.resources.set(collection, { ...this.resources.get(collection), ...given })
    return this.#read(collection)
  }

  #read(path: string): { status: number; body: Resource } {
    const body = this.resources.get(path)
    return body === undefined ? refused(404, `Not found: ${path}`) : { status: 200, body }
  }
}

function refused(status: number, message: string) {
  return { status, body: { error: { code: status, message, errors: [{ reason: 'refused' }] } } }
}
