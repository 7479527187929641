/**
 * Judges minutes and hands on what they raise. One step takes every rule at most one minute further:
 *
 *   judge ─► states durable, with their outbox ─► still the one evaluator? ─► topic ─► outbox shorter
 *
 * What a killed evaluator leaves behind is either not judged yet, and is judged by the next one, or
 * lies in an outbox, and goes out again with the same id.
 */
import { encodeAlert, type Alert } from '../../shared/alerts/alert.ts'
import { endRule, judgeMinute, type Judgement } from '../../shared/alerts/judge.ts'
import {
  ALERT_OUTBOX_PER_RULE_MAX,
  ALERT_OUTGOING_PER_MINUTE_MAX,
} from '../../shared/alerts/limits.ts'
import {
  readRule,
  speedMinutes,
  type MinuteSource,
  type RuleReadings,
} from '../../shared/alerts/readings.ts'
import { emptyRuleState, type Outgoing, type RuleState } from '../../shared/alerts/rule-state.ts'
import type { AlertRule } from '../../shared/alerts/rules.ts'
import type { EventLog, NewRecord } from '../../shared/log/event-log.ts'
import { partitionOf } from '../../shared/log/partitioner.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import { MINUTE_MS } from '../../shared/qoe/aggregates.ts'
import type { Clock } from '../../shared/runtime/clock.ts'
import { BackhaulError } from '../../shared/runtime/errors.ts'
import type { Failpoints } from '../../shared/runtime/failpoints.ts'
import { readProgress, type PartitionProgress } from '../../shared/speed/generations.ts'
import type { SpeedStore } from '../../shared/speed/speed-store.ts'
import { ALERT_CATCH_UP_MINUTES_MAX, ALERT_ROWS_PER_READ_MAX } from './limits.ts'
import type { StateBook } from './state-book.ts'
import type { AlertTelemetry } from './telemetry.ts'

export interface EvaluatorParts {
  readonly rules: readonly AlertRule[]
  readonly log: EventLog
  readonly speed: SpeedStore
  readonly view: string
  /** Partitions of `playback.events`, and of `playback.alerts`. */
  readonly partitions: number
  readonly alertPartitions: number
  readonly paneLifeMs: number
  readonly hasWebhook: boolean
  readonly clock: Clock
  readonly failpoints: Failpoints
  readonly telemetry: AlertTelemetry
}

export class AlertEvaluator {
  readonly #parts: EvaluatorParts
  readonly #book: StateBook
  /** Throws once another process may evaluate. */
  readonly #assertHeld: () => void

  constructor(parts: EvaluatorParts, book: StateBook, assertHeld: () => void) {
    this.#parts = parts
    this.#book = book
    this.#assertHeld = assertHeld
    this.#endRemovedRules()
  }

  /** Resolves with whether a rule has further minutes due. */
  async step(): Promise<boolean> {
    const { speed, view, partitions, paneLifeMs, rules, clock, telemetry, failpoints } = this.#parts
    const startedMs = clock.monotonicMs()
    const progress = readProgress(await speed.readPartitions(view), partitions, paneLifeMs)
    const source = speedMinutes({ speed, view, rowsMax: ALERT_ROWS_PER_READ_MAX }, progress)
    let hasMore = false
    for (const rule of rules) hasMore = (await this.#judge(rule, progress, source)) || hasMore
    await failpoints.hit('alerts.afterJudge')
    this.#assertHeld()
    await this.#book.flush()
    await failpoints.hit('alerts.afterState')
    try {
      await this.#publish((alerts) => telemetry.published(alerts, clock.monotonicMs() - startedMs))
    } finally {
      telemetry.sizesChanged(this.#book.sizes)
    }
    return hasMore
  }

  /** Takes the rule one minute further if one is due; resolves with whether another one is. */
  async #judge(
    rule: AlertRule,
    progress: PartitionProgress,
    source: MinuteSource,
  ): Promise<boolean> {
    const dueToMs = this.#dueTo(rule, progress)
    if (dueToMs === undefined || !this.#hasRoom(rule)) return false
    const { judgedToMs: minuteStartMs } = this.#stateOf(rule, dueToMs)
    if (minuteStartMs >= dueToMs) return false
    const readings = await this.#readings(rule, minuteStartMs, source)
    // Looked at again: the webhook may have shortened the outbox meanwhile.
    const state = this.#stateOf(rule, dueToMs)
    const { clock, telemetry } = this.#parts
    if (readings === undefined) {
      this.#book.set(rule.id, { ...state, judgedToMs: minuteStartMs + MINUTE_MS })
      telemetry.minutesSkipped(rule.id, 1, 'unreadable')
    } else {
      const minute = { minuteStartMs, nowMs: clock.nowMs(), readings }
      const judgement = judgeMinute(rule, state, minute)
      this.#book.set(rule.id, this.#withOutbox(judgement))
      telemetry.judged(judgement)
    }
    return minuteStartMs + MINUTE_MS < dueToMs
  }

  /** A rule whose alerts do not get into the topic waits: they are nowhere else, so none may go. */
  #hasRoom({ id }: AlertRule): boolean {
    const outbox = this.#book.get(id)?.outbox ?? []
    const waiting = outbox.filter(({ toTopic }) => toTopic).length
    return waiting + ALERT_OUTGOING_PER_MINUTE_MAX <= ALERT_OUTBOX_PER_RULE_MAX
  }

  /** End of the newest minute that the rule may judge. */
  #dueTo(rule: AlertRule, progress: PartitionProgress): number | undefined {
    const asOfMs = progress.asOfMs(rule.cut.width)
    if (asOfMs === undefined) return undefined
    // A pane takes events for as long as the watermark is not beyond its life.
    const closesAfterMs = rule.judge === 'closed' ? this.#parts.paneLifeMs + 1 : 0
    return Math.floor((asOfMs - rule.settleMs - closesAfterMs) / MINUTE_MS) * MINUTE_MS
  }

