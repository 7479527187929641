/** Runs logs through loading and facts, and reads the tables back in the terms of the oracle. */
import type { DecodedRecord } from '../../shared/log/record.ts'
import {
  COUNTER_NAMES,
  type CounterName,
  type MinuteAggregates,
} from '../../shared/qoe/aggregates.ts'
import { type Cut, DIMENSIONS, type Dimension } from '../../shared/qoe/cuts.ts'
import type { FoldLimits } from '../../shared/qoe/fold.ts'
import type { FoldException, PartSummary } from '../../shared/speed/rows.ts'
import { tables } from '../../shared/warehouse/tables.ts'
import type { Row, RowValue } from '../../shared/warehouse/warehouse.ts'
import { computeExplained, computeHistory, FACTS_SCRATCH, replaceFacts } from '../facts.ts'
import { loadCopies, STAGING_COPIES } from '../load-copies.ts'
import type { MemorySession } from './memory-session.ts'
import { STAGED_COLUMNS, stageLog } from './stage-log.ts'

export interface PartitionLog {
  readonly partition: number
  readonly records: readonly DecodedRecord[]
}

/** One part of a session, with what its row says of the whole incarnation. */
export interface SqlSession {
  readonly sessionId: string
  readonly incarnation: number
  readonly closed: boolean
  readonly lost: number
  readonly duplicates: number
  readonly rejected: number
  readonly repairs: { readonly state: number; readonly backwards: number; readonly clamped: number }
  readonly clockOffsetMs: number
  readonly lastLoggedAtMs: number
  readonly parts: readonly PartSummary[]
}

export interface SqlFacts {
  readonly sessions: readonly SqlSession[]
  /** By `cut|key|minuteStartMs`. */
  readonly minutes: ReadonlyMap<string, MinuteAggregates>
}

/** The log's runs, one after the other, as the batch makes them. */
export class FactsRun {
  readonly #session: MemorySession
  readonly #limits: FoldLimits
  readonly #cuts: readonly Cut[]
  readonly #watermarks = new Map<number, number>()
  #run = 0

  constructor(session: MemorySession, limits: FoldLimits, cuts: readonly Cut[]) {
    this.#session = session
    this.#limits = limits
    this.#cuts = cuts
  }

  /** Loads a range of each partition. */
  async load(logs: readonly PartitionLog[]): Promise<void> {
    this.#run += 1
    const session = this.#session
    const staged = logs.map(({ partition, records }) => {
      const log = stageLog(records, {
        run: this.#run,
        partition,
        outOfOrdernessMs: this.#limits.outOfOrdernessMs,
        watermarkBeforeMs: this.#watermarks.get(partition),
      })
      if (records.length > 0) this.#watermarks.set(partition, log.watermarkMs)
      return log
    })
    const copies = staged.flatMap((log) => log.copies)
    const frames = staged.flatMap((log) => log.frames)
    await session.createTable(STAGING_COPIES, STAGED_COLUMNS)
    await session.insert(STAGING_COPIES, STAGED_COLUMNS, copies)
    await session.insert(tables.frames.name, tables.frames.columns, frames)
    const dates = [...new Set(copies.map((row) => String(row['received_date'])))]
    if (dates.length === 0) return
    await loadCopies(session, {
      run: this.#run,
      limits: this.#limits,
      dates,
      jobId: `load-${this.#run}`,
    })
  }

  /** Brings the tables up to date and reads them. */
  async history(bucketCount = 1): Promise<void> {
    await computeHistory(this.#session, { ...this.#request(bucketCount) })
    await replaceFacts(this.#session, `facts-${this.#run}`)
  }

  async explained(exceptions: readonly FoldException[], bucketCount = 1): Promise<void> {
    await this.#session.execute(
      'CREATE OR REPLACE TABLE test_exclusions (session_id VARCHAR, seq BIGINT, log_partition BIGINT, log_offset BIGINT, accepted BOOL, seen BOOL, forgotten BOOL)',
    )
    const rows = exceptions.map(
      ({ sessionId, seq, partition, offset, reason, type, forgotten }) => {
        const seen = reason !== 'afterClose' && !forgotten
        return `('${sessionId}',${seq},${partition},${offset},${type !== 'rejected'},${seen},${forgotten})`
      },
    )
    if (rows.length > 0) {
      await this.#session.execute(`INSERT INTO test_exclusions VALUES ${rows.join(',')}`)
    }
    await computeExplained(this.#session, {
      ...this.#request(bucketCount),
      sessions: {
        sql: 'SELECT session_id, session_bucket FROM events UNION DISTINCT SELECT session_id, session_bucket FROM event_copies',
      },
      exclusions: { sql: 'SELECT * FROM test_exclusions' },
    })
  }

  async readHistory(): Promise<SqlFacts> {
    return this.#read(tables.sessions.name, tables.qoeMinute.name)
  }

  async readExplained(): Promise<SqlFacts> {
    return this.#read(FACTS_SCRATCH.sessions, FACTS_SCRATCH.qoeMinute)
  }

