import { describe, expect, it } from 'vitest'
import { CloudError } from '../cloud/cloud-failure.ts'
import { ManualClock, systemClock, type Clock } from '../runtime/clock.ts'
import { systemRandom } from '../runtime/random.ts'
import type { BigQueryJob } from './bigquery-api.ts'
import { BigQueryJobs, type BigQueryJobsParts } from './bigquery-jobs.ts'
import { JOB_ATTEMPTS_MAX } from './bigquery-limits.ts'

const hurried: Clock = { ...systemClock, sleep: () => Promise.resolve() }

/** Jobs of a project, as BigQuery keeps them: an id is taken once. */
class ProjectJobs {
  readonly known = new Map<string, BigQueryJob>()
  /** How jobs end that are started from now on. */
  reason: string | undefined
  /** Answers of looks at jobs that are lost. */
  looksLost = 0
  /** Whether jobs that are looked at have ended. */
  done = true
  readonly cancelled: string[] = []

  cancelJob(jobId: string): Promise<void> {
    this.cancelled.push(jobId)
    return Promise.reject(refused(503))
  }

  insertJob(jobId: string): Promise<BigQueryJob> {
    if (this.known.has(jobId)) return Promise.reject(refused(409))
    const job = { ...ended(this.reason), done: this.done }
    this.known.set(jobId, job)
    return Promise.resolve(job)
  }

  job(jobId: string): Promise<BigQueryJob> {
    const job = this.known.get(jobId)
    this.looksLost -= 1
    if (job === undefined || this.looksLost >= 0) return Promise.reject(refused(503))
    return Promise.resolve(job)
  }
}

describe('a job of BigQuery', () => {
  const request = {
    id: 'work',
    verb: 'write',
    configuration: {},
    operation: { resource: 'a table', permission: 'to write' },
  }
  const run = (api: ProjectJobs, more: Partial<BigQueryJobsParts> = {}) =>
    new BigQueryJobs({
      api,
      project: 'p',
      clock: hurried,
      random: systemRandom,
      maximumBytesBilled: 1,
      telemetry: undefined,
      signal: new AbortController().signal,
      ...more,
    }).run(request)

  it('has attempts of its own whatever ids others have used up', async () => {
    const api = new ProjectJobs()
    api.reason = 'quotaExceeded'
    for (let calls = 1; calls <= 2; calls += 1) {
      await expect(run(api)).rejects.toMatchObject({ code: 'WAREHOUSE_UNAVAILABLE' })
      expect(api.known.size).toBe(calls * JOB_ATTEMPTS_MAX)
    }
    api.reason = undefined
    expect(await run(api)).toMatchObject({ done: true, error: undefined })
    expect([...api.known.keys()].at(-1)).toBe(`work-${2 * JOB_ATTEMPTS_MAX + 1}`)
  })

  it('stops at the first failure of its own that does not pass', async () => {
    const api = new ProjectJobs()
    api.reason = 'invalidQuery'
    await expect(run(api)).rejects.toMatchObject({ code: 'WAREHOUSE_QUERY_INVALID' })
    await expect(run(api)).rejects.toMatchObject({ code: 'WAREHOUSE_QUERY_INVALID' })
    expect([...api.known.keys()]).toEqual(['work-1', 'work-2'])
  })

  it('is not its own when it was there at the first try, though the look at it failed', async () => {
    const api = new ProjectJobs()
    api.known.set('work-1', ended('invalidQuery'))
    api.looksLost = 1
    expect(await run(api)).toMatchObject({ error: undefined })
    expect([...api.known.keys()]).toEqual(['work-1', 'work-2'])
  })

  it.each([
    ['is waited for', 0],
    ['is asked for again', 1],
  ])('is given up at once while it %s', async (_, looksLost) => {
    const api = new ProjectJobs()
    api.done = false
    api.looksLost = looksLost
    if (looksLost > 0) api.known.set('work-1', ended(undefined))
    const closing = new AbortController()
    // Time stands still: without the signal it would wait forever.
    const given = run(api, { clock: new ManualClock(), signal: closing.signal })
    await expect.poll(() => api.known.size).toBe(1)
    closing.abort()
    await expect(given).rejects.toMatchObject({ code: 'WAREHOUSE_CLOSED' })
    // One that another has started goes on.
    expect(api.cancelled).toEqual(looksLost > 0 ? [] : ['work-1'])
  })

  it('that was cancelled is followed by another with the next id', async () => {
    const api = new ProjectJobs()
    api.known.set('work-1', ended('stopped'))
    expect(await run(api)).toMatchObject({ error: undefined })
    expect([...api.known.keys()]).toEqual(['work-1', 'work-2'])
    expect(api.cancelled).toEqual([])
  })
})

function ended(reason: string | undefined): BigQueryJob {
  const error = reason === undefined ? undefined : { reason, message: reason }
  return {
    done: true,
    error,
    endMs: 1,
    loadedRows: 0,
    bytesProcessed: 0,
    bytesBilled: 0,
  }
}

function refused(status: number): CloudError {
  const kind = status === 409 ? 'refused' : 'passing'
  const said = `${status}`
  return new CloudError({ status, kind, apiReasons: [], said, reason: said })
}
