/**
 * What the stand-in for BigQuery does otherwise than BigQuery, put right: a job id is used once, a
 * statement that fails is an error of the answer and not a field in it, and the files of a load fit
 * their schema. A load that is refused is a job that has failed, as it is there.
 */
import {
  apiError,
  type ApiAnswer,
  type ApiRequest,
  type ApiRule,
  type Forward,
} from '../../api-proxy.ts'
import { InTurn } from '../../in-turn.ts'
import { refusalOf, type LoadConfiguration } from './load-check.ts'

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
  readonly configuration?: { readonly load?: LoadConfiguration }
  readonly status?: { readonly errorResult?: JobError }
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
  readonly #inserts = new InTurn()

  constructor(objectsFolder: string) {
    this.#objectsFolder = objectsFolder
  }

  async answer(request: ApiRequest, forward: Forward): Promise<ApiAnswer> {
    const { method, url } = request
    const [, project] = JOBS_PATH.exec(url.pathname) ?? []
    if (method === 'POST' && project !== undefined) return this.#insert(project, request, forward)
    if (method === 'POST' && QUERIES_PATH.test(url.pathname))
      return withErrorAsStatus(await forward(request))
    const [, ofProject, jobId] = JOB_PATH.exec(url.pathname) ?? []
    const refused = this.#refused.get(`${ofProject}/${jobId}`)
    if (method === 'GET' && refused !== undefined) return jsonAnswer(refused)
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
    const message = load && (await refusalOf(this.#objectsFolder, load))
    if (message === undefined) return forward(request)
    const error: JobError = { reason: 'invalid', message }
    const failed = { ...job, status: { state: 'DONE', errorResult: error, errors: [error] } }
    this.#refused.set(key, failed)
    return jsonAnswer(failed)
  }
}

/** A query whose answer has errors in it is answered by the first of them. */
function withErrorAsStatus(answer: ApiAnswer): ApiAnswer {
  if (answer.status !== 200) return answer
  const [error] = parsed<{ readonly errors?: readonly JobError[] }>(answer.body).errors ?? []
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

function jsonAnswer(value: object): ApiAnswer {
  const headers = { 'content-type': 'application/json' }
  return { status: 200, headers, body: Buffer.from(JSON.stringify(value)) }
}

function parsed<Value>(body: Buffer): Value {
  return JSON.parse(body.toString()) as Value
}