  async #read(sessions: string, minutes: string): Promise<SqlFacts> {
    const order = 'ORDER BY session_id, incarnation, part'
    const parts = await this.#session.query({ sql: `SELECT * FROM ${sessions} ${order}` })
    const rows = await this.#session.query({ sql: `SELECT * FROM ${minutes}` })
    return {
      sessions: toSessions(parts),
      minutes: new Map(rows.map((row) => [minuteId(row), toAggregates(row)])),
    }
  }

  #request(bucketCount: number) {
    return {
      run: this.#run,
      fromDate: '1970-01-01',
      limits: this.#limits,
      cuts: this.#cuts,
      watermarks: [...this.#watermarks].map(([partition, watermarkMs]) => {
        return { partition, watermarkMs }
      }),
      bucketCount,
    }
  }
}

function toSessions(rows: readonly Row[]): SqlSession[] {
  const groups = new Map<string, Row[]>()
  for (const row of rows) {
    const id = `${String(row['session_id'])}|${String(row['incarnation'])}`
    const group = groups.get(id)
    if (group === undefined) groups.set(id, [row])
    else group.push(row)
  }
  return [...groups.values()].map((parts) => {
    const sum = (name: string) => parts.reduce((total, row) => total + numberOf(row[name]), 0)
    const last = parts.at(-1) ?? {}
    return {
      sessionId: String(last['session_id']),
      incarnation: numberOf(last['incarnation']),
      closed: last['closed'] === true,
      lost: sum('lost'),
      duplicates: sum('duplicates'),
      rejected: sum('rejected'),
      repairs: {
        state: sum('repairs_state'),
        backwards: sum('repairs_backwards'),
        clamped: sum('repairs_clamped'),
      },
      clockOffsetMs: numberOf(last['clock_offset_ms']),
      lastLoggedAtMs: numberOf(last['last_logged_at_ms']),
      parts: parts.map(toPart),
    }
  })
}

function toPart(row: Row): PartSummary {
  const count = (name: string) => numberOf(row[name])
  const flag = (name: string) => (count(name) === 0 ? 0 : 1)
  return {
    part: count('part'),
    contentId: present(row['content_id'], String),
    firstEventTimeMs: count('first_event_time_ms'),
    lastEventTimeMs: count('last_event_time_ms'),
    state: String(row['state']) as PartSummary['state'],
    endReason: present(row['end_reason'], String) as PartSummary['endReason'],
    attempt: flag('attempt'),
    play: flag('play'),
    ebvs: flag('ebvs'),
    ebvsLong: flag('ebvs_long'),
    vsf: flag('vsf'),
    vpf: flag('vpf'),
    endedPlay: flag('ended_play'),
    failed: flag('failed'),
    startupMs: present(row['startup_ms'], Number),
    playerStartupMs: present(row['player_startup_ms'], Number),
    stallCount: count('stall_count'),
    stallMs: count('stall_ms'),
    playingMs: count('playing_ms'),
    watchedMs: count('watched_ms'),
    mediaUs: count('media_us'),
    ratedMediaUs: count('rated_media_us'),
    bitsPlayed: BigInt(String(row['bits_played'])),
    events: count('events'),
  }
}

const DIMENSION_COLUMNS: Readonly<Record<Dimension, string>> = {
  content: 'content_id',
  cdn: 'cdn',
  deviceType: 'device_type',
  player: 'player_name',
  playerVersion: 'player_version',
  country: 'country',
}

function minuteId(row: Row): string {
  const cut = String(row['cut'])
  const inOrder = cut === 'total' ? [] : cut.split('+')
  const key = inOrder.map((name) => {
    const dimension = DIMENSIONS.find((one) => one === name)
    return dimension === undefined ? null : row[DIMENSION_COLUMNS[dimension]]
  })
  return `${cut}|${JSON.stringify(key)}|${String(row['minute_ms'])}`
}

function toAggregates(row: Row): MinuteAggregates {
  const counters = Object.fromEntries(
    COUNTER_NAMES.map((name) => [name, numberOf(row[snakeCase(name)] ?? 0)]),
  ) as Record<CounterName, number>
  const instants = (name: string) =>
    Array.from({ length: 6 }, (_, index) => numberOf(row[`${name}_${index}`]))
  return {
    ...counters,
    bitsPlayed: BigInt(String(row['bits_played'])),
    startupHistogram: toPairs(row['startup_histogram']),
    concurrentPlays: instants('concurrent_plays'),
    concurrentViewers: instants('concurrent_viewers'),
    viewerRegisters: toPairs(row['viewer_registers']),
  }
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

function toPairs(text: RowValue | undefined): [number, number][] {
  if (typeof text !== 'string' || text === '') return []
  return text.split(',').map((pair) => {
    const [index, value] = pair.split(':')
    return [Number(index), Number(value)]
  })
}

function numberOf(value: RowValue | undefined): number {
  const number = Number(value)
  if (value === null || value === undefined || !Number.isSafeInteger(number)) {
    throw new Error(`${String(value)} is not an integer`)
  }
  return number
}

function present<T>(value: RowValue | undefined, of: (value: RowValue) => T): T | undefined {
  return value === null || value === undefined ? undefined : of(value)
}
