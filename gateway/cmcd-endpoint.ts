/**
 * `POST /cmcd` and `/cmcd/{ingestKey}`: CMCD v2 event mode as real players speak it. 204 once all
 * lines are in the log (a bad line in the reject topic), 400 only when no line could be read.
 */
import type { HttpRequest, HttpResponse } from 'uWebSockets.js'
import { decodeCmcd } from '../shared/events/cmcd.ts'
import type { IngestKeys } from './auth.ts'
import { IngestRequest, type RequestContext } from './ingest-request.ts'

export interface CmcdOptions {
  readonly context: RequestContext
  readonly ingestKeys: IngestKeys
  readonly bodyMaxBytes: number
}

/** Players carry no token. */
const ANONYMOUS = { subject: undefined, scopes: [], expiresAtMs: undefined } as const

export function handleCmcdPost(
  options: CmcdOptions,
  response: HttpResponse,
  request: HttpRequest,
): void {
  const ingest = new IngestRequest(options.context, response, request)
  const refusal = options.ingestKeys.refusal(request.getParameter(0) ?? '')
  if (refusal !== undefined) return ingest.refuse(refusal)
  ingest.read(options.bodyMaxBytes, (body) => submit(options.context, ingest, body))
}

function submit(context: RequestContext, ingest: IngestRequest, bytes: Uint8Array): void {
  const { intake, clock, telemetry } = context
  intake.countFrame('cmcd')
  const receivedAtMs = clock.nowMs()
  const body = ingest.decode(() => decodeCmcd(bytes, receivedAtMs))
  if (body === undefined) return
  const readable = body.frames.length > 0
  const answer = () => {
    if (readable) return ingest.answer(204)
    const first = body.rejected[0]
    ingest.refuse('GATEWAY_CMCD_UNREADABLE', {
      expected: 'a record with sid, sn, ts and e',
      received: first === undefined ? 'an empty body' : `${first.code}: ${first.detail}`,
    })
  }
  if (!readable && body.rejected.length === 0) return answer()
  const events = body.frames.reduce((sum, frame) => sum + frame.events.length, 0)
  const unreadable = body.rejected.length
  if (ingest.isOverRate({ frames: 1, events: events + unreadable, bytes: bytes.length }))
    return intake.countRefused({ events, unreadable, reason: 'rate' })
  const submission = intake.submitCmcd(body, {
    sink: ingest.sinkAnswering(answer),
    source: ingest.sourceOf(ANONYMOUS),
    frameNumber: -1,
    receivedAtMs,
  })
  if (submission === undefined) return ingest.refuseFor('overload')
  for (const { code } of submission.rejections ?? []) telemetry.rejected(code)
}
