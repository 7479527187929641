/** The port for operators of a gateway process or pool: health, readiness and metrics, no clients. */
import type { AdminConfig } from '../shared/http/admin-config.ts'
import { startAdminServer } from '../shared/http/admin-server.ts'
import type { Answer } from '../shared/http/guarded-response.ts'
import type { Listening } from '../shared/http/listen.ts'
import { jsonAnswer, problemAnswer } from '../shared/http/problem.ts'
import { gatewayErrors, type GatewayErrorCode } from './errors.ts'

export interface AdminOptions {
  readonly config: AdminConfig
  /** Why no one should be sent here; `undefined` when ready. */
  unreadyCode(): string | undefined
  metrics(): Promise<string>
}

/** Throws `GATEWAY_ADMIN_PORT_UNAVAILABLE`, or `CONFIG_INVALID` for files of TLS. */
export function startAdmin(options: AdminOptions): Promise<Listening> {
  const { config } = options
  return startAdminServer({
    rolePrefix: 'GATEWAY',
    config,
    readiness: () => readiness(options.unreadyCode()),
    metrics: () => options.metrics(),
    errors: {
      pathUnknown: () => gatewayErrors.create('GATEWAY_ADMIN_PATH_UNKNOWN'),
      internal: () => gatewayErrors.create('GATEWAY_INTERNAL'),
      unavailable: (systemCode) =>
        gatewayErrors.create('GATEWAY_ADMIN_PORT_UNAVAILABLE', {
          expected: 'GATEWAY_ADMIN_HOST and GATEWAY_ADMIN_PORT to name a free address',
          received: `${config.adminHost} and ${config.adminPort}, of which the system says ${systemCode}`,
        }),
    },
  })
}

/** The answer of `/readyz`: 503 with the code of what is missing. */
export function readiness(unreadyCode: string | undefined): Answer {
  if (unreadyCode === undefined) return jsonAnswer(200, { status: 'ready' })
  const known = unreadyCode in gatewayErrors.catalogue
  const code = known ? (unreadyCode as GatewayErrorCode) : 'GATEWAY_PROCESS_DOWN'
  return { ...problemAnswer(gatewayErrors.create(code)), status: 503 }
}
