/**
 * Requests to the JSON APIs of Google's cloud, with the credentials of the process. One request is
 * one try within a time: whoever asks knows what may be repeated.
 */
import { GoogleAuth, PassThroughClient, type AuthClient } from 'google-auth-library'
import { CloudError, cloudFailureOf } from './cloud-failure.ts'

export interface CloudClientOptions {
  /** `none` for a server that asks for none. */
  readonly credentials: 'default' | 'none'
  /** A request that is not answered whole after this time is given up, its connection closed. */
  readonly requestTimeoutMs: number
}

export interface CloudRequest {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  readonly url: string
  /** Parameters of the query; what is undefined is left out. */
  readonly query?: Readonly<Record<string, string | number | undefined>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
}

const SCOPES = ['https://www.googleapis.com/auth/cloud-platform']

/** Sends requests; each that fails throws a `CloudError`. */
export class CloudClient {
  readonly #auth: Pick<AuthClient, 'request'>
  readonly #timeoutMs: number

  constructor({ credentials, requestTimeoutMs }: CloudClientOptions) {
    // Without a project the library asks other APIs for it before the first request; none names it here.
    const found = { scopes: SCOPES, projectId: 'unnamed' }
    this.#auth = credentials === 'none' ? new PassThroughClient() : new GoogleAuth(found)
    this.#timeoutMs = requestTimeoutMs
  }

  json(request: CloudRequest): Promise<unknown> {
    return this.#send<unknown>(request, 'json')
  }

  async bytes(request: CloudRequest): Promise<Uint8Array> {
    return new Uint8Array(await this.#send<ArrayBuffer>(request, 'arraybuffer'))
  }

  async #send<Data>(request: CloudRequest, responseType: 'json' | 'arraybuffer'): Promise<Data> {
    const { method, url, query = {}, headers = {}, body } = request
    const given = Object.entries(query).filter(([, value]) => value !== undefined)
    try {
      const { data } = await this.#auth.request<Data>({
        method,
        url,
        params: Object.fromEntries(given),
        headers,
        responseType,
        timeout: this.#timeoutMs,
        retry: false,
        ...(body !== undefined && { data: body }),
      })
      return data
    } catch (error) {
      throw new CloudError(cloudFailureOf(error))
    }
  }
}
