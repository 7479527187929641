/**
 * A processor on embedded stores whose rows an oracle judges. What a test does goes to one partition;
 * a session in it and one in the other stand for everybody else.
 */
import { foldLimitsOf } from '../config.ts'
import { configOf, metricValue } from './test-doubles.ts'
import {
  CUTS,
  PARTITIONS,
  QUICK,
  readView,
  TestMachine,
  type MortalProcessor,
} from './test-machine.ts'
import type { LogRecord, NewRecord } from '../../shared/log/event-log.ts'
import { decodeException } from '../../shared/log/exception-record.ts'
import { partitionOf } from '../../shared/log/partitioner.ts'
import { FRAME_SCHEMA } from '../../shared/log/record.ts'
import { decodeReject, type RejectRecord } from '../../shared/log/reject-record.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import type { FoldException, MinuteRow, SessionRow } from '../../shared/speed/rows.ts'
import { checkRows, type Violation } from '../../loadtest/oracle/conservation.ts'

export const NEIGHBOUR = 'neighbour'
/** Where everything goes that a test is about. */
export const PARTITION = partitionOf(NEIGHBOUR, PARTITIONS)
/** In the other partition. */
const FARTHER = 'farther'
export const OTHER_PARTITION = partitionOf(FARTHER, PARTITIONS)
const ALL_PARTITIONS = Array.from({ length: PARTITIONS }, (_, partition) => partition)
const FRAMES_PER_APPEND = 4_000
const FRAMES_PER_WAIT = 40_000
const SESSIONS_MAX = 100
const VIOLATIONS_SHOWN = 5
const ALL_TIMES = { fromMs: 0, toMs: Number.MAX_SAFE_INTEGER }

export interface BadFrame {
  readonly sessionId: string
  readonly events: readonly object[]
  readonly contentId?: string
  readonly sentAt?: number
  readonly receivedAt?: number
}

type Settings = Readonly<Record<string, string>>

export class OracleBench {
  readonly machine: TestMachine
  readonly processor: MortalProcessor
  readonly #settings: Settings

  private constructor(machine: TestMachine, processor: MortalProcessor, settings: Settings) {
    this.machine = machine
    this.processor = processor
    this.#settings = settings
  }

  static async open(more: Settings = {}, clockOffsetMs = 0): Promise<OracleBench> {
    const machine = await TestMachine.open()
    // Without ticks the log holds what the test puts there.
    const settings = { PROCESSOR_TICKS: 'false', ...more }
    return new OracleBench(machine, await machine.start({ settings, clockOffsetMs }), settings)
  }

  async close(): Promise<void> {
    await this.processor.stop()
    await this.machine.close()
  }

  get nowMs(): number {
    return this.machine.clock.nowMs()
  }

  frame({ sessionId, events, contentId = 'movie-1', ...times }: BadFrame): NewRecord {
    const { nowMs } = this
    const session = { sessionId, contentId, cdn: 'a' }
    const value = { session, sentAt: nowMs, receivedAt: nowMs, ...times, events }
    return {
      key: sessionId,
      value: new TextEncoder().encode(JSON.stringify(value)),
      headers: { schema: FRAME_SCHEMA },
    }
  }

  async append(...records: readonly NewRecord[]): Promise<number> {
    const { log } = this.machine.ports
    return (await log.append(TOPICS.events, PARTITION, records)).baseOffset
  }

  /** An event of each session that stands beside all that is bad. */
  async sendNeighbours(seq: number): Promise<void> {
    const events = [{ seq, type: seq === 0 ? 'playbackRequest' : 'playbackStart' }]
    for (const sessionId of [NEIGHBOUR, FARTHER]) await this.machine.send({ sessionId, events })
  }

  /** Frames of one session, each with another content, all in one minute. */
  async zap(contents: number): Promise<void> {
    for (let first = 0; first < contents; first += FRAMES_PER_APPEND) {
      const records = Array.from({ length: FRAMES_PER_APPEND }, (_, index) =>
        this.frame({ sessionId: 'zapper', contentId: `${first + index}`, events: [] }),
      )
      await this.append(...records)
      if (first % FRAMES_PER_WAIT === 0) await this.machine.settled(this.processor)
    }
  }

  /**
   * What is in rows, exceptions and counters of the partitions not as the oracle says of the log; empty when
   * all is well.
   */
  async violations(partitions = ALL_PARTITIONS): Promise<(Violation | string)[]> {
    const { machine, processor } = this
    await machine.settled(processor)
    await machine.until(
      () => processor.inspectPartitions().every(({ fold }) => fold?.pendingOutputs === 0),
      'all outputs are durable',
    )
    const { speed } = machine.ports
    const sessions = await speed.readRecentSessions(processor.view, SESSIONS_MAX)
    const sessionIds = [...new Set(sessions.map(({ sessionId }) => sessionId))]
    const rows = await readView(speed, processor.view, sessionIds)
    const limits = foldLimitsOf(configOf({ ...QUICK, ...this.#settings }))
    const violations: (Violation | string)[] = []
    for (const partition of partitions) {
      const own = <Row extends { readonly partition: number }>(all: readonly Row[]) =>
        all.filter((row) => row.partition === partition)
      const { fold, state } = processor.inspectPartitions()[partition] ?? {}
      if (fold === undefined || state !== 'running')
        return [...violations, `partition ${partition} is ${state}`]
      const found = {
        minutes: own(rows.minutes),
        sessions: own(rows.sessions),
        positions: own(rows.positions),
        exceptions: await this.exceptions(partition),
        counters: fold.counters,
      }
      const records = await this.#readTopic(TOPICS.events, partition)
      const log = { partitions: [{ partition, records }], limits, cuts: CUTS }
      violations.push(...checkRows(found, log).slice(0, VIOLATIONS_SHOWN))
    }
    return violations
  }

  minutesOf(cut: string): Promise<MinuteRow[]> {
    const { view } = this.processor
    return this.machine.ports.speed.readMinutes({ view, cut, ...ALL_TIMES, limit: 100_000 })
  }

  session(sessionId: string): Promise<SessionRow[]> {
    return this.machine.ports.speed.readSession(this.processor.view, sessionId)
  }

  async rejects(): Promise<RejectRecord[]> {
    const records = await this.#readTopic(TOPICS.rejects, PARTITION)
    return records.map(({ value }) => decodeReject(value))
  }

  /** Of the partition with the bad input. */
  metric(name: string, labels: Settings = {}): Promise<number | undefined> {
    return metricValue(this.processor.telemetry, name, { partition: PARTITION, ...labels })
  }

  async exceptions(partition = PARTITION): Promise<FoldException[]> {
    const records = await this.#readTopic(TOPICS.exceptions, partition)
    return records.flatMap(({ value }) => decodeException(value) ?? [])
  }

  async #readTopic(topic: string, partition: number): Promise<LogRecord[]> {
    const all: LogRecord[] = []
    for (;;) {
      const fromOffset = (all.at(-1)?.offset ?? -1) + 1
      const request = { fromOffset, maxRecords: 100_000, maxBytes: 2 ** 26, waitMs: 0 }
      const { records } = await this.machine.ports.log.read(topic, partition, request)
      if (records.length === 0) return all
      all.push(...records)
    }
  }
}
