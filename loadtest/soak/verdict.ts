/**
 * The verdict over a soak, claim by claim of the contract: what clients were promised against the log,
 * the log against rows and tables, both against an oracle, by readers that share nothing with the product.
 */
import { judgeDelivery } from '../../scripts/services/kafka/delivery.ts'
import { readBack, type ReadBackRecord } from '../../scripts/services/kafka/read-back.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import type { Violation } from '../oracle/conservation.ts'
import { isBalanced, type GatewayOnKafka } from '../gateway-on-kafka.ts'
import type { Reconciled } from '../processor/kafka-machine.ts'
import { LATER_FIELD } from './audience.ts'
import type { Scene } from './inject.ts'
import type { Seen } from './watchers.ts'

export interface Claim {
  readonly id: 'C1' | 'C2' | 'C3' | 'C4' | 'C5' | 'C6' | 'C7'
  readonly what: string
  /** How often it does not hold. */
  readonly broken: number
  /** The first of them. */
  readonly examples: readonly string[]
}

export interface Verdict {
  readonly claims: readonly Claim[]
  readonly numbers: Readonly<Record<string, number | string>>
}

const FLUSH_DEADLINE_MS = 120_000
const EXAMPLES = 10

export function claim(id: Claim['id'], what: string, found: readonly string[]): Claim {
  return { id, what, broken: found.length, examples: found.slice(0, EXAMPLES) }
}

/** Resolves to whether all that was sent is acknowledged; nothing new is sent then. */
export function endLoad({ audience }: Scene): Promise<boolean> {
  return audience.finish(FLUSH_DEADLINE_MS)
}

/** What the books of the gateways say at a moment that is against them. */
export async function unbalanced(gateways: readonly GatewayOnKafka[]): Promise<string[]> {
  const books = await Promise.all(gateways.map((gateway) => gateway.books()))
  return books.filter((one) => !isBalanced(one)).map((one) => `gateway: ${JSON.stringify(one)}`)
}

/** Stops what takes and folds events, in this order, and judges what is left. */
export async function judge(
  scene: Scene,
  { seen, unbalancedBefore }: { readonly seen: Seen; readonly unbalancedBefore: readonly string[] },
): Promise<Verdict> {
  const { stage, audience, batch } = scene
  const { machine, kafka, gateways, processors } = stage
  const books = [
    ...unbalancedBefore,
    ...(await unbalanced(gateways)),
    ...(await closeBooks(gateways)),
  ]
  const counters = await machine.settle(processors)
  const violations = await machine.violations(counters)
  const records = await readBack(kafka, TOPICS.events)
  const delivery = judgeDelivery(audience.sent, records, '')
  const unlike = violations.filter((one) => !isUnbalanced(one)).map(textOf)
  const reconciled = await machine.reconcile()
  const tables = await unlikeSent(scene)
  const sum = (of: 'late' | 'amended' | 'afterClose' | 'duplicate') =>
    [...counters.values()].reduce((total, one) => total + one[of], 0)
  const { eventsAcknowledged, framesResent, connections } = audience.metrics
  return {
    claims: [
      claim('C1', 'acknowledged, and not in the log as it was sent', [
        ...delivery.missing,
        ...laterFieldsMissing(records, audience.laterEvents),
      ]),
      claim('C2', 'acknowledged, and not once in files and tables', [...tables, ...batch.failures]),
      claim('C3', 'rows, sessions or counts that are not as the log says', [
        ...unlike,
        ...defectsOf(reconciled),
      ]),
      claim('C4', 'values that a reader saw go back', seen.regressions),
      claim('C5', 'books that do not balance', [
        ...books,
        ...violations.filter(isUnbalanced).map(textOf),
      ]),
      claim('C6', 'in the log, and never sent', delivery.invented),
    ],
    numbers: {
      sessions: audience.sent.size,
      eventsAcknowledged,
      eventsOfLaterSchema: audience.laterEvents,
      framesSentAgain: framesResent,
      connections,
      ...Object.fromEntries([...audience.problems].map(([code, count]) => [code, count])),
      repeatedInLog: delivery.repeated,
      duplicates: sum('duplicate'),
      late: sum('late'),
      amended: sum('amended'),
      afterClose: sum('afterClose'),
      ...Object.fromEntries(
        Object.entries(batch.counts).map(([name, count]) => [`batchRuns.${name}`, count]),
      ),
      reconcile: reconciled.verdict ?? 'none',
      minutesReconciled: reconciled.minutes?.compared ?? 0,
      sessionsReconciled: reconciled.sessions?.compared ?? 0,
      readsOfRows: seen.rowReads,
      answersOfServing: seen.answers,
    },
  }
}

