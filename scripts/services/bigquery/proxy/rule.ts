/**
 * What the stand-in for BigQuery does otherwise than BigQuery, put right: a job id is used once, a
 * statement that fails is an error of the answer and not a field in it, the files of a load fit
 * their schema, a column that is added to a table is there (`table-history.ts`), the past of a
 * table is kept from its beginning and through scripts, and a dry run says how many bytes would be read
 * (`dry-run.ts`). A load that is refused is a job that has failed, as it is there.
 */
import {
  apiError,
  type ApiAnswer,
  type ApiRequest,
  type ApiRule,
  type Forward,
} from '../../api-proxy.ts'
import { InTurn } from '../../in-turn.ts'
import { withBytes } from './dry-run.ts'
import { judgeLoad, type LoadConfiguration } from './load-check.ts'
import { addColumns, keepPast, tableOf, tablesWrittenBy } from './table-history.ts'

const JOBS_PATH = /^\/bigquery\/v2\/projects\/([^/]+)\/jobs$/
const JOB_PATH = /^\/bigquery\/v2\/projects\/([^/]+)\/jobs\/([^/]+)$/
const QUERIES_PATH = /^\/bigquery\/v2\/projects\/[^/]+\/queries$/
const RESULTS_PATH = /^(\/bigquery\/v2\/projects\/[^/]+)\/queries\/([^/]+)$/

/** HTTP statuses of the reasons by which statements fail. */
const STATUSES: Readonly<Record<string, number>> = {
  accessDenied: 403,
  notFound: 404,
  duplicate: 409,
  rateLimitExceeded: 403,
  backendError: 503,
}

interface Job {
  readonly jobReference?: { readonly jobId?: string }
  readonly configuration?: {
    readonly load?: LoadConfiguration
    readonly query?: { readonly query?: string }
  }
  readonly status?: { readonly errorResult?: JobError }
  readonly statistics?: object
}

interface JobError {
  readonly reason: string
  readonly message: string
}

/** `objectsFolder`: where the objects are that loads read. */
export function answeringAsBigQuery(objectsFolder: string): ApiRule {
  const proxy = new BigQueryRule(objectsFolder)
  return (request, forward) => proxy.answer(request, forward)
}

class BigQueryRule {
  readonly #objectsFolder: string
  /** Jobs that were refused here, by project and id; the stand-in has never heard of them. */
  readonly #refused = new Map<string, Job>()
  /** When scripts ended whose writes are in the past of their tables, by project and id. */
  readonly #ends = new Map<string, string>()
  readonly #inserts = new InTurn()

  constructor(objectsFolder: string) {
    this.#objectsFolder = objectsFolder
  }

  async answer(request: ApiRequest, forward: Forward): Promise<ApiAnswer> {
    const { method, url } = request
    const [, project] = JOBS_PATH.exec(url.pathname) ?? []
    if (method === 'POST' && project !== undefined) return this.#insert(project, request, forward)
    if (method === 'POST' && QUERIES_PATH.test(url.pathname))
      return withBytes(request, withErrorAsStatus(await forward(request)))
    const [, ofProject, jobId] = JOB_PATH.exec(url.pathname) ?? []
    const refused = this.#refused.get(`${ofProject}/${jobId}`)
    if (method === 'GET' && refused !== undefined) return jsonAnswer(refused)
    const endTime = this.#ends.get(`${ofProject}/${jobId}`)
    if (method === 'GET' && endTime !== undefined) return endedAt(await forward(request), endTime)
    const table = tableOf(request)
    if (table !== undefined && method === 'PATCH') return addColumns(table, request, forward)
    if (table !== undefined && method === 'POST') {
      const answer = await forward(request)
      if (answer.status === 200) await keepPast([table], request, forward)
      return answer
    }
    if (method === 'GET' && RESULTS_PATH.test(url.pathname)) return results(request, forward)
    return forward(request)
  }

