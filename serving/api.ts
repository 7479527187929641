/**
 * The routes: a request as plain data in, an answer out. Queries go to `queries.ts`; the rest is
 * the page, the health of the server and its description. A raw error is never answered.
 */
import { corsHeaders, preflightHeaders, type CorsRules } from '../shared/http/cors.ts'
import type { Answer } from '../shared/http/guarded-response.ts'
import { problemAnswer } from '../shared/http/problem.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import { BackhaulError } from '../shared/runtime/errors.ts'
import { servingErrors } from './errors.ts'
import type { ServingLimits } from './limits.ts'
import type { MinuteReader } from './minute-reader.ts'
import { openApiDocument } from './openapi.ts'
import {
  pathUnknown,
  SESSION_PATH,
  VIEWER_SESSIONS_PATH,
  type Queries,
  type QueryRequest,
} from './queries.ts'
import type { StaticFiles } from './static-files.ts'
import type { ServingTelemetry } from './telemetry.ts'
import { withinTime } from './within-time.ts'

export interface ApiRequest extends QueryRequest {
  /** Lower case. */
  readonly method: string
  readonly origin: string
  readonly ifNoneMatch: string
  readonly acceptEncoding: string
}

export interface ApiOptions {
  readonly clock: Clock
  readonly limits: ServingLimits
  readonly served: () => { readonly reader: Pick<MinuteReader, 'readProgress'> }
  readonly queries: Queries
  readonly files: StaticFiles
  readonly telemetry: ServingTelemetry
  readonly corsOrigins: readonly string[]
  /** The registry's text, for `/metrics`. */
  readonly renderMetrics: () => Promise<string>
  readonly isStopping: () => boolean
}

export interface Api {
  /** Never rejects. */
  handle(request: ApiRequest): Promise<Answer>
  /** Resolves when no request is under way, or after `graceMs`. */
  settle(graceMs: number): Promise<void>
}

const RETRY_AFTER_SECONDS = 1
const TEXT = { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' }
const JSON_TYPE = { 'content-type': 'application/json' }

export function createApi(options: ApiOptions): Api {
  const { clock, telemetry } = options
  const cors: CorsRules = {
    origins: options.corsOrigins,
    methods: ['GET', 'OPTIONS'],
    headers: ['authorization'],
    maxAgeSeconds: 86_400,
  }
  const openApi: Answer = {
    status: 200,
    headers: JSON_TYPE,
    body: JSON.stringify(openApiDocument(options.limits)),
  }
  const underWay = new Set<Promise<Answer>>()

  async function handle(request: ApiRequest): Promise<Answer> {
    if (request.method === 'options')
      return { status: 204, headers: preflightHeaders(cors, request.origin) }
    const startedMs = clock.monotonicMs()
    const answer = await route(request, options, openApi).catch((error: unknown) => {
      if (!(error instanceof BackhaulError))
        telemetry.requestFailed({ route: routeName(request.path), error })
      return problemOf(error)
    })
    telemetry.requestEnded({
      route: routeName(request.path),
      status: answer.status,
      durationMs: clock.monotonicMs() - startedMs,
    })
    return { ...answer, headers: withCors(answer.headers, corsHeaders(cors, request.origin)) }
  }

  return {
    handle(request) {
      const answer = handle(request)
      underWay.add(answer)
      void answer.finally(() => underWay.delete(answer))
      return answer
    },
    async settle(graceMs) {
      const enough = new AbortController()
      await Promise.race([Promise.allSettled(underWay), clock.sleep(graceMs, enough.signal)])
      enough.abort()
    },
  }
}

async function route(request: ApiRequest, options: ApiOptions, openApi: Answer): Promise<Answer> {
  const { method, path } = request
  if (method !== 'get')
    throw servingErrors.create('SERVING_METHOD_NOT_ALLOWED', {
      expected: 'GET',
      received: method.toUpperCase(),
    })
  if (path.startsWith('/v1/')) return options.queries.answer(request)
  switch (path) {
    case '/healthz':
      return { status: 200, headers: TEXT, body: 'ok\n' }
    case '/readyz':
      return answerReady(options)
    case '/metrics':
      return { status: 200, headers: TEXT, body: await options.renderMetrics() }
    case '/openapi.json':
      return openApi
  }
  const file = options.files.answer(path, {
    ifNoneMatch: request.ifNoneMatch,
    acceptsGzip: /\bgzip\b/.test(request.acceptEncoding),
  })
  if (file === undefined) throw pathUnknown(path)
  return file
}

type Headers = Readonly<Record<string, string>>

/** An answer that depends on the origin and on the encoding must say both. */
function withCors(headers: Headers | undefined, cors: Headers): Headers {
  const vary = [headers?.['vary'], cors['vary']].filter((value) => value !== undefined)
  return { ...headers, ...cors, ...(vary.length === 0 ? {} : { vary: vary.join(', ') }) }
}

/** Ready: the speed store answers and the server is not stopping. */
async function answerReady(options: ApiOptions): Promise<Answer> {
  if (options.isStopping()) return { status: 503, headers: TEXT, body: 'stopping\n' }
  try {
    const { reader } = options.served()
    await withinTime(reader.readProgress(), options.clock, options.limits.requestTimeoutMs)
    return { status: 200, headers: TEXT, body: 'ready\n' }
  } catch (error) {
    const reason = error instanceof BackhaulError ? error.code : 'the speed store does not answer'
    return { status: 503, headers: TEXT, body: `${reason}\n` }
  }
}

function problemOf(error: unknown): Answer {
  const known = error instanceof BackhaulError ? error : servingErrors.create('SERVING_INTERNAL')
  const { status } = known.spec
  return problemAnswer(known, {
    ...(status === 405 ? { headers: { allow: 'GET, OPTIONS' } } : {}),
    ...(status === 401 ? { headers: { 'www-authenticate': 'Bearer' } } : {}),
    ...(status === 503 ? { retryAfterSeconds: RETRY_AFTER_SECONDS } : {}),
  })
}

/** A bounded set of names for the metrics. */
function routeName(path: string): string {
  if (path.startsWith(SESSION_PATH)) return '/v1/sessions/{id}'
  if (VIEWER_SESSIONS_PATH.test(path)) return '/v1/viewers/{pseudonym}/sessions'
  if (path.startsWith('/assets/')) return '/assets'
  return KNOWN_ROUTES.has(path) ? path : 'unknown'
}

const KNOWN_ROUTES: ReadonlySet<string> = new Set([
  '/',
  '/v1/qoe',
  '/v1/top',
  '/v1/status',
  '/v1/alerts',
  '/v1/sessions',
  '/healthz',
  '/readyz',
  '/metrics',
  '/openapi.json',
])
