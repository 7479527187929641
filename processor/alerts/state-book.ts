/**
 * The states of all rules, in memory and in the store. A change stays pending until `flush`; the
 * evaluator and the webhook both change states, each without waiting between its look and its
 * change, so neither undoes what the other did.
 */
import {
  decodeRuleState,
  encodeRuleState,
  openAlerts,
  type Outgoing,
  type RuleState,
} from '../../shared/alerts/rule-state.ts'
import type { RuleStateRow } from '../../shared/speed/rows.ts'
import type { SpeedStore } from '../../shared/speed/speed-store.ts'
import { processorErrors } from '../errors.ts'
import { ALERT_STATE_RETENTION_MS, ALERT_STATES_PER_WRITE_MAX } from './limits.ts'

export class StateBook {
  readonly #speed: SpeedStore
  readonly #view: string
  readonly #states = new Map<string, RuleState>()
  readonly #stamps = new Map<string, number>()
  readonly #changed = new Set<string>()

  private constructor(speed: SpeedStore, view: string) {
    this.#speed = speed
    this.#view = view
  }

  /**
   * With what the rules stood at in the views that were active before: of the states of a rule the one
   * that was judged further counts, by its stamp, so an alert that is open there is resolved here.
   */
  static async load(
    speed: SpeedStore,
    view: string,
    formerViews: readonly string[] = [],
  ): Promise<StateBook> {
    for (const former of formerViews) {
      const rows = await speed.readRuleStates(former)
      for (let at = 0; at < rows.length; at += ALERT_STATES_PER_WRITE_MAX)
        await speed.putRuleStates(
          rows.slice(at, at + ALERT_STATES_PER_WRITE_MAX).map((row) => ({ ...row, view })),
        )
    }
    const book = new StateBook(speed, view)
    for (const row of await speed.readRuleStates(view)) {
      book.#stamps.set(row.ruleId, row.stampUs)
      const state = decodeRuleState(row.stateJson)
      if (state !== undefined) book.#states.set(row.ruleId, state)
    }
    return book
  }

  get(ruleId: string): RuleState | undefined {
    return this.#states.get(ruleId)
  }

  set(ruleId: string, state: RuleState): void {
    this.#states.set(ruleId, state)
    this.#changed.add(ruleId)
  }

  get ruleIds(): string[] {
    return [...this.#states.keys()]
  }

  get sizes(): { readonly open: number; readonly outbox: number } {
    let open = 0
    let outbox = 0
    for (const state of this.#states.values()) {
      open += openAlerts(state).length
      outbox += state.outbox.length
    }
    return { open, outbox }
  }

  /** What is still to be delivered and meets `wanted`, by rule, oldest first. */
  outgoing(wanted: (entry: Outgoing) => boolean): Map<string, Outgoing[]> {
    const found = new Map<string, Outgoing[]>()
    for (const [ruleId, { outbox }] of this.#states) {
      const entries = outbox.filter(wanted)
      if (entries.length > 0) found.set(ruleId, entries)
    }
    return found
  }

  /** Takes note that the alerts of a rule have gone where `way` says; what went everywhere leaves. */
  delivered(ruleId: string, alertIds: ReadonlySet<string>, way: 'toTopic' | 'toWebhook'): void {
    const state = this.#states.get(ruleId)
    if (state === undefined) return
    const outbox = state.outbox
      .map((entry) => (alertIds.has(entry.alert.id) ? { ...entry, [way]: false } : entry))
      .filter(({ toTopic, toWebhook }) => toTopic || toWebhook)
    this.set(ruleId, { ...state, outbox })
  }

  /** Resolves when every change is durable; throws what the store throws, and keeps them pending. */
  async flush(): Promise<void> {
    const rows = [...this.#changed].flatMap((ruleId) => this.#rowOf(ruleId))
    this.#changed.clear()
    for (let at = 0; at < rows.length; at += ALERT_STATES_PER_WRITE_MAX) {
      const slice = rows.slice(at, at + ALERT_STATES_PER_WRITE_MAX)
      try {
        await this.#speed.putRuleStates(slice)
      } catch (error) {
        for (const { ruleId } of rows.slice(at)) this.#changed.add(ruleId)
        throw error
      }
    }
  }

  /**
   * Throws `PROCESSOR_ALERTS_OVERTAKEN` when another evaluator has written since: what this one has
   * found is then not what the rules stand at, and must not go out.
   */
  async confirm(): Promise<void> {
    for (const { ruleId, stampUs } of await this.#speed.readRuleStates(this.#view))
      if (stampUs !== this.#stamps.get(ruleId))
        throw processorErrors.create('PROCESSOR_ALERTS_OVERTAKEN', {
          expected: `the state of ${ruleId} as it was written here`,
          received: 'one of another evaluator',
        })
  }

  /** Event time first, so that a state judged further is always the higher one. */
  #rowOf(ruleId: string): RuleStateRow[] {
    const state = this.#states.get(ruleId)
    if (state === undefined) return []
    const stampUs = Math.max((this.#stamps.get(ruleId) ?? 0) + 1, state.judgedToMs * 1_000)
    this.#stamps.set(ruleId, stampUs)
    return [
      {
        view: this.#view,
        ruleId,
        stampUs,
        expiresAtMs: state.judgedToMs + ALERT_STATE_RETENTION_MS,
        stateJson: encodeRuleState(state),
      },
    ]
  }
}
