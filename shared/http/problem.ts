/** Errors as RFC 9457 problem documents: `type`, `title`, `status`, `detail` and our `code`. */
import type { BackhaulError } from '../runtime/errors.ts'
import { reasonPhrase, type Answer } from './guarded-response.ts'

export interface ProblemOptions {
  readonly headers?: Readonly<Record<string, string>>
  /** Seconds after which the same request may succeed; sent as Retry-After, rounded up. */
  readonly retryAfterSeconds?: number
  readonly closesConnection?: boolean
}

/** The answer for a catalogued error; one without a status is an internal error. */
export function problemAnswer(error: BackhaulError, options: ProblemOptions = {}): Answer {
  const status = error.spec.status ?? 500
  return {
    status,
    headers: {
      'content-type': 'application/problem+json',
      'cache-control': 'no-store',
      ...(options.retryAfterSeconds === undefined
        ? {}
        : { 'retry-after': String(Math.max(1, Math.ceil(options.retryAfterSeconds))) }),
      ...options.headers,
    },
    body: JSON.stringify({
      type: `urn:backhaul:error:${error.code}`,
      title: reasonPhrase(status),
      status,
      detail: error.detail === '' ? error.spec.rule : `${error.spec.rule}; ${error.detail}`,
      code: error.code,
    }),
    ...(options.closesConnection === undefined
      ? {}
      : { closesConnection: options.closesConnection }),
  }
}

/** A JSON answer. */
export function jsonAnswer(
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): Answer {
  return {
    status,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(value),
  }
}
