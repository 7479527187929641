/**
 * The past of tables, which BigQuery shows by FOR SYSTEM_TIME AS OF. Its stand-in keeps the state of a
 * table after each statement that writes it, but not the empty one of its beginning, nor what a
 * script writes: a statement that changes nothing makes it keep them. And a patch of a table
 * changes what it says of the columns and not the columns: a statement adds those.
 */
import { apiError, type ApiAnswer, type ApiRequest, type Forward } from '../../api-proxy.ts'

const TABLES_PATH = /^\/bigquery\/v2\/projects\/([^/]+)\/datasets\/([^/]+)\/tables(?:\/([^/]+))?$/
const WRITES = /\b(?:INSERT\s+INTO|DELETE\s+FROM|UPDATE|MERGE)\s+`([^`]+)`/gi

interface TableResource {
  readonly tableReference?: { readonly tableId?: string }
  readonly etag?: string
  readonly schema?: {
    readonly fields?: readonly { readonly name: string; readonly type: string }[]
  }
}

/** The full name of the table that a request creates or changes. */
export function tableOf({ method, url, body }: ApiRequest): string | undefined {
  const [, project, dataset, table] = TABLES_PATH.exec(url.pathname) ?? []
  if (dataset === undefined) return undefined
  const created =
    method === 'POST' && table === undefined ? resource(body).tableReference : undefined
  const name = table ?? created?.tableId
  return name && `${project}.${dataset}.${name}`
}

/** Full names of the tables that a script writes; none for one statement. */
export function tablesWrittenBy(script: string): readonly string[] {
  if (!/^\s*BEGIN\b/i.test(script)) return []
  return [...new Set([...script.matchAll(WRITES)].map(([, table = '']) => table))]
}

export async function keepPast(
  tables: readonly string[],
  request: ApiRequest,
  forward: Forward,
): Promise<void> {
  for (const table of tables)
    await forward(statement(`DELETE FROM \`${table}\` WHERE FALSE`, request))
}

/** A patch, by whose schema the table has columns more; refused when it is of another etag. */
export async function addColumns(
  table: string,
  request: ApiRequest,
  forward: Forward,
): Promise<ApiAnswer> {
  const found = await forward({ ...request, method: 'GET', body: Buffer.alloc(0) })
  if (found.status !== 200) return found
  const { etag, schema } = resource(found.body)
  const wanted = request.headers['if-match']
  if (wanted !== undefined && wanted !== etag) return apiError(412, 'conditionNotMet')
  const known = new Set(schema?.fields?.map(({ name }) => name))
  for (const { name, type } of resource(request.body).schema?.fields ?? [])
    if (!known.has(name))
      await forward(statement(`ALTER TABLE \`${table}\` ADD COLUMN \`${name}\` ${type}`, request))
  const answer = await forward(request)
  await keepPast([table], request, forward)
  return answer
}

function statement(sql: string, request: ApiRequest): ApiRequest {
  const [, project] = TABLES_PATH.exec(request.url.pathname) ?? []
  const base =
    project === undefined
      ? request.url.pathname.replace(/\/jobs$/, '')
      : `/bigquery/v2/projects/${project}`
  return {
    method: 'POST',
    url: new URL(`${base}/queries`, request.url),
    headers: { 'content-type': 'application/json' },
    body: Buffer.from(JSON.stringify({ query: sql, useLegacySql: false })),
  }
}

function resource(body: Buffer): TableResource {
  return JSON.parse(body.toString()) as TableResource
}
