/**
 * The evaluator's life: it waits until its view is active and for the lease, loads what the rules stand at, and steps until the
 * lease is gone or the process stops. Several processes may run one; the lease keeps all but one
 * waiting. Being right does not hang on it: see `StateBook.confirm` and the ids of alerts.
 */
import type { AlertRule } from '../../shared/alerts/rules.ts'
import type { EventLog } from '../../shared/log/event-log.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import { acquireLease, LeaseWatch, type Lease } from '../../shared/objects/lease.ts'
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import type { Clock } from '../../shared/runtime/clock.ts'
import { BackhaulError } from '../../shared/runtime/errors.ts'
import type { Failpoints } from '../../shared/runtime/failpoints.ts'
import type { Running } from '../../shared/runtime/lifecycle.ts'
import type { Random } from '../../shared/runtime/random.ts'
import type { TelemetryBase } from '../../shared/runtime/telemetry.ts'
import type { SpeedStore } from '../../shared/speed/speed-store.ts'
import type { AlertsConfig } from '../config.ts'
import type { ViewRole } from '../view-role.ts'
import { AlertEvaluator } from './evaluator.ts'
import { ALERT_LEASE_MS, ALERT_LEASE_RETRY_MS, ALERT_STEP_MS } from './limits.ts'
import { StateBook } from './state-book.ts'
import { createAlertTelemetry, type AlertTelemetry } from './telemetry.ts'
import { runWebhook } from './webhook.ts'

export interface AlertServiceParts {
  readonly config: AlertsConfig
  readonly rules: readonly AlertRule[]
  readonly log: EventLog
  readonly speed: SpeedStore
  readonly objects: ObjectStore
  readonly view: string
  /** Rules are judged on the rows of the active view. */
  readonly role: Pick<ViewRole, 'isPrimary' | 'formerViews'>
  /** Partitions of `playback.events`. */
  readonly partitions: number
  readonly paneLifeMs: number
  readonly clock: Clock
  readonly random: Random
  readonly failpoints: Failpoints
  readonly telemetry: TelemetryBase
}

const LEASE_NAME = 'leases/alerts'

export function startAlerts(parts: AlertServiceParts): Running {
  const telemetry = createAlertTelemetry(parts.telemetry)
  const stopping = new AbortController()
  const ended = run(parts, telemetry, stopping.signal)
  return {
    async stop() {
      stopping.abort()
      await ended
    },
  }
}

async function run(
  parts: AlertServiceParts,
  telemetry: AlertTelemetry,
  stopping: AbortSignal,
): Promise<void> {
  const failures = new FailureRow(telemetry)
  const holder = parts.random.uuid()
  const watch = new LeaseWatch()
  while (!stopping.aborted) {
    let lease: Lease | undefined
    try {
      if (parts.role.isPrimary) lease = await takeLease(parts, { holder, watch })
      if (lease !== undefined) {
        telemetry.leads(true)
        await lead({ parts, telemetry, failures, lease }, stopping)
      }
    } catch (error) {
      failures.add(error)
    }
    if (lease !== undefined) {
      await lease.release()
      telemetry.leads(false)
    }
    await parts.clock.sleep(ALERT_LEASE_RETRY_MS, stopping)
  }
}

async function takeLease(
  { objects, clock }: AlertServiceParts,
  asker: { readonly holder: string; readonly watch: LeaseWatch },
): Promise<Lease | undefined> {
  try {
    const options = { ...asker, name: LEASE_NAME, durationMs: ALERT_LEASE_MS, clock }
    return await acquireLease(objects, options)
  } catch (error) {
    if (error instanceof BackhaulError && error.code === 'LEASE_HELD') return undefined
    throw error
  }
}

interface Term {
  readonly parts: AlertServiceParts
  readonly telemetry: AlertTelemetry
  readonly failures: FailureRow
  readonly lease: Lease
}

/** Evaluates until the lease is lost (which throws), another view is active, or `stopping` aborts. */
async function lead(term: Term, stopping: AbortSignal): Promise<void> {
  const { parts, telemetry, failures, lease } = term
  const { clock, config, speed, view, log, role } = parts
  const { partitions: alertPartitions } = await log.describeTopic(TOPICS.alerts)
  const book = await StateBook.load(speed, view, role.formerViews)
  const hasWebhook = config.webhookUrl !== ''
  const evaluator = new AlertEvaluator(
    { ...parts, telemetry, alertPartitions, hasWebhook },
    book,
    () => lease.assertHeld(),
  )
  const over = new AbortController()
  const signal = AbortSignal.any([stopping, lease.signal, over.signal])
  const webhook =
    hasWebhook &&
    runWebhook({ ...parts, telemetry }, book, signal).catch((error: unknown) => {
      failures.add(error)
      over.abort()
    })
  try {
    while (!signal.aborted && role.isPrimary) {
      const hasMore = await stepOrExplain(evaluator, failures)
      if (!hasMore) await clock.sleep(ALERT_STEP_MS, signal)
    }
  } finally {
    over.abort()
    await webhook
  }
  lease.assertHeld()
  // What the webhook took since the last step would else be sent again.
  await book.flush()
}

/** Whether more is due at once. What a repeat can mend is repeated with the next step. */
async function stepOrExplain(evaluator: AlertEvaluator, failures: FailureRow): Promise<boolean> {
  try {
    const hasMore = await evaluator.step()
    failures.end()
    return hasMore
  } catch (error) {
    if (!isPassing(error)) throw error
    failures.add(error)
    return false
  }
}

/** A lost lease and a state that another one wrote end the term; a store that is away does not. */
function isPassing(error: unknown): boolean {
  if (!(error instanceof BackhaulError) || !error.spec.retryable) return false
  return error.code !== 'LEASE_LOST' && error.code !== 'PROCESSOR_ALERTS_OVERTAKEN'
}

/** Failures that follow one another are told once. */
class FailureRow {
  readonly #telemetry: AlertTelemetry
  #isFailing = false

  constructor(telemetry: AlertTelemetry) {
    this.#telemetry = telemetry
  }

  add(error: unknown): void {
    this.#telemetry.stepFailed(error, !this.#isFailing)
    this.#isFailing = true
  }

  end(): void {
    this.#isFailing = false
  }
}
