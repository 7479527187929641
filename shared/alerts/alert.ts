/**
 * An alert as it leaves the evaluator: to `playback.alerts`, to the webhook, to `/v1/live` and
 * `/v1/alerts`. Its id follows from what it says, so that whoever gets it twice can tell.
 */
import { createHash } from 'node:crypto'
import { z } from 'zod'

const epochMs = (doc: string) => z.int().describe(`${doc}, epoch ms`)

export const alertSchema = z.object({
  id: z.string().describe('Of this message: a digest of rule, key, minute and state'),
  alertId: z.string().describe('Of the alert: the id of its `raised` message'),
  state: z.enum(['raised', 'resolved']),
  reason: z
    .enum(['condition', 'recovered', 'silent', 'ruleChanged'])
    .describe(
      'Why: the condition held; it did not any more; there were too few samples to tell; the rule was changed or removed',
    ),
  rule: z.string().describe('Id of the rule'),
  title: z.string().describe('Title of the rule'),
  severity: z.enum(['info', 'warning', 'critical']),
  metric: z.string(),
  cut: z.string(),
  key: z.record(z.string(), z.string()).describe('Value of each dimension of the cut'),
  minuteStartMs: epochMs('Start of the minute that decided'),
  raisedMinuteStartMs: epochMs('Start of the minute that raised the alert'),
  value: z.number().nullable().describe('The metric over the rule’s window; null when undefined'),
  bound: z.number().nullable().describe('What it was compared with'),
  baseline: z.number().nullable().describe('Last week’s value, or the mean; null for a threshold'),
  samples: z.number().describe('What the value rests on'),
  judgedAtMs: epochMs('When the minute was judged'),
})
export type Alert = z.infer<typeof alertSchema>

const ID_DIGITS = 32

export function alertId(
  of: { readonly rule: string; readonly key: string; readonly minuteStartMs: number },
  state: Alert['state'],
): string {
  return createHash('sha256')
    .update(JSON.stringify([of.rule, of.key, of.minuteStartMs, state]))
    .digest('hex')
    .slice(0, ID_DIGITS)
}

export function encodeAlert(alert: Alert): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(alert))
}

/** `undefined` for bytes that are no alert. */
export function decodeAlert(bytes: Uint8Array): Alert | undefined {
  try {
    return alertSchema.parse(JSON.parse(new TextDecoder().decode(bytes)))
  } catch {
    return undefined
  }
}
