/**
 * Jobs on BigQuery. A job has an id of ours, and an insert whose answer is lost or late is followed
 * by a look at that job, never by another id: BigQuery answers a second insert of an id with 409.
 * Only when a job is known to have failed for good is the next id of the same work taken. Ids that
 * others have used up are passed over; only jobs that are started here count as attempts.
 */
import { CloudError } from '../cloud/cloud-failure.ts'
import type { Clock } from '../runtime/clock.ts'
import type { BackhaulError } from '../runtime/errors.ts'
import { fullJitterMs } from '../runtime/full-jitter.ts'
import type { Random } from '../runtime/random.ts'
import type { BigQueryApi, BigQueryJob, JobError } from './bigquery-api.ts'
import { assertOpen } from './bigquery-closing.ts'
import { bigQueryFailure, jobFailure, type BigQueryOperation } from './bigquery-failure.ts'
import {
  JOB_ATTEMPTS_MAX,
  JOB_IDS_MAX,
  JOB_MAX_MS,
  JOB_POLL_MAX_MS,
  JOB_POLL_MS,
  REPEAT_DELAY_MAX_MS,
  REPEAT_DELAY_MS,
  REQUEST_ATTEMPTS_MAX,
} from './bigquery-limits.ts'
import type { BigQueryTelemetry } from './bigquery-telemetry.ts'
import { warehouseErrors } from './warehouse-errors.ts'

const DELAYS = { retryDelayMs: REPEAT_DELAY_MS, retryDelayMaxMs: REPEAT_DELAY_MAX_MS }
const HTTP_CONFLICT = 409

export interface BigQueryJobsParts {
  readonly api: Pick<BigQueryApi, 'insertJob' | 'job' | 'cancelJob'>
  readonly project: string
  readonly clock: Clock
  readonly random: Random
  readonly maximumBytesBilled: number
  readonly telemetry: BigQueryTelemetry | undefined
  /**
   * After it nothing more is asked, and what waits ends with `WAREHOUSE_CLOSED`; jobs that were started here
   * are cancelled.
   */
  readonly signal: AbortSignal
}

export interface JobRequest {
  /** Of the work: the same for each try at it. A job's number is put behind it. */
  readonly id: string
  /** What the job is for, in labels and metrics. */
  readonly verb: string
  readonly configuration: object
  readonly operation: BigQueryOperation
  /** Whether what an earlier process did under this id still holds. */
  readonly stands?: () => Promise<boolean>
  /** What a failure means that this work alone knows. */
  readonly failure?: (error: JobError) => BackhaulError | undefined
}

export class BigQueryJobs {
  readonly #parts: BigQueryJobsParts

  constructor(parts: BigQueryJobsParts) {
    this.#parts = parts
  }

  /** Resolves with the job that has done the work; throws the failure of the one started last. */
  async run(request: JobRequest): Promise<BigQueryJob> {
    const { clock, signal, telemetry } = this.#parts
    const sinceMs = clock.monotonicMs()
    let started = 0
    for (let number = 1; number <= JOB_IDS_MAX; number += 1) {
      const jobId = `${request.id}-${number}`
      const { known, job } = await this.#ended(jobId, request)
      if (!known) {
        started += 1
        if (number > 1) telemetry?.attempted(request.verb)
      }
      const operation = {
        ...request.operation,
        resource: `${request.operation.resource} (job ${jobId})`,
      }
      if (job.error === undefined) {
        if (known && request.stands !== undefined && !(await request.stands())) continue
        const bytes = { processed: job.bytesProcessed, billed: job.bytesBilled }
        telemetry?.ended(request.verb, clock.monotonicMs() - sinceMs, bytes)
        return job
      }
      // What an earlier process met may have been mended since.
      const failure = jobFailure(job.error, operation)
      if (known) continue
      if (failure.code !== 'WAREHOUSE_UNAVAILABLE' || started === JOB_ATTEMPTS_MAX)
        throw request.failure?.(job.error) ?? failure
      await clock.sleep(fullJitterMs(started - 1, DELAYS, this.#parts.random), signal)
    }
    throw warehouseErrors.create('WAREHOUSE_JOB_FAILED', {
      expected: `one of ${JOB_IDS_MAX} jobs ${request.id}-N to end well`,
      received: 'none',
    })
  }

  /** One request, repeated while what it failed with may pass. */
  async ask<Result>(
    operation: BigQueryOperation,
    request: () => Promise<Result>,
    attemptsMax: number = REQUEST_ATTEMPTS_MAX,
  ): Promise<Result> {
    const { clock, random, signal, telemetry } = this.#parts
    for (let attempt = 1; ; attempt += 1) {
      assertOpen(signal)
      try {
        return await request()
      } catch (error) {
        const failure = bigQueryFailure(error, operation)
        if (failure.code !== 'WAREHOUSE_UNAVAILABLE' || attempt === attemptsMax) throw failure
        telemetry?.repeated(error instanceof CloudError ? error.failure.reason : 'answer')
        await clock.sleep(fullJitterMs(attempt - 1, DELAYS, random), signal)
      }
    }
  }

  /** Starts the job, unless it is there already, and waits for its end. */
  async #ended(
    jobId: string,
    request: JobRequest,
  ): Promise<{ readonly known: boolean; readonly job: BigQueryJob }> {
    const { api, clock, signal } = this.#parts
    let known = false
    let tries = 0
    let job = await this.#ask(request, async () => {
      tries += 1
      try {
        return await api.insertJob(jobId, this.#bounded(request))
      } catch (error) {
        if (!(error instanceof CloudError) || error.failure.status !== HTTP_CONFLICT) throw error
        // It is our own only when a try was made before that one, whose answer was lost.
        known ||= tries === 1
        return api.job(jobId)
      }
    })
    try {
      const sinceMs = clock.monotonicMs()
      for (let look = 0; !job.done; look += 1) {
        if (clock.monotonicMs() - sinceMs > JOB_MAX_MS + JOB_POLL_MAX_MS)
          throw warehouseErrors.create('WAREHOUSE_UNAVAILABLE', {
            expected: `the job ${jobId} to end within ${JOB_MAX_MS} ms`,
          })
        await clock.sleep(Math.min(JOB_POLL_MS * 2 ** look, JOB_POLL_MAX_MS), signal)
        job = await this.#ask(request, () => api.job(jobId))
      }
    } finally {
      // Whoever else has started it still waits for it. A job that was done all the same is found by a repeat.
      if (signal.aborted && !job.done && !known) api.cancelJob(jobId).catch(() => undefined)
    }
    return { known, job }
  }

  #ask<Result>(request: JobRequest, action: () => Promise<Result>): Promise<Result> {
    const { resource } = request.operation
    const permission = `bigquery.jobs.create on the project ${this.#parts.project}`
    return this.ask({ resource, permission }, action)
  }

  #bounded({ configuration, verb }: JobRequest): object {
    const labels = { app: 'backhaul', verb }
    const { query } = configuration as { readonly query?: object }
    const maximumBytesBilled = `${this.#parts.maximumBytesBilled}`
    return {
      ...configuration,
      ...(query && { query: { ...query, useLegacySql: false, maximumBytesBilled } }),
      labels,
      jobTimeoutMs: `${JOB_MAX_MS}`,
    }
  }
}
