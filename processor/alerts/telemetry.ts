/** What the evaluator of alert rules reports: its metrics, and the named events that move them. */
import type { Alert } from '../../shared/alerts/alert.ts'
import { BackhaulError } from '../../shared/runtime/errors.ts'
import { createMetrics, defineMetrics, type TelemetryBase } from '../../shared/runtime/telemetry.ts'

export const alertMetrics = defineMetrics({
  leads: {
    kind: 'gauge',
    name: 'processor_alerts_leader',
    help: '1 while this process evaluates the alert rules; over all processes 1, or nobody does.',
  },
  judged: {
    kind: 'counter',
    name: 'processor_alerts_judged_minutes_total',
    help: 'Minutes judged, each by one rule.',
  },
  skipped: {
    kind: 'counter',
    name: 'processor_alerts_skipped_minutes_total',
    help: 'Minutes not judged by a rule: the evaluator was away too long, or they could not be read.',
    labels: ['reason'],
  },
  alerts: {
    kind: 'counter',
    name: 'processor_alerts_total',
    help: 'Alerts raised and resolved.',
    labels: ['state', 'severity'],
  },
  open: {
    kind: 'gauge',
    name: 'processor_alerts_open',
    help: 'Open alerts of all rules (limit of one rule: ALERT_OPEN_PER_RULE_MAX).',
  },
  outbox: {
    kind: 'gauge',
    name: 'processor_alerts_outbox',
    help: 'Alerts not yet delivered everywhere (limit of one rule: ALERT_OUTBOX_PER_RULE_MAX).',
  },
  bounded: {
    kind: 'counter',
    name: 'processor_alerts_bounded_total',
    help: 'Keys forgotten (`keys`) and alerts not raised (`open`) because a rule is at its bound.',
    labels: ['bound'],
  },
  publishDurationMs: {
    kind: 'histogram',
    name: 'processor_alerts_publish_duration_ms',
    help: 'Time from finding minutes due until their alerts are in playback.alerts.',
  },
  stepFailures: {
    kind: 'counter',
    name: 'processor_alerts_failures_total',
    help: 'Steps of the evaluator that failed and are repeated, by error code.',
    labels: ['code'],
  },
  webhook: {
    kind: 'counter',
    name: 'processor_alerts_webhook_posts_total',
    help: 'Posts to the webhook: `delivered`, `failed` (sent again), or the alert given up: `refused`, `expired`, `full`.',
    labels: ['outcome'],
  },
})

export type WebhookOutcome = 'delivered' | 'failed' | 'refused' | 'expired' | 'full'
export type AlertTelemetry = ReturnType<typeof createAlertTelemetry>

export function createAlertTelemetry({ registry, log }: TelemetryBase) {
  const metrics = createMetrics(alertMetrics, registry)
  return {
    leads(leads: boolean) {
      metrics.leads.set(leads ? 1 : 0)
      log.info({ leads }, 'evaluates alert rules')
    },
    judged(facts: { readonly keysDropped: number; readonly notRaised: number }) {
      metrics.judged.inc()
      metrics.bounded.inc({ bound: 'keys' }, facts.keysDropped)
      metrics.bounded.inc({ bound: 'open' }, facts.notRaised)
    },
    minutesSkipped(rule: string, minutes: number, reason: 'away' | 'unreadable') {
      metrics.skipped.inc({ reason }, minutes)
      log.warn({ rule, minutes, reason }, 'minutes not judged by an alert rule')
    },
    published(alerts: readonly Alert[], durationMs: number) {
      metrics.publishDurationMs.observe(durationMs)
      for (const { state, severity, rule, key, id } of alerts) {
        metrics.alerts.inc({ state, severity })
        log.info({ rule, key, state, severity, alert: id }, 'alert')
      }
    },
    sizesChanged(sizes: { readonly open: number; readonly outbox: number }) {
      metrics.open.set(sizes.open)
      metrics.outbox.set(sizes.outbox)
    },
    /** Logged once a row of failures; the counter tells how long it lasts. */
    stepFailed(error: unknown, isFirst: boolean) {
      const code = error instanceof BackhaulError ? error.code : 'PROCESSOR_TASK_FAILED'
      metrics.stepFailures.inc({ code })
      if (isFirst) log.warn({ err: error }, 'alert rules are not evaluated, trying again')
    },
    webhookPosted(outcome: WebhookOutcome, alert: Alert, error?: BackhaulError) {
      metrics.webhook.inc({ outcome })
      if (error !== undefined) log.warn({ alert: alert.id, outcome, err: error.message }, 'webhook')
    },
  }
}
