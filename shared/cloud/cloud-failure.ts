/** What a failed request to an API of Google's cloud says, whichever API it was. */
import { z } from 'zod'

/** Reasons by which an API refuses with 403 what is only too much at a time. */
const TOO_MUCH: readonly string[] = ['rateLimitExceeded', 'userRateLimitExceeded']
/** Of the token endpoint, and of the library that looks for credentials. */
const NO_CREDENTIALS = new RegExp(
  [
    'invalid_grant|invalid_client|invalid_rapt|unauthorized_client',
    'Could not (load the default credentials|refresh access token)',
    'Unable to read the credential file|does not exist, or it is not a file',
  ].join('|'),
)

const cloudErrorSchema = z.object({
  error: z.object({
    message: z.string(),
    errors: z.array(z.object({ reason: z.string() })).optional(),
  }),
})

export interface CloudFailure {
  /** Absent when the request was not answered. */
  readonly status: number | undefined
  readonly kind: 'credentials' | 'permission' | 'absent' | 'precondition' | 'refused' | 'passing'
  /** The API's own words for what it refused, the first one deciding. */
  readonly apiReasons: readonly string[]
  /** What was answered, for people. */
  readonly said: string
  /** A word for metrics. */
  readonly reason: string
}

/** A failed request, without what the library's error drags along: credentials, and all that was sent. */
export class CloudError extends Error {
  override readonly name = 'CloudError'
  readonly failure: CloudFailure

  constructor(failure: CloudFailure) {
    super(failure.said)
    this.failure = failure
  }
}

export function isCloudFailure(error: unknown, kind: CloudFailure['kind']): boolean {
  return error instanceof CloudError && error.failure.kind === kind
}

/** Of an error of the client library; everything that is not known to last may pass. */
export function cloudFailureOf(error: unknown): CloudFailure {
  const message = error instanceof Error ? error.message : String(error)
  const status = statusOf(error)
  if (status === undefined) {
    const kind = NO_CREDENTIALS.test(message) ? 'credentials' : 'passing'
    const unanswered = error instanceof Error && 'code' in error && error.code === 'TimeoutError'
    const reason = unanswered ? 'unanswered' : 'connection'
    return { status, kind, apiReasons: [], said: message, reason }
  }
  const answered = answerOf(error)
  const said = `${status} ${answered.message ?? message}`
  const common = { status, apiReasons: answered.reasons, said, reason: `${status}` }
  if (status === 401 || NO_CREDENTIALS.test(message)) return { ...common, kind: 'credentials' }
  if (answered.reasons.some((reason) => TOO_MUCH.includes(reason)))
    return { ...common, kind: 'passing' }
  return { ...common, kind: kindOf(status) }
}

function kindOf(status: number): CloudFailure['kind'] {
  if (status === 403) return 'permission'
  if (status === 404) return 'absent'
  if (status === 412) return 'precondition'
  const passes = status < 400 || status >= 500 || status === 408 || status === 429
  return passes ? 'passing' : 'refused'
}

function statusOf(error: unknown): number | undefined {
  return error instanceof Error && 'status' in error && typeof error.status === 'number'
    ? error.status
    : undefined
}

/** The body of the answer, which is JSON as long as the API itself answered. */
function answerOf(error: unknown): { readonly message?: string; readonly reasons: string[] } {
  const found = cloudErrorSchema.safeParse(bodyOf(error))
  if (!found.success) return { reasons: [] }
  const { message, errors = [] } = found.data.error
  return { message, reasons: errors.map(({ reason }) => reason) }
}

function bodyOf(error: unknown): unknown {
  const response = error instanceof Error && 'response' in error ? error.response : undefined
  const data = typeof response === 'object' && response !== null && 'data' in response
  const body: unknown = data ? response.data : undefined
  if (!(body instanceof ArrayBuffer)) return body
  try {
    return JSON.parse(Buffer.from(body).toString()) as unknown
  } catch {
    return undefined
  }
}
