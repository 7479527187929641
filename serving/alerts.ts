/** `GET /v1/alerts`: what is open, and what was resolved of late, as the rules' states have it. */
import type { Alert } from '../shared/alerts/alert.ts'
import { decodeRuleState, openAlerts } from '../shared/alerts/rule-state.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import type { SpeedStore } from '../shared/speed/speed-store.ts'
import type { AlertsResponse } from './api-schemas.ts'
import type { ServingLimits } from './limits.ts'

export interface AlertsContext {
  readonly speed: SpeedStore
  readonly view: string
  readonly clock: Clock
  readonly limits: Pick<ServingLimits, 'alertsOpenMax' | 'alertsResolvedMax'>
}

export async function answerAlerts(context: AlertsContext): Promise<AlertsResponse> {
  const { speed, view, clock, limits } = context
  const open: Alert[] = []
  const resolved: Alert[] = []
  for (const { stateJson } of await speed.readRuleStates(view)) {
    const state = decodeRuleState(stateJson)
    if (state === undefined) continue
    open.push(...openAlerts(state))
    resolved.push(...state.resolved)
  }
  return {
    nowMs: clock.nowMs(),
    open: open.toSorted(worstFirst).slice(0, limits.alertsOpenMax),
    openTotal: open.length,
    resolved: resolved.toSorted(newestFirst).slice(0, limits.alertsResolvedMax),
  }
}

const RANKS: Readonly<Record<Alert['severity'], number>> = { critical: 0, warning: 1, info: 2 }

function worstFirst(a: Alert, b: Alert): number {
  return RANKS[a.severity] - RANKS[b.severity] || newestFirst(a, b)
}

function newestFirst(a: Alert, b: Alert): number {
  return b.minuteStartMs - a.minuteStartMs || (a.id < b.id ? -1 : 1)
}
