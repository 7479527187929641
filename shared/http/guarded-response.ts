/**
 * An answer that can be given at most once, whenever it is ready. uWebSockets.js ends the process's
 * trust in a response once the client has gone or the answer was written; this wrapper remembers
 * both, corks every write, and makes a late or second answer a no-op.
 */
import type { HttpResponse } from 'uWebSockets.js'

export interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /** Closes the connection after the answer, for a request whose rest is not read. */
  readonly closesConnection?: boolean
}

export class GuardedResponse {
  readonly #response: HttpResponse
  readonly #endListeners: (() => void)[] = []
  #state: 'open' | 'answered' | 'aborted' = 'open'

  /** Must be built inside the route handler, before it returns or awaits. */
  constructor(response: HttpResponse) {
    this.#response = response
    response.onAborted(() => {
      if (this.#state !== 'open') return
      this.#state = 'aborted'
      this.#runEndListeners()
    })
  }

  /** Whether an answer can still be given. */
  get isOpen(): boolean {
    return this.#state === 'open'
  }

  /** The raw response, for reading its body or upgrading it; only while `isOpen`. */
  get raw(): HttpResponse {
    return this.#response
  }

  /** Runs `listener` once, when the answer was given or the client has gone. */
  onEnd(listener: () => void): void {
    if (this.isOpen) this.#endListeners.push(listener)
    else listener()
  }

  /** Writes the answer; does nothing when the client has gone or an answer was given. */
  answer(answer: Answer): void {
    if (this.#state !== 'open') return
    this.#state = 'answered'
    this.#response.cork(() => {
      this.#response.writeStatus(statusLine(answer.status))
      for (const [name, value] of Object.entries(answer.headers ?? {}))
        this.#response.writeHeader(name, value)
      // Called with an argument, even undefined, it would announce a length of 2^63.
      if (answer.status === 204 && answer.closesConnection !== true) this.#response.endWithoutBody()
      else this.#response.end(answer.body ?? '', answer.closesConnection)
    })
    this.#runEndListeners()
  }

  /** Marks the response as handed over, to an upgrade or a stream; no answer follows. */
  handOver(): HttpResponse {
    if (this.#state !== 'open') throw new Error('assertion failed: the response has ended')
    this.#state = 'answered'
    this.#runEndListeners()
    return this.#response
  }

  #runEndListeners(): void {
    for (const listener of this.#endListeners.splice(0)) listener()
  }
}

const REASONS: Readonly<Record<number, string>> = {
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  204: 'No Content',
  301: 'Moved Permanently',
  302: 'Found',
  304: 'Not Modified',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  408: 'Request Timeout',
  409: 'Conflict',
  410: 'Gone',
  413: 'Content Too Large',
  414: 'URI Too Long',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Content',
  426: 'Upgrade Required',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
}

/** The reason phrase of a status, also the title of its problem document. */
export function reasonPhrase(status: number): string {
  return REASONS[status] ?? 'Unknown'
}

function statusLine(status: number): string {
  return `${status} ${reasonPhrase(status)}`
}
