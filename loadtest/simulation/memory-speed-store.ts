/**
 * The speed store in memory. It keeps the row of the highest stamp, as the port's contract says, and
 * notes what no reader may ever see: a row whose bytes differ under an equal stamp, and a row of a
 * higher stamp that says less.
 */
import { isDeepStrictEqual } from 'node:util'
import { COUNTER_NAMES } from '../../shared/qoe/aggregates.ts'
import type {
  MinuteRow,
  PartitionRow,
  PositionRow,
  RowOrigin,
  RowVersion,
  RuleStateRow,
  SessionRow,
} from '../../shared/speed/rows.ts'
import type { MinuteQuery } from '../../shared/speed/speed-store.ts'

const PROGRESS = ['appliedOffset', 'narrowOffset', 'wideOffset', 'sessionOffset'] as const

export class MemorySpeedStore {
  readonly minutes = new Map<string, MinuteRow>()
  readonly sessions = new Map<string, SessionRow>()
  readonly positions = new Map<string, PositionRow>()
  readonly partitions = new Map<string, PartitionRow>()
  readonly ruleStates = new Map<string, RuleStateRow>()
  readonly violations: string[] = []
  rowsWritten = 0
  /** Told whenever a partition said how far its rows are. */
  onProgress: (row: PartitionRow) => void = () => undefined
  /** Told whenever a rule was judged further, or told what it had to tell. */
  onRuleStates: () => void = () => undefined
  /** Progress as it was when someone last looked at it. */
  #seen: ReadonlyMap<string, PartitionRow> = new Map()

  putMinutes(rows: readonly MinuteRow[]): void {
    for (const row of rows)
      this.#put(this.minutes, `${originOf(row)} ${row.cut} ${row.key} ${row.minuteStartMs}`, row)
  }

  putSessions(rows: readonly SessionRow[], positions: readonly PositionRow[]): void {
    for (const row of positions)
      this.#put(this.positions, `${sessionOf(row)} ${row.rowNumber}`, row)
    for (const row of rows) this.#put(this.sessions, sessionOf(row), row)
  }

  putPartitions(rows: readonly PartitionRow[]): void {
    for (const row of rows) {
      this.#put(this.partitions, originOf(row), row)
      this.onProgress(row)
    }
  }

  putRuleStates(rows: readonly RuleStateRow[]): void {
    for (const row of rows)
      if (row.stampUs > (this.ruleStates.get(row.ruleId)?.stampUs ?? 0))
        this.ruleStates.set(row.ruleId, row)
    this.onRuleStates()
  }

  readRuleStates(view: string): RuleStateRow[] {
    return [...this.ruleStates.values()].filter((row) => row.view === view)
  }

  readMinutes({ view, cut, fromMs, toMs }: MinuteQuery): MinuteRow[] {
    return [...this.minutes.values()].filter(
      (row) =>
        row.view === view &&
        row.cut === cut &&
        row.minuteStartMs >= fromMs &&
        row.minuteStartMs < toMs,
    )
  }

  readPartitions(view: string): PartitionRow[] {
    this.#seen = new Map(this.partitions)
    return [...this.partitions.values()].filter((row) => row.view === view)
  }

  #put<Row extends MinuteRow | SessionRow | PositionRow | PartitionRow>(
    table: Map<string, Row>,
    key: string,
    row: Row,
  ): void {
    this.rowsWritten += 1
    const known = table.get(key)
    if (known === undefined || row.stampUs > known.stampUs) {
      if (known !== undefined) this.#checkGrowth(key, this.#floorOf(key, known, row), row)
      table.set(key, row)
    } else if (row.stampUs === known.stampUs && !isDeepStrictEqual(known, row))
      this.violations.push(`${key}: two contents under stamp ${row.stampUs}`)
  }

  /**
   * An owner says no less than it found. What a former owner had on its way comes later, and may
   * have said more for a moment (decision 0023).
   */
  #floorOf(key: string, known: RowVersion, row: RowVersion): RowVersion {
    const isOfOneOwner = !isProgress(row) || ownerOf(known) === ownerOf(row)
    return isOfOneOwner ? known : (this.#seen.get(key) ?? row)
  }

  #checkGrowth(key: string, before: RowVersion, after: RowVersion): void {
    for (const [name, value] of growing(before)) {
      const now = growing(after).find(([other]) => other === name)?.[1] ?? 0
      if (now < value) this.violations.push(`${key}: ${name} went from ${value} to ${now}`)
    }
  }
}

/** Values of a row that may only grow. */
function growing(row: RowVersion): [string, number][] {
  const values: [string, number][] = [['lastOffset', row.lastOffset]]
  if (isMinute(row)) for (const name of COUNTER_NAMES) values.push([name, row.aggregates[name]])
  if (isProgress(row)) for (const name of PROGRESS) values.push([name, row[name]])
  return values
}

function isMinute(row: RowVersion): row is MinuteRow {
  return 'aggregates' in row
}

function isProgress(row: RowVersion): row is PartitionRow {
  return 'appliedOffset' in row
}

function ownerOf({ stampUs }: RowVersion): number {
  return Math.floor(stampUs / 2 ** 32)
}

function originOf({ view, topicEpoch, partition, generation }: RowOrigin): string {
  return `${view} e${topicEpoch} p${partition} g${generation}`
}

function sessionOf(row: RowOrigin & Pick<SessionRow, 'sessionId' | 'incarnation'>): string {
  return `${originOf(row)} ${row.sessionId}#${row.incarnation}`
}