  /** One after another for a job id, so that of two that come at once the second meets the first. */
  async #insert(project: string, request: ApiRequest, forward: Forward): Promise<ApiAnswer> {
    const job = parsed<Job>(request.body)
    const jobId = job.jobReference?.jobId
    if (jobId === undefined) return forward(request)
    const key = `${project}/${jobId}`
    return this.#inserts.run(key, () => this.#insertOnce(key, job, request, forward))
  }

  async #insertOnce(
    key: string,
    job: Job,
    request: ApiRequest,
    forward: Forward,
  ): Promise<ApiAnswer> {
    const [, jobId] = key.split('/')
    const url = new URL(`${request.url.pathname}/${jobId}`, request.url)
    const known = await forward({ ...request, method: 'GET', url, body: Buffer.alloc(0) })
    if (known.status === 200 || this.#refused.has(key))
      return apiError(409, 'duplicate', `Already Exists: Job ${key}`)
    const load = job.configuration?.load
    if (load === undefined) return this.#runScript(key, job, request, forward)
    const verdict = await judgeLoad(this.#objectsFolder, load)
    if ('sourceUris' in verdict) {
      const configuration = { load: { ...load, sourceUris: verdict.sourceUris } }
      return forward({ ...request, body: Buffer.from(JSON.stringify({ ...job, configuration })) })
    }
    const error = verdict.refusal
    const failed = { ...job, status: { state: 'DONE', errorResult: error, errors: [error] } }
    this.#refused.set(key, failed)
    return jsonAnswer(failed)
  }

  /** The stand-in keeps the past of what one statement writes, and not of what a script writes. */
  async #runScript(
    key: string,
    job: Job,
    request: ApiRequest,
    forward: Forward,
  ): Promise<ApiAnswer> {
    const answer = await forward(request)
    const tables = tablesWrittenBy(job.configuration?.query?.query ?? '')
    if (answer.status !== 200 || tables.length === 0) return answer
    await keepPast(tables, request, forward)
    const endTime = `${Date.now()}`
    this.#ends.set(key, endTime)
    return endedAt(answer, endTime)
  }
}

interface QueryAnswer {
  readonly errors?: readonly JobError[]
  readonly schema?: { readonly fields?: readonly { readonly name: string }[] }
}

/**
 * A query whose answer has errors in it is answered by the first of them, and one that has a column
 * twice, of which the stand-in makes `n` and `n_1`, is refused.
 */
function withErrorAsStatus(answer: ApiAnswer): ApiAnswer {
  if (answer.status !== 200) return answer
  const { errors = [], schema } = parsed<QueryAnswer>(answer.body)
  const names = schema?.fields?.map(({ name }) => name) ?? []
  const twice = names.find((name) => names.includes(`${name}_1`))
  const message = `Duplicate column names in the result are not supported. Found duplicate(s): ${twice}`
  const [error = twice === undefined ? undefined : { reason: 'invalidQuery', message }] = errors
  return error === undefined ? answer : errorAnswer(error)
}

/** The results of a job that failed are its error; the stand-in says that there is no such job. */
async function results(request: ApiRequest, forward: Forward): Promise<ApiAnswer> {
  const answer = await forward(request)
  if (answer.status !== 404) return withErrorAsStatus(answer)
  const [, base, jobId] = RESULTS_PATH.exec(request.url.pathname) ?? []
  const url = new URL(`${base}/jobs/${jobId}`, request.url)
  const found = await forward({ ...request, url })
  const error = found.status === 200 ? parsed<Job>(found.body).status?.errorResult : undefined
  return error === undefined ? answer : errorAnswer(error)
}

function errorAnswer({ reason, message }: JobError): ApiAnswer {
  return apiError(STATUSES[reason] ?? 400, reason, message)
}

function endedAt(answer: ApiAnswer, endTime: string): ApiAnswer {
  const job = parsed<Job>(answer.body)
  return jsonAnswer({ ...job, statistics: { ...job.statistics, endTime } })
}

function jsonAnswer(value: object): ApiAnswer {
  const headers = { 'content-type': 'application/json' }
  return { status: 200, headers, body: Buffer.from(JSON.stringify(value)) }
}

function parsed<Value>(body: Buffer): Value {
  return JSON.parse(body.toString()) as Value
}