/** With nothing in flight, and a clean end. */
async function closeBooks(gateways: readonly GatewayOnKafka[]): Promise<string[]> {
  const found: string[] = []
  for (const [place, gateway] of gateways.entries()) {
    const { inFlight } = await gateway.books()
    if (inFlight !== 0) found.push(`gateway ${place}: ${inFlight} in flight`)
    const code = await gateway.stop()
    if (code !== 0) found.push(`gateway ${place} ended with ${code}`)
  }
  return found
}

interface Value {
  readonly session: { readonly sessionId: string }
  readonly events: readonly ({ readonly seq: number } & Readonly<Record<string, unknown>>)[]
}

function laterFieldsMissing(records: readonly ReadBackRecord[], sent: number): string[] {
  const kept = new Set<string>()
  for (const { value } of records) {
    if (!value.includes(LATER_FIELD)) continue
    const { session, events } = JSON.parse(value) as Value
    for (const event of events)
      if (event[LATER_FIELD] !== undefined) kept.add(`${session.sessionId} ${event.seq}`)
  }
  return kept.size === sent
    ? []
    : [`${kept.size} events have fields of a later schema, not ${sent}`]
}

/** Sessions of which tables have other events than were sent, or any of them twice; and damaged files. */
async function unlikeSent({ stage: { machine }, audience }: Scene): Promise<string[]> {
  const rows = await machine.commands.sql(
    `SELECT session_id, COUNT(*) AS events, COUNT(DISTINCT seq) AS seqs, MAX(seq) AS last_seq
     FROM events GROUP BY session_id`,
  )
  const found = new Map(
    rows.map((row) => [
      String(row['session_id']),
      `${String(row['events'])} events, ${String(row['seqs'])} seqs, the last ${String(row['last_seq'])}`,
    ]),
  )
  const wanted = [...audience.sent].map(
    ([sessionId, count]) =>
      [sessionId, `${count} events, ${count} seqs, the last ${count - 1}`] as const,
  )
  const unlike = wanted
    .filter(([sessionId, text]) => found.get(sessionId) !== text)
    .map(([sessionId, text]) => `${sessionId}: ${found.get(sessionId)}, expected ${text}`)
  const unknown = [...found.keys()].filter((sessionId) => !audience.sent.has(sessionId))
  const verified = await machine.commands.backhaul('verify', '--json')
  return [
    ...unlike,
    ...unknown.map((sessionId) => `${sessionId} was never sent`),
    ...(verified.exitCode === 0 ? [] : [`verify: ${verified.stdout}${verified.stderr}`]),
  ]
}

function defectsOf(reconciled: Reconciled): string[] {
  const { exitCode, verdict = '', defects = 0, stderr } = reconciled
  const isAgreed = exitCode === 0 && defects === 0 && ['equal', 'explained'].includes(verdict)
  return isAgreed
    ? []
    : [`reconcile ended with ${exitCode}: ${verdict}, ${defects} defects ${stderr}`]
}

function isUnbalanced(violation: Violation | string): boolean {
  return typeof violation !== 'string' && violation.kind === 'unbalanced'
}

function textOf(violation: Violation | string): string {
  return typeof violation === 'string' ? violation : `${violation.kind}: ${violation.detail}`
}
