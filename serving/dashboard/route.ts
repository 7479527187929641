/** Addresses within the page: `#/cdn` is the overview split by CDN, `#/session/<id>` a session. */

export type Route =
  | { readonly page: 'overview'; readonly split: string | undefined }
  | { readonly page: 'session'; readonly sessionId: string }

export function parseRoute(hash: string): Route {
  const path = hash.replace(/^#\/?/, '')
  const session = /^session\/(.+)$/.exec(path)?.[1]
  if (session !== undefined) {
    try {
      return { page: 'session', sessionId: decodeURIComponent(session) }
    } catch {
      return { page: 'session', sessionId: session }
    }
  }
  return { page: 'overview', split: path === '' ? undefined : path }
}

export function sessionAddress(sessionId: string): string {
  return `#/session/${encodeURIComponent(sessionId)}`
}
