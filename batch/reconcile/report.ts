/** What a reconciliation found: an object for machines, a text for people. */
import { COUNTER_NAMES, type MinuteAggregates } from '../../shared/qoe/aggregates.ts'
import type { ReconcileSummary } from '../../shared/warehouse/reconcile-summary.ts'
import { RECONCILE_DEFECTS_LISTED_MAX, RECONCILE_SESSIONS_LISTED_MAX } from '../limits.ts'
import type { MinuteDefect, SessionDefect } from './explain.ts'
import type { WithoutErased } from './explain-erased.ts'
import type { LateCopies } from './late.ts'
import type { TimeRange } from './minutes.ts'
import type { Repaired } from './repair.ts'
import type { RestatedSession } from './restate.ts'
import type { ComparedSession } from './sessions.ts'

interface Tally {
  readonly compared: number
  readonly equal: number
  readonly explained: number
  readonly erased: number
  readonly defects: number
  readonly pending: number
}

/** One value that differs without a proof; values as text, `absent` where a side has no row. */
export interface DefectLine {
  readonly kind: 'minute' | 'session'
  readonly cut?: string
  readonly key: string
  readonly minute?: string
  readonly name: string
  readonly live: string
  readonly history: string
  /** What the live value would be without exactly what was set aside. */
  readonly expected?: string
  /** Where it is the history that is wrong; `expected` is then what it should be. */
  readonly wrong?: 'history'
}

export interface ReconcileReport extends ReconcileSummary {
  readonly format: 1
  readonly view: string
  readonly from: string
  readonly to: string
  readonly minutes: Tally
  readonly sessions: Tally
  /** Copies that the live view set aside below the cut, by reason. */
  readonly exceptions: Readonly<Record<string, number>>
  /** What waits in `late_events`: its sessions are pending, its copies are counted in the proofs. */
  readonly late: LateInReport
  /** Sessions whose events are in several partitions, each of which the live view counts as one. */
  readonly moved: ListedSessions
  /** The first of them; `defects` counts all. */
  readonly defectsListed: readonly DefectLine[]
  readonly repaired: Repaired | undefined
}

export interface Found {
  readonly run: number
  readonly view: string
  readonly range: TimeRange
  readonly reconciledAtMs: number
  readonly minutes: { readonly compared: number; readonly equal: number; readonly pending: number }
  readonly sessions: { readonly compared: number; readonly equal: number; readonly pending: number }
  readonly judged: WithoutErased
  readonly exceptions: Readonly<Record<string, number>>
  readonly late: LateCopies | undefined
  readonly moved: ReadonlySet<string> | undefined
  readonly repaired: Repaired | undefined
}

interface ListedSessions {
  readonly sessions: number
  /** The first of them. */
  readonly listed: readonly string[]
}

interface LateInReport extends ListedSessions {
  readonly copies: number
}

function listedOf(sessions: ReadonlySet<string> = new Set()): ListedSessions {
  const listed = [...sessions].slice(0, RECONCILE_SESSIONS_LISTED_MAX)
  return { sessions: sessions.size, listed }
}

export function reportOf(found: Found): ReconcileReport {
  const { defects } = found.judged
  const minutes = tallyOf(found, 'minutes')
  const sessions = tallyOf(found, 'sessions')
  const of = (name: keyof Tally) => minutes[name] + sessions[name]
  return {
    format: 1,
    run: found.run,
    view: found.view,
    reconciledAtMs: found.reconciledAtMs,
    from: new Date(found.range.fromMs).toISOString(),
    to: new Date(found.range.toMs).toISOString(),
    verdict: verdictOf({
      compared: of('compared'),
      explained: of('explained') + of('erased'),
      defects: of('defects'),
    }),
    compared: of('compared'),
    explained: of('explained'),
    erased: of('erased'),
    defects: of('defects'),
    pending: of('pending'),
    minutes,
    sessions,
    exceptions: found.exceptions,
    late: { copies: found.late?.copies ?? 0, ...listedOf(found.late?.restored.sessions) },
    moved: listedOf(found.moved),
    defectsListed: [
      ...defects.minutes.flatMap(minuteLines),
      ...defects.sessions.flatMap(sessionLines),
    ].slice(0, RECONCILE_DEFECTS_LISTED_MAX),
    repaired: found.repaired,
  }
}

function tallyOf({ judged, ...found }: Found, kind: 'minutes' | 'sessions'): Tally {
  const { equal } = found[kind]
  const erased = judged.erased[kind]
  const defects = judged.defects[kind].length
  // What nobody can judge any more was not compared.
  const compared = found[kind].compared - judged.undecided[kind]
  const pending = found[kind].pending + judged.undecided[kind]
  return {
    compared,
    equal,
    explained: compared - equal - erased - defects,
    erased,
    defects,
    pending,
  }
}

function verdictOf(counts: Pick<Tally, 'compared' | 'explained' | 'defects'>) {
  if (counts.compared === 0) return 'pending'
  if (counts.defects > 0) return 'defect'
  return counts.explained > 0 ? 'explained' : 'equal'
}

