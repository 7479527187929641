/** An alert as it waits in an outbox. */
import type { Alert } from '../../shared/alerts/alert.ts'
import type { Outgoing } from '../../shared/alerts/rule-state.ts'
import { MINUTE_MS } from '../../shared/qoe/aggregates.ts'

const JUDGED_AT_MS = 30_000_000 * MINUTE_MS

/** Raised by the rule `stalls` on a CDN called like it; on its way to topic and webhook unless `to` says otherwise. */
export function outgoing(id: string, to: Partial<Outgoing> = {}): Outgoing {
  const alert: Alert = {
    id,
    alertId: id,
    state: 'raised',
    reason: 'condition',
    rule: 'stalls',
    title: 'Stalls',
    severity: 'critical',
    metric: 'stalledTimeRatio',
    cut: 'cdn',
    key: { cdn: id },
    minuteStartMs: JUDGED_AT_MS - MINUTE_MS,
    raisedMinuteStartMs: JUDGED_AT_MS - MINUTE_MS,
    value: 0.2,
    bound: 0.1,
    baseline: null,
    samples: 100,
    judgedAtMs: JUDGED_AT_MS,
  }
  return { alert, toTopic: true, toWebhook: true, ...to }
}
