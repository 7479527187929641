/**
 * What a run must leave behind, partition by partition: rows, sessions, positions, counters and
 * exceptions as the oracle computes them from the log alone, closed sessions as their last rows say,
 * and every unreadable record in the topic of rejects.
 */
import { decodeException } from '../../shared/log/exception-record.ts'
import type { LogRecord } from '../../shared/log/event-log.ts'
import { decodeReject } from '../../shared/log/reject-record.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import type { Cut } from '../../shared/qoe/cuts.ts'
import type { FoldLimits, FoldStatus } from '../../shared/qoe/fold.ts'
import type { RowOrigin, SessionRow } from '../../shared/speed/rows.ts'
import { checkRows } from '../oracle/conservation.ts'
import { readRecord } from '../oracle/read-record.ts'
import type { MemoryLog } from './memory-log.ts'
import type { MemorySpeedStore } from './memory-speed-store.ts'

export interface Finished {
  readonly log: MemoryLog
  readonly speed: MemorySpeedStore
  readonly limits: FoldLimits
  readonly cuts: readonly Cut[]
}

export interface FinishedPartition {
  readonly partition: number
  readonly generation: number
  readonly fold: FoldStatus
  /** The log lost its beginning while nobody read, so that what came before is not known. */
  readonly lostBeginning: boolean
}

export function violationsOf(finished: Finished, of: FinishedPartition): string[] {
  const { log, speed, limits, cuts } = finished
  const { partition, generation, fold, lostBeginning } = of
  const isOf = (row: RowOrigin) => row.partition === partition && row.generation === generation
  const records = log.records(TOPICS.events, partition)
  const sessions = [...speed.sessions.values()].filter(isOf)
  const exceptions = log
    .records(TOPICS.exceptions, partition)
    .flatMap(({ value }) => decodeException(value) ?? [])
  const unequal = checkRows(
    {
      minutes: [...speed.minutes.values()].filter(isOf),
      sessions,
      positions: [...speed.positions.values()].filter(isOf),
      counters: fold.counters,
      ...(!lostBeginning && { exceptions }),
    },
    { partitions: [{ partition, records }], limits, cuts },
  )
  return [
    ...unequal.map(({ kind, detail }) => `${kind}: ${detail}`),
    ...closedSessions(sessions, log.records(TOPICS.sessions, partition)),
    ...(lostBeginning ? [] : rejects(records, log.records(TOPICS.rejects, partition))),
  ].map((what) => `partition ${partition}: ${what}`)
}

/** Of the records of a closed session the one of the highest stamp is its last row. */
function closedSessions(rows: readonly SessionRow[], sent: readonly LogRecord[]): string[] {
  const last = new Map<string, { readonly stampUs: number; readonly text: string }>()
  for (const { value } of sent) {
    const text = new TextDecoder().decode(value)
    const row = JSON.parse(text) as SessionRow
    const known = last.get(nameOf(row))
    if (known === undefined || row.stampUs >= known.stampUs)
      last.set(nameOf(row), { stampUs: row.stampUs, text })
  }
  return rows
    .filter((row) => row.closed && last.get(nameOf(row))?.text !== textOf(row))
    .map(
      (row) => `closed ${nameOf(row)} was put out as ${last.get(nameOf(row))?.text ?? 'nothing'}`,
    )
}

function nameOf({ sessionId, incarnation, generation }: SessionRow): string {
  return `${sessionId}#${incarnation} of generation ${generation}`
}

function textOf(row: SessionRow): string {
  return JSON.stringify(row, (_, value: unknown) =>
    typeof value === 'bigint' ? `${value}` : value,
  )
}

function rejects(records: readonly LogRecord[], kept: readonly LogRecord[]): string[] {
  const poison = records.filter((record) => readRecord(record).kind === 'poison')
  const offsets = new Set(poison.map(({ offset }) => offset))
  const found = new Set(kept.map(({ value }) => decodeReject(value).source?.offset))
  return [
    ...[...offsets].filter((one) => !found.has(one)).map((one) => `poison ${one} was not kept`),
    ...[...found]
      .filter((one) => one === undefined || !offsets.has(one))
      .map((one) => `${one} was kept as poison`),
  ]
}
