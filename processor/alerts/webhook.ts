/**
 * Posts alerts to one receiver, one after another and in order, so that a resolution never comes
 * before what it resolves. What is to be sent waits in the outboxes, which are durable and bounded; a
 * post that failed is repeated with full jitter until the alert's deadline.
 *
 * Signed as `Backhaul-Signature: v1=<hex of HMAC-SHA-256(secret, timestamp + "." + body)>`, with the
 * timestamp in `Backhaul-Timestamp` (seconds) so that a receiver can refuse what was recorded.
 */
import { createHmac } from 'node:crypto'
import type { Alert } from '../../shared/alerts/alert.ts'
import type { Clock } from '../../shared/runtime/clock.ts'
import { describeValue, type BackhaulError } from '../../shared/runtime/errors.ts'
import type { Failpoints } from '../../shared/runtime/failpoints.ts'
import { fullJitterMs } from '../../shared/runtime/full-jitter.ts'
import type { Random } from '../../shared/runtime/random.ts'
import type { AlertsConfig } from '../config.ts'
import { processorErrors } from '../errors.ts'
import {
  ALERT_STEP_MS,
  ALERT_WEBHOOK_RETRY_FIRST_MS,
  ALERT_WEBHOOK_RETRY_MAX_MS,
} from './limits.ts'
import type { StateBook } from './state-book.ts'
import type { AlertTelemetry, WebhookOutcome } from './telemetry.ts'

export interface WebhookParts {
  readonly config: AlertsConfig
  readonly clock: Clock
  readonly random: Random
  readonly failpoints: Failpoints
  readonly telemetry: AlertTelemetry
}

const RETRY_LIMITS = {
  retryDelayMs: ALERT_WEBHOOK_RETRY_FIRST_MS,
  retryDelayMaxMs: ALERT_WEBHOOK_RETRY_MAX_MS,
}

/** Statuses below 500 that a repeat may mend: time-out, too early, too many. */
const PASSING_STATUSES: ReadonlySet<number> = new Set([408, 425, 429])

/** Sends what the outboxes hold until `signal` aborts. */
export async function runWebhook(
  parts: WebhookParts,
  book: StateBook,
  signal: AbortSignal,
): Promise<void> {
  const { clock, failpoints, telemetry } = parts
  while (!signal.aborted) {
    const next = oldestDue(book)
    if (next === undefined) {
      await clock.sleep(ALERT_STEP_MS, signal)
      continue
    }
    const outcome = await deliver(next.alert, parts, signal)
    if (outcome === undefined) return
    await failpoints.hit('alerts.afterWebhook')
    book.delivered(next.ruleId, new Set([next.alert.id]), 'toWebhook')
    telemetry.webhookPosted(outcome.kind, next.alert, outcome.error)
  }
}

/** Only what is in the topic, and so in a durable outbox. */
function oldestDue(book: StateBook): { ruleId: string; alert: Alert } | undefined {
  let oldest: { ruleId: string; alert: Alert } | undefined
  for (const [ruleId, [first]] of book.outgoing((entry) => entry.toWebhook && !entry.toTopic))
    if (first !== undefined && (oldest?.alert.judgedAtMs ?? Infinity) > first.alert.judgedAtMs)
      oldest = { ruleId, alert: first.alert }
  return oldest
}

interface Outcome {
  readonly kind: WebhookOutcome
  readonly error?: BackhaulError
}

/** `undefined` when `signal` aborted: then the alert stays in its outbox. */
async function deliver(
  alert: Alert,
  parts: WebhookParts,
  signal: AbortSignal,
): Promise<Outcome | undefined> {
  const { clock, random, telemetry, config } = parts
  for (let attempt = 0; !signal.aborted; attempt += 1) {
    const error = await post(alert, parts, signal)
    if (error === undefined) return { kind: 'delivered' }
    if (signal.aborted) return undefined
    if (!error.spec.retryable) return { kind: 'refused', error }
    const delayMs = fullJitterMs(attempt, RETRY_LIMITS, random)
    if (clock.nowMs() + delayMs >= alert.judgedAtMs + config.webhookDeadlineMs)
      return { kind: 'expired', error }
    telemetry.webhookPosted('failed', alert, attempt === 0 ? error : undefined)
    await clock.sleep(delayMs, signal)
  }
  return undefined
}

async function post(
  alert: Alert,
  { config, clock }: WebhookParts,
  signal: AbortSignal,
): Promise<BackhaulError | undefined> {
  const body = JSON.stringify(alert)
  const timestamp = `${Math.floor(clock.nowMs() / 1_000)}`
  const attempt = new AbortController()
  const stopTimer = clock.after(config.webhookTimeoutMs, () => attempt.abort())
  try {
    const response = await fetch(config.webhookUrl, {
      method: 'POST',
      redirect: 'manual',
      headers: {
        'content-type': 'application/json',
        'backhaul-alert-id': alert.id,
        'backhaul-timestamp': timestamp,
        'backhaul-signature': `v1=${signatureOf(config.webhookSecret, timestamp, body)}`,
      },
      body,
      signal: AbortSignal.any([signal, attempt.signal]),
    })
    // Of no interest, and a connection with an unread body is not used again.
    await response.body?.cancel()
    return response.ok ? undefined : failureOf(response.status)
  } catch (cause) {
    const { name, cause: reason } = cause instanceof Error ? cause : { name: 'Error', cause }
    const code = attempt.signal.aborted
      ? `nothing within ${config.webhookTimeoutMs} ms`
      : describeValue((reason as NodeJS.ErrnoException | undefined)?.code ?? name)
    return processorErrors.create('PROCESSOR_ALERTS_WEBHOOK_FAILED', { received: code, cause })
  } finally {
    stopTimer()
  }
}

function failureOf(status: number): BackhaulError {
  const passes = status >= 500 || PASSING_STATUSES.has(status)
  return processorErrors.create(
    passes ? 'PROCESSOR_ALERTS_WEBHOOK_FAILED' : 'PROCESSOR_ALERTS_WEBHOOK_REFUSED',
    { expected: 'a 2xx status', received: `${status}` },
  )
}

function signatureOf(secret: string, timestamp: string, body: string): string {
  return createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex')
}
