/**
 * What the stand-in for GCS lacks: a delete goes by its precondition. Writes of one object go one
 * after another, so that nothing comes between the look at its generation and the delete.
 */
import {
  apiError,
  type ApiAnswer,
  type ApiRequest,
  type ApiRule,
  type Forward,
} from '../../api-proxy.ts'
import { InTurn } from '../../in-turn.ts'

const OBJECT_PATH = /^\/storage\/v1\/b\/([^/]+)\/o\/(.+)$/
const UPLOAD_PATH = /^\/upload\/storage\/v1\/b\/([^/]+)\/o$/

export function keepingPreconditions(): ApiRule {
  const turns = new InTurn()
  return (request, forward) => {
    const object = writtenObject(request)
    if (object === undefined) return forward(request)
    return turns.run(object, () => write(request, forward))
  }
}

/** Bucket and name of the object that a request writes, where it writes one. */
function writtenObject({ method, url }: ApiRequest): string | undefined {
  if (method === 'DELETE') {
    const [, bucket, name] = OBJECT_PATH.exec(url.pathname) ?? []
    return name === undefined ? undefined : `${bucket}/${decodeURIComponent(name)}`
  }
  const [, bucket] = UPLOAD_PATH.exec(url.pathname) ?? []
  const name = url.searchParams.get('name')
  return method === 'POST' && bucket !== undefined && name !== null
    ? `${bucket}/${name}`
    : undefined
}

async function write(request: ApiRequest, forward: Forward): Promise<ApiAnswer> {
  const expected = request.url.searchParams.get('ifGenerationMatch')
  if (request.method !== 'DELETE' || expected === null) return forward(request)
  const url = new URL(request.url)
  url.search = ''
  const found = await forward({ ...request, method: 'GET', url })
  if (found.status !== 200) return found
  const { generation } = JSON.parse(found.body.toString()) as { readonly generation: string }
  return generation === expected ? forward(request) : apiError(412, 'conditionNotMet')
}
