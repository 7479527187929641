/**
 * Which raw files are joined: neighbours of a topic's partition that are small, of days that are over.
 * A file stays within its day, because a backfill asks for days, and within bounds of its size and of
 * how many files of runs it is made of, because each of these runs reads it whole to be loaded again.
 */
import type { Control } from '../control.ts'
import { dateOf } from '../control.ts'
import { JOINED_FILES_MAX } from '../limits.ts'
import { joinedFileName, rawFileDay } from '../object-names.ts'
import type { LedgerEntry } from '../raw-archive.ts'

/** Files that become one. */
export interface Join {
  readonly name: string
  /** Two at least, ascending by offset and without a gap. */
  readonly parts: readonly LedgerEntry[]
}

export interface DayOfJoins {
  /** UTC day of append. */
  readonly day: string
  readonly joins: readonly Join[]
}

export interface PlanOptions {
  readonly control: Control
  /** Most bytes of a joined file, as they are stored before; half of that is no longer small. */
  readonly fileBytes: number
  /** First UTC day that is looked at; all days when absent. */
  readonly fromDay: string | undefined
}

/** Of the whole ledger, ascending by day; a plan whose joins are done gives no more of the same. */
export function planJoins(ledger: readonly LedgerEntry[], options: PlanOptions): DayOfJoins[] {
  const names = new Set(ledger.map(({ file }) => file))
  const days = new Map<string, Join[]>()
  for (const parts of groupsOf(ledger, options)) {
    const [first] = parts
    const name = first && joinedFileName(first.file, parts.at(-1)?.last ?? first.last)
    // Two runs may hold one range after a loss of control rows: that stays as it is.
    if (first === undefined || name === undefined || names.has(name)) continue
    const day = rawFileDay(first.file)
    days.set(day, [...(days.get(day) ?? []), { name, parts }])
  }
  return [...days]
    .map(([day, joins]) => ({ day, joins }))
    .toSorted((a, b) => a.day.localeCompare(b.day))
}

function groupsOf(ledger: readonly LedgerEntry[], options: PlanOptions): LedgerEntry[][] {
  const groups: LedgerEntry[][] = []
  let group: LedgerEntry[] = []
  for (const entry of ledger) {
    if (entry.supersededBy !== null) continue
    if (!isSmallAndOver(entry, options)) {
      group = []
      continue
    }
    if (group.length === 0 || !belongsTo(group, entry, options)) groups.push((group = []))
    group.push(entry)
  }
  return groups.filter((parts) => parts.length > 1)
}

function isSmallAndOver(
  { topic, partition, run, file, bytes }: LedgerEntry,
  { control, fileBytes, fromDay }: PlanOptions,
): boolean {
  const taken = control.partitions.find(
    (row) => row.topic === topic && row.logPartition === partition,
  )
  const day = rawFileDay(file)
  const isOver = taken !== undefined && day < dateOf(taken.lastLoggedAtMs)
  const isWanted = fromDay === undefined || day >= fromDay
  return isOver && isWanted && run <= control.lastRun && bytes * 2 < fileBytes
}

function belongsTo(
  group: readonly LedgerEntry[],
  { topic, partition, first, file, bytes, joinedFiles }: LedgerEntry,
  { fileBytes }: PlanOptions,
): boolean {
  const before = group.at(-1)
  if (before === undefined || before.topic !== topic || before.partition !== partition) return false
  if (before.last + 1 !== first || rawFileDay(before.file) !== rawFileDay(file)) return false
  const files = group.reduce((sum, part) => sum + (part.joinedFiles ?? 1), joinedFiles ?? 1)
  const size = group.reduce((sum, part) => sum + part.bytes, bytes)
  return files <= JOINED_FILES_MAX && size <= fileBytes
}
