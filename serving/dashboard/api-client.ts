/** The page's requests to the public API. Failures become `ApiProblem`, with the API's own code. */

export class ApiProblem extends Error {
  readonly code: string
  readonly status: number

  constructor(code: string, status: number, detail: string) {
    super(detail)
    this.name = 'ApiProblem'
    this.code = code
    this.status = status
  }
}

const TOKEN_KEY = 'backhaul.token'

/** The token lives as long as the tab. */
export function readToken(): string | undefined {
  return sessionStorage.getItem(TOKEN_KEY) ?? undefined
}

export function keepToken(token: string): void {
  sessionStorage.setItem(TOKEN_KEY, token)
}

export async function getJson<Body>(path: string, signal?: AbortSignal): Promise<Body> {
  const token = readToken()
  const headers: Record<string, string> =
    token === undefined ? {} : { authorization: `Bearer ${token}` }
  let response: Response
  try {
    response = await fetch(path, { headers, ...(signal === undefined ? {} : { signal }) })
  } catch (cause) {
    if (signal?.aborted === true) throw cause
    throw new ApiProblem('UNREACHABLE', 0, 'The server cannot be reached.')
  }
  const body = (await response.json().catch(() => undefined)) as unknown
  if (response.ok) return body as Body
  const problem = (body ?? {}) as { code?: string; detail?: string }
  throw new ApiProblem(
    problem.code ?? 'UNKNOWN',
    response.status,
    problem.detail ?? `The server answered ${response.status}.`,
  )
}

/** Subprotocols that carry the token, since a browser cannot set headers on a WebSocket. */
export function liveSubprotocols(token: string | undefined): string[] {
  if (token === undefined) return ['live.v1']
  const text = btoa(token).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')
  return ['live.v1', `bearer.${text}`]
}
