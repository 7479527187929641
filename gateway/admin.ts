/** The port for operators of a gateway process or pool: health, readiness and metrics, no clients. */
import { App } from 'uWebSockets.js'
import { GuardedResponse, type Answer } from '../shared/http/guarded-response.ts'
import { listenOrExplain, type Listening } from '../shared/http/listen.ts'
import { jsonAnswer, problemAnswer } from '../shared/http/problem.ts'
import { gatewayErrors, type GatewayErrorCode } from './errors.ts'

export interface AdminOptions {
  readonly host: string
  readonly port: number
  /** Why no one should be sent here; `undefined` when ready. */
  unreadyCode(): string | undefined
  metrics(): Promise<string>
}

const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** Throws `GATEWAY_ADMIN_PORT_UNAVAILABLE`. */
export async function startAdmin(options: AdminOptions): Promise<Listening> {
  const { host, port } = options
  const app = App()
  app.get('/healthz', (response) =>
    new GuardedResponse(response).answer(jsonAnswer(200, { status: 'live' })),
  )
  app.get('/readyz', (response) =>
    new GuardedResponse(response).answer(readiness(options.unreadyCode())),
  )
  app.get('/metrics', (response) => {
    const guarded = new GuardedResponse(response)
    options.metrics().then(
      (body) => guarded.answer({ status: 200, headers: { 'content-type': METRICS_TYPE }, body }),
      () => guarded.answer(problemAnswer(gatewayErrors.create('GATEWAY_INTERNAL'))),
    )
  })
  app.any('/*', (response) =>
    new GuardedResponse(response).answer(
      problemAnswer(gatewayErrors.create('GATEWAY_ADMIN_PATH_UNKNOWN')),
    ),
  )
  const listening = await listenOrExplain(app, { host, port }, (systemCode) => {
    app.close()
    return gatewayErrors.create('GATEWAY_ADMIN_PORT_UNAVAILABLE', {
      expected: 'GATEWAY_ADMIN_HOST and GATEWAY_ADMIN_PORT to name a free address',
      received: `${host} and ${port}, of which the system says ${systemCode}`,
    })
  })
  return { port: listening.port, close: () => void app.close() }
}

/** The answer of `/readyz`: 503 with the code of what is missing. */
export function readiness(unreadyCode: string | undefined): Answer {
  if (unreadyCode === undefined) return jsonAnswer(200, { status: 'ready' })
  const known = unreadyCode in gatewayErrors.catalogue
  const code = known ? (unreadyCode as GatewayErrorCode) : 'GATEWAY_PROCESS_DOWN'
  return { ...problemAnswer(gatewayErrors.create(code)), status: 503 }
}
