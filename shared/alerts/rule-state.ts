/**
 * What is known of a rule up to the last minute judged: the whole of it is one absolute row, so a
 * minute is judged, and what it raises is due for delivery, in one write or not at all.
 */
import { z } from 'zod'
import { alertSchema, type Alert } from './alert.ts'

const count = z.int().min(0)

const baselineSchema = z.object({
  mean: z.number(),
  variance: z.number().min(0),
  /** Minutes learnt. */
  minutes: count,
})
export type Baseline = z.infer<typeof baselineSchema>

const keyStateSchema = z.object({
  /** Minutes in a row that were out of bounds. */
  breaching: count,
  /** Minutes in a row that were well within bounds, of an open alert. */
  clearing: count,
  /** Minutes in a row without enough samples, of an open alert. */
  silent: count,
  /** Minutes in a row without a row. */
  unseen: count,
  /** The `raised` message of the open alert. */
  open: alertSchema.optional(),
  baseline: baselineSchema.optional(),
})
export type KeyState = z.infer<typeof keyStateSchema>

const outgoingSchema = z.object({
  alert: alertSchema,
  /** Where it is still to go. */
  toTopic: z.boolean(),
  toWebhook: z.boolean(),
})
export type Outgoing = z.infer<typeof outgoingSchema>

const ruleStateSchema = z.object({
  version: z.literal(1),
  /** Of the rule that was judged by. */
  definition: z.string(),
  /** Minutes before this are judged. */
  judgedToMs: count,
  keys: z.record(z.string(), keyStateSchema),
  /** Newest last. */
  resolved: z.array(alertSchema),
  /** Oldest first. */
  outbox: z.array(outgoingSchema),
})
export type RuleState = z.infer<typeof ruleStateSchema>

export function encodeRuleState(state: RuleState): string {
  return JSON.stringify(state)
}

/** `undefined` for a state of another version of the program, or none at all. */
export function decodeRuleState(text: string): RuleState | undefined {
  try {
    return ruleStateSchema.parse(JSON.parse(text))
  } catch {
    return undefined
  }
}

export function emptyRuleState(definition: string, judgedToMs: number): RuleState {
  return { version: 1, definition, judgedToMs, keys: {}, resolved: [], outbox: [] }
}

export function openAlerts(state: RuleState): Alert[] {
  return Object.values(state.keys).flatMap(({ open }) => (open === undefined ? [] : [open]))
}
