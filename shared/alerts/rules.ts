/**
 * Alert rules: one schema, from which the type, the refusal of what is wrong and the defaults come.
 * `docs/alerts.md` explains every field.
 */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { DIMENSIONS, type Cut, type Dimension } from '../qoe/cuts.ts'
import { describeValue } from '../runtime/errors.ts'
import { alertErrors } from './alert-errors.ts'
import { DEFAULT_RULES } from './default-rules.ts'
import {
  ALERT_KEYS_PER_RULE_MAX,
  ALERT_RULES_FILE_MAX_CHARS,
  ALERT_RULES_MAX,
  ALERT_WINDOW_MINUTES_MAX,
} from './limits.ts'
import { CONCURRENCY_METRICS, RULE_METRICS } from './rule-metrics.ts'

const MINUTES_MAX = 1_440
const direction = z.enum(['above', 'below'])

const conditionSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('threshold'), direction, value: z.number().min(0) }),
  /** Against the same minute, or window, a week before. */
  z.strictObject({ kind: z.literal('weekChange'), direction, ratio: z.number().gt(0).max(100) }),
  /** Against the key's own recent past, weighted so that a minute's weight halves in `halfLifeMinutes`. */
  z.strictObject({
    kind: z.literal('ewma'),
    direction,
    deviations: z.number().gt(0).max(100),
    /** The value must be away from the mean by this share of it too, however steady the key is. */
    leastRatio: z.number().min(0).max(100).default(0.2),
    halfLifeMinutes: z.int().min(1).max(MINUTES_MAX).default(30),
    /** Minutes before the mean says anything. */
    learnMinutes: z.int().min(2).max(MINUTES_MAX).default(30),
    /** Minutes out of bounds after which the new level is learnt, and so becomes the normal one. */
    relearnMinutes: z
      .int()
      .min(1)
      .max(7 * MINUTES_MAX)
      .default(120),
  }),
])
export type RuleCondition = z.infer<typeof conditionSchema>

const ruleSchema = z.strictObject({
  id: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/),
  title: z.string().min(1).max(200),
  severity: z.enum(['info', 'warning', 'critical']).default('warning'),
  metric: z.enum(RULE_METRICS),
  cut: z.string(),
  where: z
    .partialRecord(z.enum(DIMENSIONS), z.array(z.string().min(1).max(256)).min(1).max(100))
    .default({}),
  condition: conditionSchema,
  windowMinutes: z.int().min(1).max(ALERT_WINDOW_MINUTES_MAX).default(1),
  minimumSamples: z.int().min(0).default(25),
  forMinutes: z.int().min(1).max(MINUTES_MAX).default(1),
  resolve: z
    .strictObject({
      minutes: z.int().min(1).max(MINUTES_MAX).default(3),
      hysteresis: z.number().min(0).max(0.95).default(0.2),
      silentMinutes: z.int().min(1).max(MINUTES_MAX).default(15),
    })
    .prefault({}),
  /** `closing`: as soon as the watermark has passed the minute; `closed`: once nothing changes it. */
  judge: z.enum(['closing', 'closed']).default('closing'),
  /** How far the watermark must be past the minute, ms. */
  settleMs: z.int().min(0).max(600_000).optional(),
})
const rulesSchema = z.strictObject({ rules: z.array(ruleSchema).max(ALERT_RULES_MAX) })
export type RuleInput = z.input<typeof ruleSchema>

export interface AlertRule extends Omit<z.infer<typeof ruleSchema>, 'cut' | 'settleMs'> {
  readonly cut: Cut
  readonly settleMs: number
  /** Digest of everything above: another rule under the same id begins anew. */
  readonly definition: string
}

/** Settle time of concurrency without one of its own: the heartbeat interval of players, ms. */
const CONCURRENCY_SETTLE_MS = 30_000
const DEFINITION_DIGITS = 16

