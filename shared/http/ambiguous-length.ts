/**
 * Requests whose end two parsers may see at different places. The server takes the first of two
 * lengths, and a coding that it does not know for none; a proxy in front of it may do otherwise, and
 * then what one client sent becomes another's request. So such a request ends its connection.
 */
import type { HttpRequest, TemplatedApp, WebSocketBehavior } from 'uWebSockets.js'

type Handler = Parameters<TemplatedApp['any']>[1]

const METHODS = ['get', 'post', 'options', 'any'] as const

/** Every route that is added to `app` from now on is spared them. */
export function refuseAmbiguousLengths(app: TemplatedApp): TemplatedApp {
  for (const method of METHODS) {
    const add = app[method].bind(app)
    app[method] = (pattern, handler) => add(pattern, guarded(handler))
  }
  const ws = app.ws.bind(app)
  app.ws = (pattern, behavior) => ws(pattern, { ...behavior, ...guardedUpgrade(behavior.upgrade) })
  return app
}

/** An upgrade that is refused leaves its connection open, and what follows on it the next request. */
function guardedUpgrade(upgrade: WebSocketBehavior<unknown>['upgrade']) {
  if (upgrade === undefined) return {}
  return {
    upgrade(...[response, request, context]: Parameters<typeof upgrade>) {
      if (isAmbiguous(request)) return void response.close()
      return upgrade(response, request, context)
    },
  }
}

function guarded(handler: Handler): Handler {
  return (response, request) => {
    if (isAmbiguous(request)) return void response.close()
    return handler(response, request)
  }
}

function isAmbiguous(request: HttpRequest): boolean {
  let lengths = 0
  let codings = 0
  let isOfUnknownCoding = false
  request.forEach((name, value) => {
    if (name === 'content-length') lengths += 1
    if (name !== 'transfer-encoding') return
    codings += 1
    isOfUnknownCoding ||= value !== 'chunked'
  })
  return lengths + codings > 1 || isOfUnknownCoding
}
