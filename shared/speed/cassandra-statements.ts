/**
 * Statements of the store on their way: each class within its bounds, repeated when they fail in a
 * way that may pass. A repeat is the same statement with the same stamp and values, so it does not
 * matter whether the first try was done after all.
 */
import type { QueryOptions, types } from 'cassandra-driver'
import type { Clock } from '../runtime/clock.ts'
import type { Random } from '../runtime/random.ts'
import type { CassandraConfig } from './cassandra-config.ts'
import { failureReason, speedFailure } from './cassandra-failure.ts'
import {
  INDEX_BATCH_LINGER_MS,
  NARROW_BATCH_LINGER_MS,
  REPEAT_DELAY_MAX_MS,
  REPEAT_DELAY_MS,
  SESSION_BATCH_LINGER_MS,
  STATEMENT_ATTEMPTS_MAX,
  WAITING_STATEMENTS_MAX,
  WIDE_BATCH_LINGER_MS,
} from './cassandra-limits.ts'
import type { CassandraSpeedTelemetry, StatementClass } from './cassandra-telemetry.ts'
import { WriteLane, type RowWrite } from './cassandra-write-lane.ts'
import { speedErrors } from './speed-errors.ts'

/** One page of rows, and where the next begins. */
export type ResultPage = Pick<types.ResultSet, 'rows' | 'pageState'>

/** What is needed of the driver's client. */
export interface StatementClient {
  execute(query: string, params: unknown[], options?: QueryOptions): Promise<ResultPage>
  batch(
    queries: { readonly query: string; readonly params: unknown[] }[],
    options: QueryOptions,
  ): Promise<ResultPage>
}

export interface StatementsParts {
  readonly connection: { client(): Promise<StatementClient> }
  readonly config: CassandraConfig
  readonly clock: Clock
  readonly random: Random
  readonly telemetry: CassandraSpeedTelemetry
}

export type WriteClass = Exclude<StatementClass, 'read'>

export class CassandraStatements {
  readonly #parts: StatementsParts
  readonly #lanes: Readonly<Record<WriteClass, WriteLane>>
  readonly #waitingReads: (() => void)[] = []
  readonly #ending = new AbortController()
  #reads = 0

  constructor(parts: StatementsParts) {
    this.#parts = parts
    const { narrowWritesMax, wideWritesMax, sessionWritesMax, indexWritesMax } = parts.config
    const lane = (name: WriteClass, inFlightMax: number, lingerMs: number) =>
      new WriteLane({
        inFlightMax,
        lingerMs,
        clock: parts.clock,
        send: (writes) => this.#send(name, writes),
        onRefused: () => parts.telemetry.refused(name),
      })
    this.#lanes = {
      narrow: lane('narrow', narrowWritesMax, NARROW_BATCH_LINGER_MS),
      wide: lane('wide', wideWritesMax, WIDE_BATCH_LINGER_MS),
      session: lane('session', sessionWritesMax, SESSION_BATCH_LINGER_MS),
      index: lane('index', indexWritesMax, INDEX_BATCH_LINGER_MS),
    }
    parts.telemetry.standingIsRead(() => ({
      narrow: this.#lanes.narrow.standing,
      wide: this.#lanes.wide.standing,
      session: this.#lanes.session.standing,
      index: this.#lanes.index.standing,
      read: { inFlight: this.#reads, waiting: this.#waitingReads.length, waitingBytes: 0 },
    }))
  }

  /** From now on a statement that fails is not repeated: the process is stopping. */
  endRepeats(): void {
    this.#ending.abort()
  }

  /** Resolves when every row is durable. */
  write(name: WriteClass, writes: readonly RowWrite[]): Promise<void> {
    return this.#lanes[name].write(writes)
  }

  /** One page of rows; `pageState` is of the page before. */
  async readPage(
    query: string,
    params: readonly unknown[],
    options: Pick<QueryOptions, 'fetchSize' | 'pageState'> = {},
  ): Promise<ResultPage> {
    await this.#takeReadPlace()
    try {
      return await this.#repeated('read', (client) => client.execute(query, [...params], options))
    } finally {
      this.#reads -= 1
      this.#waitingReads.shift()?.()
    }
  }

  /** All rows, in pages that are asked for as they are drawn. */
  async *pages(
    query: string,
    params: readonly unknown[],
    fetchSize?: number,
  ): AsyncGenerator<readonly types.Row[], void, undefined> {
    let pageState: string | null = null
    do {
      const page: ResultPage = await this.readPage(query, params, {
        ...(fetchSize !== undefined && { fetchSize }),
        ...(pageState !== null && { pageState }),
      })
      pageState = page.pageState
      yield page.rows
    } while (pageState !== null)
  }

  /** All rows of an answer that the caller knows to be small. */
  async readAll(query: string, params: readonly unknown[]): Promise<types.Row[]> {
    const rows: types.Row[] = []
    for await (const page of this.pages(query, params)) rows.push(...page)
    return rows
  }

  async #send(name: WriteClass, writes: readonly RowWrite[]): Promise<void> {
    const [first, ...others] = writes
    if (first === undefined) return
    this.#parts.telemetry.batchWritten(name, writes.length)
    await this.#repeated(name, (client) =>
      others.length === 0
        ? client.execute(first.query, [...first.params])
        : client.batch(
            writes.map(({ query, params }) => ({ query, params: [...params] })),
            { logged: false },
          ),
    )
  }

  async #takeReadPlace(): Promise<void> {
    if (this.#waitingReads.length >= WAITING_STATEMENTS_MAX) {
      this.#parts.telemetry.refused('read')
      throw speedErrors.create('SPEED_UNAVAILABLE', {
        expected: `fewer than ${WAITING_STATEMENTS_MAX} reads that wait`,
        received: `${this.#waitingReads.length}`,
      })
    }
    if (this.#reads >= this.#parts.config.readsMax)
      await new Promise<void>((resolve) => this.#waitingReads.push(resolve))
    this.#reads += 1
  }

  async #repeated<Result>(
    name: StatementClass,
    work: (client: StatementClient) => Promise<Result>,
  ): Promise<Result> {
    const { connection, clock, random, telemetry } = this.#parts
    const startedMs = clock.monotonicMs()
    for (let attempt = 1; ; attempt += 1) {
      try {
        const result = await work(await connection.client())
        telemetry.answered(name, clock.monotonicMs() - startedMs)
        return result
      } catch (error) {
        const failure = speedFailure(error)
        const isLast = attempt >= STATEMENT_ATTEMPTS_MAX || this.#ending.signal.aborted
        if (!failure.spec.retryable || isLast) throw failure
        telemetry.repeated(name, failureReason(error))
        const ceilingMs = Math.min(REPEAT_DELAY_MAX_MS, REPEAT_DELAY_MS * 2 ** attempt)
        await clock.sleep(random.next() * ceilingMs, this.#ending.signal)
      }
    }
  }
}