/** Throws `ALERT_RULES_UNREADABLE`, `ALERT_RULES_INVALID` or `ALERT_CUT_UNKNOWN`. */
export function parseRules(text: string, cuts: readonly Cut[]): AlertRule[] {
  const parsed = rulesSchema.safeParse(jsonOf(text))
  if (!parsed.success) throw invalid(firstIssue(parsed.error))
  const { rules } = parsed.data
  const ids = new Set<string>()
  return rules.map((rule, index) => {
    if (ids.has(rule.id)) throw invalid(`rules[${index}].id: "${rule.id}" is there twice`)
    ids.add(rule.id)
    const cut = cuts.find(({ id }) => id === rule.cut)
    if (cut === undefined)
      throw alertErrors.create('ALERT_CUT_UNKNOWN', {
        expected: `rules[${index}].cut to be one of ${cuts.map(({ id }) => id).join(', ')}`,
        received: describeValue(rule.cut),
      })
    for (const dimension of Object.keys(rule.where))
      if (!cut.dimensions.includes(dimension as Dimension))
        throw invalid(`rules[${index}].where.${dimension}: not a dimension of the cut ${cut.id}`)
    const pinned = pinnedCount(rule, cut)
    if (pinned > ALERT_KEYS_PER_RULE_MAX)
      throw alertErrors.create('ALERT_RULES_INVALID', {
        expected: `rules[${index}].where to name at most ${ALERT_KEYS_PER_RULE_MAX} keys of the cut ${cut.id}`,
        received: `${pinned}`,
      })
    if (rule.metric === 'distinctViewers' && !cut.viewers)
      throw invalid(`rules[${index}].metric: the cut ${cut.id} does not count distinct viewers`)
    return completed(rule, cut)
  })
}

/** The default rules whose cuts are configured. */
export function defaultRules(cuts: readonly Cut[]): AlertRule[] {
  const watched = DEFAULT_RULES.filter((rule) => cuts.some(({ id }) => id === rule.cut))
  return parseRules(JSON.stringify({ rules: watched }), cuts)
}

/** The rules of a file, or the default ones where no file is named. */
export function loadRules(
  path: string,
  cuts: readonly Cut[],
  readFile: (path: string) => string,
): AlertRule[] {
  if (path === '') return defaultRules(cuts)
  let text: string
  try {
    text = readFile(path)
  } catch (cause) {
    throw alertErrors.create('ALERT_RULES_UNREADABLE', {
      expected: 'a readable file',
      received: path,
      cause,
    })
  }
  return parseRules(text, cuts)
}

/** Keys that are judged also when nothing happens under them; none while a dimension is left open. */
function pinnedCount({ where }: z.infer<typeof ruleSchema>, { dimensions }: Cut): number {
  return dimensions.reduce((count, dimension) => count * (where[dimension]?.length ?? 0), 1)
}

function completed(rule: z.infer<typeof ruleSchema>, cut: Cut): AlertRule {
  const settleMs =
    rule.settleMs ?? (CONCURRENCY_METRICS.has(rule.metric) ? CONCURRENCY_SETTLE_MS : 0)
  const complete = { ...rule, settleMs }
  const definition = createHash('sha256')
    .update(JSON.stringify(complete))
    .digest('hex')
    .slice(0, DEFINITION_DIGITS)
  return { ...complete, cut, definition }
}

function jsonOf(text: string): unknown {
  if (text.length > ALERT_RULES_FILE_MAX_CHARS)
    throw alertErrors.create('ALERT_RULES_UNREADABLE', {
      expected: `at most ${ALERT_RULES_FILE_MAX_CHARS} characters`,
      received: `${text.length}`,
    })
  try {
    return JSON.parse(text) as unknown
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw alertErrors.create('ALERT_RULES_UNREADABLE', {
      expected: 'JSON',
      received: reason,
      cause,
    })
  }
}

/** `rules[2].condition: Unrecognized key: "treshold"`. */
function firstIssue(error: z.ZodError): string {
  const issue = error.issues[0]
  const path = (issue?.path ?? [])
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('')
  return `${path === '' ? 'the file' : path.replace(/^\./, '')}: ${issue?.message ?? 'invalid'}`
}

function invalid(received: string) {
  return alertErrors.create('ALERT_RULES_INVALID', { received })
}
