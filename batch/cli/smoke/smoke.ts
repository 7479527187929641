/** One session in at the gateway, and out again at serving: what the test of an install does. */
import { PlaybackClient } from '../../../client/playback-client.ts'
import type { Clock } from '../../../shared/runtime/clock.ts'
import { cliErrors } from '../errors.ts'
import { SMOKE_POLL_MS, SMOKE_REQUEST_TIMEOUT_MS } from '../limits.ts'

export interface SmokeOptions {
  /** `ws://…/v1/events` or `wss://…/v1/events`. */
  readonly gatewayUrl: string
  /** `http://…` or `https://…`, without a path. */
  readonly servingUrl: string
  /** Of scopes `write` and `read`; absent where none is needed. */
  readonly token: string | undefined
  readonly sessionId: string
  /** For both ways together. */
  readonly waitMs: number
  readonly clock: Clock
  readonly signal: AbortSignal
}

export interface SmokeReport {
  readonly sessionId: string
  readonly acknowledgedAfterMs: number
  /** From the acknowledgement on. */
  readonly readableAfterMs: number
}

/** Told apart from viewers in every metric by content. */
const CONTENT_ID = 'backhaul-smoke-test'
const EVENT_TYPES = ['playbackRequest', 'playbackStart', 'playbackFinish'] as const

/** Throws `CLI_SMOKE_NOT_ACKNOWLEDGED` and `CLI_SMOKE_NOT_READ`. */
export async function smoke(options: SmokeOptions): Promise<SmokeReport> {
  const { clock, sessionId, waitMs } = options
  const startedMs = clock.monotonicMs()
  await send(options)
  const acknowledgedMs = clock.monotonicMs()
  await readBack(options, startedMs + waitMs)
  return {
    sessionId,
    acknowledgedAfterMs: Math.round(acknowledgedMs - startedMs),
    readableAfterMs: Math.round(clock.monotonicMs() - acknowledgedMs),
  }
}

async function send(options: SmokeOptions): Promise<void> {
  const { gatewayUrl, token, sessionId, waitMs, clock, signal } = options
  let told = 'no answer'
  let rejected = 0
  const client = new PlaybackClient({
    url: gatewayUrl,
    token,
    onRejected(reports) {
      rejected += reports.length
      told = reports.map(({ code, detail }) => `${code}: ${detail}`).join('; ')
    },
    onProblem: ({ code, detail }) => (told = `${code}: ${detail}`),
  })
  const close = () => client.close()
  signal.addEventListener('abort', close)
  try {
    client.connect()
    const at = clock.nowMs()
    const events = EVENT_TYPES.map((type, seq) => ({ seq, type, at: at + seq }))
    client.send({ sessionId, contentId: CONTENT_ID }, events)
    const isAcknowledged = await client.flush(waitMs)
    signal.throwIfAborted()
    if (isAcknowledged && rejected === 0) return
    throw cliErrors.create('CLI_SMOKE_NOT_ACKNOWLEDGED', {
      expected: `${gatewayUrl} to acknowledge ${events.length} events within ${waitMs} ms`,
      received: told,
    })
  } finally {
    signal.removeEventListener('abort', close)
    close()
  }
}

async function readBack(options: SmokeOptions, deadlineMs: number): Promise<void> {
  const { servingUrl, sessionId, waitMs, clock, signal } = options
  const url = new URL(`/v1/sessions/${sessionId}`, servingUrl).href
  for (;;) {
    const told = await missingAt(url, options)
    signal.throwIfAborted()
    if (told === undefined) return
    if (clock.monotonicMs() >= deadlineMs)
      throw cliErrors.create('CLI_SMOKE_NOT_READ', {
        expected: `all events at ${url} within ${waitMs} ms`,
        received: told,
      })
    await clock.sleep(SMOKE_POLL_MS, signal)
  }
}

/** Why the session is not there yet, in words; `undefined` when all of it is. */
async function missingAt(
  url: string,
  { token, signal }: SmokeOptions,
): Promise<string | undefined> {
  try {
    const answer = await fetch(url, {
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      signal: AbortSignal.any([signal, AbortSignal.timeout(SMOKE_REQUEST_TIMEOUT_MS)]),
    })
    if (!answer.ok) return `status ${answer.status}`
    const { timeline = [] } = (await answer.json()) as { readonly timeline?: readonly unknown[] }
    return timeline.length >= EVENT_TYPES.length ? undefined : `${timeline.length} events`
  } catch (error) {
    return error instanceof Error ? `${error.message}${causeOf(error)}` : String(error)
  }
}

/** What fetch calls "fetch failed" has its reason beneath. */
function causeOf({ cause }: Error): string {
  return cause instanceof Error ? `: ${cause.message}` : ''
}
