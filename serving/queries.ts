/**
 * The queries of the API: authorised, bounded in number and in time, then handed to what answers
 * them.
 */
import { bearerFromAuthorization, type TokenVerifier } from '../shared/auth/token-verifier.ts'
import type { Answer } from '../shared/http/guarded-response.ts'
import { jsonAnswer } from '../shared/http/problem.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import { describeValue, type BackhaulError } from '../shared/runtime/errors.ts'
import { answerAlerts } from './alerts.ts'
import { servingErrors } from './errors.ts'
import type { ServingLimits } from './limits.ts'
import { invalidParameter, parseParameters } from './query-parameters.ts'
import { answerQoe } from './qoe.ts'
import { parseQoeQuery } from './qoe-query.ts'
import type { ServedView } from './served-view.ts'
import { parseSessionQuery } from './sessions.ts'
import { answerStatus } from './status.ts'
import { answerTop, parseTopQuery } from './top.ts'
import { parseViewerSessionsQuery } from './viewer-sessions.ts'
import { withinTime } from './within-time.ts'

export interface QueryRequest {
  readonly path: string
  /** Without the question mark. */
  readonly query: string
  readonly authorization: string
}

export interface QueriesOptions {
  readonly clock: Clock
  readonly limits: ServingLimits
  readonly verifier: TokenVerifier
  /** The view that is active now; an answer is made of one. */
  readonly served: () => ServedView
}

export interface Queries {
  /** Throws typed errors: of authentication, of the query, of the stores. */
  answer(request: QueryRequest): Promise<Answer>
  /** Queries being worked on, with those that timed out and still occupy a store. */
  readonly inFlight: number
}

/** Says which view an answer was made of. */
const VIEW_HEADER = 'backhaul-view'
export const SESSION_PATH = '/v1/sessions/'
export const VIEWER_SESSIONS_PATH = /^\/v1\/viewers\/([^/]*)\/sessions$/
const SESSION_ID_MAX_CHARS = 64

export function createQueries(options: QueriesOptions): Queries {
  const { clock, limits, verifier } = options
  let inFlight = 0
  return {
    async answer(request) {
      await verifier.verify(bearerFromAuthorization(request.authorization), 'read')
      if (inFlight >= limits.requestsInFlightMax)
        throw servingErrors.create('SERVING_BUSY', {
          expected: `at most ${limits.requestsInFlightMax} at a time`,
          received: 'one more',
        })
      inFlight++
      // A query that timed out still works until its store answers, and counts until then.
      const served = options.served()
      const work = runQuery(request, served).finally(() => inFlight--)
      return jsonAnswer(200, await withinTime(work, clock, limits.requestTimeoutMs), {
        'cache-control': 'no-store',
        [VIEW_HEADER]: served.view,
      })
    },
    get inFlight() {
      return inFlight
    },
  }
}

async function runQuery(request: QueryRequest, options: ServedView): Promise<unknown> {
  const { path, query } = request
  const { cuts, limits, content } = options
  const context = { cuts, limits, content, nowMs: options.clock.nowMs() }
  switch (path) {
    case '/v1/qoe':
      return answerQoe(parseQoeQuery(query, context), options)
    case '/v1/top':
      return answerTop(parseTopQuery(query, context), options)
    case '/v1/status':
      parseParameters(query, { single: [], repeated: [] }, options.limits.queryMaxChars)
      return answerStatus(options)
    case '/v1/alerts':
      parseParameters(query, { single: [], repeated: [] }, options.limits.queryMaxChars)
      return answerAlerts(options)
    case '/v1/sessions':
      return options.sessions.listRecent(query)
  }
  const viewer = VIEWER_SESSIONS_PATH.exec(path)?.[1]
  if (viewer !== undefined)
    return options.listViewerSessions(parseViewerSessionsQuery(viewer, query, context))
  if (!path.startsWith(SESSION_PATH)) throw pathUnknown(path)
  const sessionId = decodeSessionId(path.slice(SESSION_PATH.length))
  return options.sessions.show(parseSessionQuery(sessionId, query, options.limits))
}

function decodeSessionId(text: string): string {
  try {
    const sessionId = decodeURIComponent(text)
    if (sessionId !== '' && sessionId.length <= SESSION_ID_MAX_CHARS) return sessionId
  } catch {
    // Falls through to the same refusal: a malformed escape is no id either.
  }
  throw invalidParameter(
    'the session id',
    `1 to ${SESSION_ID_MAX_CHARS} characters, percent-encoded`,
    text,
  )
}

export function pathUnknown(path: string): BackhaulError {
  return servingErrors.create('SERVING_PATH_UNKNOWN', {
    expected: 'a path of /openapi.json',
    received: describeValue(path),
  })
}
