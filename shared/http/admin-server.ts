/**
 * A service's port for operators: `/healthz`, `/readyz`, `/metrics` and what the service adds. No
 * client comes here, so nothing is authenticated and a GET is all there is.
 */
import type { HttpRequest, TemplatedApp } from 'uWebSockets.js'
import type { BackhaulError } from '../runtime/errors.ts'
import { adminTls, type AdminConfig } from './admin-config.ts'
import { GuardedResponse, type Answer } from './guarded-response.ts'
import { listenOrExplain, type Listening } from './listen.ts'
import { createListenerApp } from './listener-tls.ts'
import { jsonAnswer, problemAnswer } from './problem.ts'

export interface AdminServerOptions {
  /** Prefix of the role's settings, such as `GATEWAY`. */
  readonly rolePrefix: string
  readonly config: AdminConfig
  /** The answer of `/readyz`: 200, or 503 with what is missing. */
  readiness(): Answer
  metrics(): Promise<string>
  /** Further paths, in the notation of uWebSockets.js. */
  readonly paths?: Readonly<Record<string, (request: HttpRequest) => Answer>>
  readonly errors: AdminErrors
}

/** What goes wrong, in the words of the service. */
export interface AdminErrors {
  pathUnknown(): BackhaulError
  internal(): BackhaulError
  unavailable(systemCode: string): BackhaulError
}

const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** Throws `CONFIG_INVALID` for files of TLS, and `errors.unavailable` when the address cannot be had. */
export async function startAdminServer(options: AdminServerOptions): Promise<Listening> {
  const { rolePrefix, config, errors } = options
  const app = createListenerApp(...adminTls(rolePrefix, config))
  addGet(app, '/healthz', () => jsonAnswer(200, { status: 'live' }))
  addGet(app, '/readyz', () => options.readiness())
  for (const [path, answer] of Object.entries(options.paths ?? {})) addGet(app, path, answer)
  app.get('/metrics', (response) => {
    const guarded = new GuardedResponse(response)
    options.metrics().then(
      (body) => guarded.answer({ status: 200, headers: { 'content-type': METRICS_TYPE }, body }),
      () => guarded.answer(problemAnswer(errors.internal())),
    )
  })
  app.any('/*', (response) =>
    new GuardedResponse(response).answer(problemAnswer(errors.pathUnknown())),
  )
  const address = { host: config.adminHost, port: config.adminPort }
  const listening = await listenOrExplain(app, address, (systemCode) => {
    app.close()
    return errors.unavailable(systemCode)
  })
  return { port: listening.port, close: () => void app.close() }
}

function addGet(app: TemplatedApp, path: string, answer: (request: HttpRequest) => Answer): void {
  app.get(path, (response, request) => new GuardedResponse(response).answer(answer(request)))
}
