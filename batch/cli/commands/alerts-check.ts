/** `alerts check`: whether a file of alert rules is right, and what it would have raised. */
import { readFileSync } from 'node:fs'
import { judgeMinute } from '../../../shared/alerts/judge.ts'
import { readRule, speedMinutes } from '../../../shared/alerts/readings.ts'
import type { Alert } from '../../../shared/alerts/alert.ts'
import { emptyRuleState } from '../../../shared/alerts/rule-state.ts'
import { loadRules, type AlertRule } from '../../../shared/alerts/rules.ts'
import { MINUTE_MS } from '../../../shared/qoe/aggregates.ts'
import { paneLifeOf } from '../../../shared/qoe/fold.ts'
import { readProgress } from '../../../shared/speed/generations.ts'
import { type Command, type CommandContext, EXIT } from '../command.ts'
import { ALERT_CHECK_MINUTES_MAX, ALERT_CHECK_ROWS_MAX } from '../limits.ts'

export const alertsCheck: Command = {
  name: 'alerts check',
  summary: 'check a file of alert rules, and show what it would have raised',
  about: `Reads a JSON file of alert rules (docs/alerts.md) and names what is wrong with it. With --minutes, a
file that is right is tried on the last minutes of the data folder: what each rule would have raised
and resolved is listed, and nothing is sent. A server may run beside. Nothing is changed.`,
  examples: ['alerts check rules.json', 'alerts check rules.json --minutes 720 --json'],
  options: {
    minutes: { value: 'N', doc: 'Try the rules on so many minutes, up to now.' },
  },
  positionals: ['file'],
  async run(context, given) {
    const { cuts } = context.stores.settings
    const file = given.positional('file')
    const rules = loadRules(file, cuts, (path) => readFileSync(path, 'utf8'))
    const minutes = given.count('minutes', { max: ALERT_CHECK_MINUTES_MAX, default: 0 })
    const toMs = Math.floor(context.clock.nowMs() / MINUTE_MS) * MINUTE_MS
    const range = { fromMs: toMs - minutes * MINUTE_MS, toMs }
    const alerts = minutes === 0 ? [] : await tryRules(rules, range, context)
    const lines = [`${rules.length} ${rules.length === 1 ? 'rule is' : 'rules are'} right`]
    if (minutes > 0)
      lines.push(`over ${minutes} minutes to ${timeText(toMs)}:`, ...alerts.map(line))
    if (minutes > 0 && alerts.length === 0) lines.push('nothing would have been raised')
    return {
      exitCode: EXIT.done,
      json: { rules: rules.map(({ id }) => id), minutes, toMs, alerts },
      text: lines.join('\n'),
    }
  },
}

/** What the rules raise and resolve when they begin with the first minute of the range. */
async function tryRules(
  rules: readonly AlertRule[],
  { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number },
  { stores, progress, signal }: CommandContext,
): Promise<Alert[]> {
  const { view, limits, common } = stores.settings
  const speed = await stores.speed('reader')
  const rows = await speed.readPartitions(view)
  const reached = readProgress(rows, common.partitions, paneLifeOf(limits))
  const found: Alert[] = []
  let states = rules.map((rule) => ({ rule, state: emptyRuleState(rule.definition, fromMs) }))
  for (let minuteStartMs = fromMs; minuteStartMs < toMs; minuteStartMs += MINUTE_MS) {
    signal.throwIfAborted()
    progress.show('minutes', (minuteStartMs - fromMs) / MINUTE_MS, (toMs - fromMs) / MINUTE_MS)
    // The minutes read are kept for the rules of one minute, not for all of them.
    const source = speedMinutes({ speed, view, rowsMax: ALERT_CHECK_ROWS_MAX }, reached)
    const judged: typeof states = []
    for (const { rule, state } of states) {
      const readings = await readRule(rule, minuteStartMs, source)
      const nowMs = minuteStartMs + MINUTE_MS
      const judgement = judgeMinute(rule, state, { minuteStartMs, nowMs, readings })
      found.push(...judgement.alerts)
      judged.push({ rule, state: judgement.state })
    }
    states = judged
  }
  return found
}

function line({ state, minuteStartMs, rule, key, value, bound, samples, reason }: Alert): string {
  const numbers = `${value ?? 'undefined'}, bound ${bound ?? 'none'}, ${samples} samples`
  return `${timeText(minuteStartMs)} ${state} ${rule} ${JSON.stringify(key)} ${reason}: ${numbers}`
}

function timeText(epochMs: number): string {
  return new Date(epochMs).toISOString().replace('.000Z', 'Z')
}