function minuteLines(defect: MinuteDefect): DefectLine[] {
  const { cut, key, minuteMs, live, history, restated } = defect
  const minute = new Date(minuteMs).toISOString()
  const [wrong, right] = restated === undefined ? [live, defect.expected] : [history, restated]
  return aggregateNames.flatMap((name) =>
    print(wrong[name]) === print(right[name])
      ? []
      : [
          {
            kind: 'minute' as const,
            cut,
            key,
            minute,
            name,
            live: print(live[name]),
            history: print(history[name]),
            expected: print(right[name]),
            ...(restated !== undefined && { wrong: 'history' as const }),
          },
        ],
  )
}

const aggregateNames = [
  ...COUNTER_NAMES,
  'bitsPlayed',
  'startupHistogram',
  'concurrentPlays',
  'concurrentViewers',
  'viewerRegisters',
] as const satisfies readonly (keyof MinuteAggregates)[]

function sessionLines({
  sessionId,
  incarnation,
  live,
  history,
  restated,
}: SessionDefect): DefectLine[] {
  const right = restated === undefined ? live : presentOf(restated)
  const isWhole = right !== undefined && history !== undefined
  const fieldsOf = isWhole ? fieldsOfSession : presenceOf
  const of = { live: fieldsOf(live), history: fieldsOf(history), right: fieldsOf(right) }
  const names = new Set([...of.history.keys(), ...of.right.keys()])
  const at = (side: ReadonlyMap<string, string>, name: string) => side.get(name) ?? 'absent'
  return [...names].flatMap((name) =>
    at(of.history, name) === at(of.right, name)
      ? []
      : [
          {
            kind: 'session' as const,
            key: `${sessionId}#${incarnation}`,
            name,
            live: at(of.live, name),
            history: at(of.history, name),
            ...(restated !== undefined && {
              expected: at(of.right, name),
              wrong: 'history' as const,
            }),
          },
        ],
  )
}

function presentOf(restated: RestatedSession): ComparedSession | undefined {
  return restated === 'absent' ? undefined : restated
}

/** Where a side has no row there is nothing else to say. */
function presenceOf(session: ComparedSession | undefined): ReadonlyMap<string, string> {
  return new Map([['row', session === undefined ? 'absent' : 'present']])
}

/** Values as text, by the names that the report gives them. */
function fieldsOfSession(session: ComparedSession | undefined): ReadonlyMap<string, string> {
  if (session === undefined) return new Map()
  const { parts, ...own } = session
  return new Map([
    ...Object.entries(own).map(([name, value]) => [name, print(value)] as const),
    ...parts.flatMap((part, index) =>
      Object.entries(part).map(([name, value]) => [`part ${index} ${name}`, print(value)] as const),
    ),
  ])
}

function print(value: unknown): string {
  const text = JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'bigint' ? `${inner}` : inner,
  ) as string | undefined
  return text ?? 'absent'
}

const VERDICTS = {
  equal: 'Live and history are equal to the integer.',
  explained:
    'Live and history differ only by what the live view listed as set aside, who was erased, what waits in late_events, or sessions that changed their partition.',
  defect: 'Live and history differ without a proof.',
  pending: 'Nothing could be compared yet.',
} as const

/** The report as text, the defects last. */
export function reportText(report: ReconcileReport): string {
  const { minutes, sessions, exceptions, late, moved, defectsListed, repaired } = report
  const exceptionText = Object.entries(exceptions).map(([reason, count]) => `${count} ${reason}`)
  const lines = [
    VERDICTS[report.verdict],
    '',
    `as of run ${report.run}, view ${report.view}, ${report.from} to ${report.to}`,
    `             compared      equal  explained     erased    defects    pending`,
    tallyLine('minutes', minutes),
    tallyLine('sessions', sessions),
    `set aside by the live view: ${exceptionText.length === 0 ? 'nothing' : exceptionText.join(', ')}`,
    ...(late.copies === 0
      ? []
      : [
          `pending until settled: ${late.copies} copies in late_events of ${late.sessions} sessions: ${listText(late)}`,
        ]),
    ...(moved.sessions === 0
      ? []
      : [
          `in several partitions, live a session in each: ${moved.sessions} sessions: ${listText(moved)}`,
        ]),
    ...(repaired === undefined
      ? []
      : [
          `repaired: ${repaired.minutes} minutes, ${repaired.sessions} sessions; left: ${repaired.left}`,
        ]),
    ...(defectsListed.length === 0 ? [] : ['', 'defects:']),
    ...defectsListed.map(defectText),
  ]
  if (report.defects > 0 && defectsListed.length === RECONCILE_DEFECTS_LISTED_MAX)
    lines.push('… the report lists no more')
  return lines.join('\n')
}

function listText({ sessions, listed }: ListedSessions): string {
  return `${listed.join(', ')}${listed.length < sessions ? ', …' : ''}`
}

function tallyLine(name: string, tally: Tally): string {
  const { compared, equal, explained, erased, defects, pending } = tally
  const columns = [compared, equal, explained, erased, defects, pending].map((count) =>
    `${count}`.padStart(10),
  )
  return `  ${name.padEnd(9)} ${columns.join(' ')}`
}

function defectText(defect: DefectLine): string {
  const { kind, cut, key, minute, name, live, history } = defect
  const place = kind === 'minute' ? `${minute} ${cut} ${key}` : `session ${key}`
  return `  ${place}: ${name} is ${live} live, ${history} in history${proofText(defect)}`
}

function proofText({ history, expected, wrong }: DefectLine): string {
  if (wrong === 'history') return `, where it should be ${expected}: backfill the day`
  return expected === undefined || expected === history ? '' : `, expected ${expected}`
}
