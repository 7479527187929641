/**
 * `POST /v1/events`: one frame without a number, for a page that closes and for clients without
 * WebSocket. 204 once it is in the log, 200 with what was rejected of it, else a problem document.
 */
import type { HttpRequest, HttpResponse } from 'uWebSockets.js'
import type { TokenVerifier } from '../shared/auth/token-verifier.ts'
import { eventErrors } from '../shared/events/event-errors.ts'
import { decodeFrame } from '../shared/events/frame.ts'
import type { FrameLimits } from '../shared/events/limits.ts'
import type { BackhaulError } from '../shared/runtime/errors.ts'
import { asTokenError, verifyWriter } from './auth.ts'
import type { IngestSource } from './enrichment.ts'
import { IngestRequest, type RequestContext } from './ingest-request.ts'
import type { Submission } from './submission.ts'

export interface HttpEventsOptions {
  readonly context: RequestContext
  readonly verifier: TokenVerifier
  readonly frameLimits: FrameLimits
  readonly frameMaxBytes: number
}

interface Writer {
  readonly source: IngestSource
  readonly subject: string | undefined
}

const MEDIA_TYPES = ['', 'application/json', 'text/plain']
const ENCODINGS = ['', 'identity']

export function handleEventsPost(
  options: HttpEventsOptions,
  response: HttpResponse,
  request: HttpRequest,
): void {
  const ingest = new IngestRequest(options.context, response, request)
  const mediaType = (request.getHeader('content-type').split(';')[0] ?? '').trim().toLowerCase()
  const encoding = request.getHeader('content-encoding')
  if (!MEDIA_TYPES.includes(mediaType) || !ENCODINGS.includes(encoding))
    return ingest.refuse('GATEWAY_MEDIA_TYPE_UNSUPPORTED', {
      expected: 'application/json',
      received: `${mediaType} ${encoding}`.trim(),
    })
  const authorization = request.getHeader('authorization')
  const verified = verifyWriter(options.verifier, { subprotocols: '', authorization }).then(
    (principal) => ({ source: ingest.sourceOf(principal), subject: principal.subject }),
    (error: unknown) => ({ error }),
  )
  ingest.read(options.frameMaxBytes, (body) => {
    void verified.then((writer) => {
      if (!ingest.isOpen) return
      if ('source' in writer) submit(options, ingest, body, writer)
      else refuseToken(ingest, asTokenError(writer.error, options.context.telemetry))
    })
  })
}

function refuseToken(ingest: IngestRequest, error: BackhaulError): void {
  ingest.refuseWith(error, { headers: { 'www-authenticate': 'Bearer' } })
}

function submit(
  { context, frameLimits }: HttpEventsOptions,
  ingest: IngestRequest,
  body: Uint8Array,
  { source, subject }: Writer,
): void {
  const { intake, clock, telemetry } = context
  intake.countFrame('http')
  const result = ingest.decode(() => decodeFrame(body, { numbered: false, limits: frameLimits }))
  if (result === undefined) return
  const events = result.ok ? result.frame.accepted.length + result.frame.rejected.length : 0
  if (ingest.isOverRate({ frames: 1, events, bytes: body.length }, subject))
    return intake.countRefused({ events, unreadable: result.ok ? 0 : 1, reason: 'rate' })
  const arrival = { source, frameNumber: -1, receivedAtMs: clock.nowMs() }
  const submission = result.ok
    ? intake.submitFrame(result.frame, {
        ...arrival,
        sink: ingest.sinkAnswering((durable) => answerFrame(ingest, durable)),
      })
    : intake.submitUnreadable(body, result, {
        ...arrival,
        sink: ingest.sinkAnswering(() =>
          ingest.refuseWith(eventErrors.create(result.code, { received: result.detail })),
        ),
      })
  if (submission === undefined) return ingest.refuseFor('overload')
  for (const { code } of submission.rejections ?? []) telemetry.rejected(code)
}

function answerFrame(ingest: IngestRequest, { rejections }: Submission): void {
  if (rejections === undefined) ingest.answer(204)
  else ingest.answer(200, { rejected: rejections })
}
