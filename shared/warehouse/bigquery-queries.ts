/** Statements that answer rows: bounded in rows, time and bytes, and repeated while that may help. */
import type { Clock } from '../runtime/clock.ts'
import type { BackhaulError } from '../runtime/errors.ts'
import type { Random } from '../runtime/random.ts'
import type { BigQueryAnswer, BigQueryApi } from './bigquery-api.ts'
import type { BigQueryJobs } from './bigquery-jobs.ts'
import { ANSWER_WAIT_MS, JOB_MAX_MS, RESULT_PAGE_ROWS } from './bigquery-limits.ts'
import type { QueryParameter } from './bigquery-statement.ts'
import type { BigQueryTelemetry } from './bigquery-telemetry.ts'
import { resultColumns, rowOf } from './bigquery-values.ts'
import type { QueryLimits, ResultColumn, Row } from './warehouse.ts'
import { warehouseErrors } from './warehouse-errors.ts'

export interface BigQueryQueriesParts {
  readonly api: BigQueryApi
  readonly jobs: BigQueryJobs
  /** As errors name it. */
  readonly resource: string
  readonly clock: Clock
  readonly random: Random
  readonly maximumBytesBilled: number
  readonly telemetry: BigQueryTelemetry | undefined
}

/** A statement as BigQuery reads it. */
export interface BigQueryText {
  readonly sql: string
  readonly parameters?: readonly QueryParameter[]
}

export interface StatementEstimate {
  readonly columns: readonly ResultColumn[]
  readonly bytesRead: number
}

/** Of a query of our own, which yields few rows. */
const OWN_LIMITS: QueryLimits = { maxRows: 100_000, timeoutMs: JOB_MAX_MS }

export class BigQueryQueries {
  readonly #parts: BigQueryQueriesParts

  constructor(parts: BigQueryQueriesParts) {
    this.#parts = parts
  }

  async rows(
    text: BigQueryText,
    limits: QueryLimits = OWN_LIMITS,
    verb = 'control',
  ): Promise<readonly Row[]> {
    const { clock, telemetry } = this.#parts
    const sinceMs = clock.monotonicMs()
    const { rows, processed } = await this.#within(limits.timeoutMs, () =>
      this.#read(text, limits, verb),
    )
    telemetry?.ended(verb, clock.monotonicMs() - sinceMs, { processed, billed: 0 })
    return rows
  }

  /** The columns that the statement would give; nothing is run or billed. */
  async columns(text: BigQueryText): Promise<readonly ResultColumn[]> {
    return (await this.estimate(text, 'columns')).columns
  }

  /** The same with the bytes that it would read. */
  async estimate(text: BigQueryText, verb = 'estimate'): Promise<StatementEstimate> {
    const answer = await this.#ask(() =>
      this.#parts.api.query({ ...this.#request(text, verb), dryRun: true }),
    )
    return { columns: resultColumns(answer.fields), bytesRead: answer.bytesProcessed }
  }

  async #read(
    text: BigQueryText,
    { maxRows, timeoutMs }: QueryLimits,
    verb: string,
  ): Promise<{ rows: readonly Row[]; processed: number }> {
    const { api, random } = this.#parts
    const waitMs = Math.min(ANSWER_WAIT_MS, timeoutMs)
    // One answer holds one row more than there may be, so that no more are brought than needed.
    const maxResults = Math.min(RESULT_PAGE_ROWS, maxRows + 1)
    const request = {
      ...this.#request(text, verb),
      maxResults,
      timeoutMs: waitMs,
      jobTimeoutMs: `${timeoutMs}`,
      // A repeat within a quarter of an hour is the same query.
      requestId: random.uuid(),
    }
    let answer = await this.#ask(() => api.query(request))
    const { jobId } = answer
    const more = (page: { pageToken?: string }): Promise<BigQueryAnswer> => {
      if (jobId === undefined) throw noJob()
      return this.#ask(() => api.results(jobId, { ...page, maxResults, timeoutMs: waitMs }))
    }
    while (!answer.complete) answer = await more({})
    const columns = resultColumns(answer.fields)
    const processed = answer.bytesProcessed
    const rows: Row[] = []
    for (;;) {
      if (answer.totalRows > maxRows || rows.length + answer.rows.length > maxRows)
        throw warehouseErrors.create('WAREHOUSE_QUERY_TOO_LARGE', {
          expected: `at most ${maxRows} rows`,
          received: `${answer.totalRows}`,
        })
      for (const values of answer.rows) rows.push(rowOf(columns, values))
      const { pageToken } = answer
      if (pageToken === undefined) return { rows, processed }
      answer = await more({ pageToken })
    }
  }

  #request({ sql, parameters = [] }: BigQueryText, verb: string): object {
    return {
      query: sql,
      ...(parameters.length > 0 && { parameterMode: 'NAMED', queryParameters: parameters }),
      maximumBytesBilled: `${this.#parts.maximumBytesBilled}`,
      labels: { app: 'backhaul', verb },
    }
  }

  #ask<Result>(request: () => Promise<Result>): Promise<Result> {
    const { jobs, resource } = this.#parts
    return jobs.ask({ resource, permission: 'bigquery.jobs.create and .tables.getData' }, request)
  }

  /** What goes on after its time is ended by BigQuery, which was told the time. */
  async #within<Result>(timeoutMs: number, action: () => Promise<Result>): Promise<Result> {
    let cancel: (() => void) | undefined
    const late = new Promise<never>((_, reject) => {
      cancel = this.#parts.clock.after(timeoutMs, () => reject(timedOut(timeoutMs)))
    })
    try {
      return await Promise.race([action(), late])
    } finally {
      cancel?.()
    }
  }
}

function timedOut(timeoutMs: number): BackhaulError {
  return warehouseErrors.create('WAREHOUSE_QUERY_TIMEOUT', { expected: `at most ${timeoutMs} ms` })
}

function noJob(): BackhaulError {
  return warehouseErrors.create('WAREHOUSE_REQUEST_REFUSED', {
    expected: 'an answer that names its job',
    received: 'none',
  })
}