  /** The rule's state as it is to be judged from: of this definition, and not too far behind. */
  #stateOf(rule: AlertRule, dueToMs: number): RuleState {
    const { telemetry, clock } = this.#parts
    let state = this.#book.get(rule.id)
    if (state === undefined) {
      state = emptyRuleState(rule.definition, dueToMs - MINUTE_MS)
      this.#book.set(rule.id, state)
    } else if (state.definition !== rule.definition) {
      const ended = this.#withOutbox(endRule(state, clock.nowMs()))
      state = { ...ended, definition: rule.definition }
      this.#book.set(rule.id, state)
    }
    const earliestMs = dueToMs - ALERT_CATCH_UP_MINUTES_MAX * MINUTE_MS
    if (state.judgedToMs >= earliestMs) return state
    telemetry.minutesSkipped(rule.id, (earliestMs - state.judgedToMs) / MINUTE_MS, 'away')
    const caughtUp = { ...withoutStreaks(state), judgedToMs: earliestMs }
    this.#book.set(rule.id, caughtUp)
    return caughtUp
  }

  /** `undefined` when no repeat would help: a cut with too many keys must not hold up the others. */
  async #readings(
    rule: AlertRule,
    minuteStartMs: number,
    source: MinuteSource,
  ): Promise<RuleReadings | undefined> {
    try {
      return await readRule(rule, minuteStartMs, source)
    } catch (error) {
      if (error instanceof BackhaulError && error.code === 'SPEED_QUERY_TOO_LARGE') return undefined
      throw error
    }
  }

  #endRemovedRules(): void {
    const known = new Set(this.#parts.rules.map(({ id }) => id))
    for (const ruleId of this.#book.ruleIds) {
      const state = this.#book.get(ruleId)
      if (known.has(ruleId) || state === undefined || Object.keys(state.keys).length === 0) continue
      this.#book.set(ruleId, this.#withOutbox(endRule(state, this.#parts.clock.nowMs())))
    }
  }

  #withOutbox({ state, alerts }: Judgement): RuleState {
    const { hasWebhook, telemetry } = this.#parts
    const added = alerts.map((alert): Outgoing => ({
      alert,
      toTopic: true,
      toWebhook: hasWebhook,
    }))
    let over = state.outbox.length + added.length - ALERT_OUTBOX_PER_RULE_MAX
    // The webhook misses the oldest; what is not in the topic yet stays, see `#hasRoom`.
    const outbox = [...state.outbox, ...added].filter(({ alert, toTopic }) => {
      if (over <= 0 || toTopic) return true
      over -= 1
      telemetry.webhookPosted('full', alert)
      return false
    })
    return { ...state, outbox }
  }

  /**
   * Appends what is due for the topic. A partition that fails keeps its own alerts waiting and no
   * others; the first failure is thrown once all were tried.
   */
  async #publish(onPublished: (alerts: readonly Alert[]) => void): Promise<void> {
    const { log, alertPartitions, failpoints } = this.#parts
    const due = [...this.#book.outgoing(({ toTopic }) => toTopic).values()].flat()
    if (due.length === 0) return
    await this.#book.confirm()
    const alerts = due.map(({ alert }) => alert)
    const byPartition = Map.groupBy(alerts, (alert) => partitionOf(alert.alertId, alertPartitions))
    const published: Alert[] = []
    const failures: unknown[] = []
    for (const [partition, list] of byPartition) {
      this.#assertHeld()
      try {
        await log.append(TOPICS.alerts, partition, list.map(alertRecord))
      } catch (error) {
        failures.push(error)
        continue
      }
      await failpoints.hit('alerts.afterTopic')
      for (const [ruleId, ofRule] of Map.groupBy(list, ({ rule }) => rule))
        this.#book.delivered(ruleId, new Set(ofRule.map(({ id }) => id)), 'toTopic')
      published.push(...list)
    }
    if (published.length > 0) {
      onPublished(published)
      await this.#book.flush()
      await failpoints.hit('alerts.afterDelivery')
    }
    if (failures.length > 0) throw failures[0]
  }
}

/** Raised and resolved share their key, and so their partition and order. */
function alertRecord(alert: Alert): NewRecord {
  return { key: alert.alertId, value: encodeAlert(alert), headers: { schema: 'alert.v1' } }
}

/** Minutes that were not judged lie between: nothing has held for several in a row. */
function withoutStreaks(state: RuleState): RuleState {
  const keys = Object.entries(state.keys).map(
    ([key, known]) => [key, { ...known, breaching: 0, clearing: 0, silent: 0 }] as const,
  )
  return { ...state, keys: Object.fromEntries(keys) }
}
