/**
 * The port for operators of a processor: health, readiness, metrics, and what it holds.
 *
 *   /debug/partitions      every partition owned: its lease, offsets, lag, state sizes, queues
 *   /debug/sessions/{id}   a session's state, what it waits for, and why each minute is still open
 */
import type { HttpRequest } from 'uWebSockets.js'
import type { Registry } from 'prom-client'
import type { AdminConfig } from '../shared/http/admin-config.ts'
import { startAdminServer } from '../shared/http/admin-server.ts'
import type { Answer } from '../shared/http/guarded-response.ts'
import type { Listening } from '../shared/http/listen.ts'
import { jsonAnswer, problemAnswer } from '../shared/http/problem.ts'
import { partitionOf } from '../shared/log/partitioner.ts'
import type { BackhaulConfig } from '../shared/runtime/settings.ts'
import { processorErrors, type ProcessorErrorCode } from './errors.ts'
import type { RunningProcessor } from './start.ts'

export interface AdminOptions {
  readonly service: {
    readonly unreadyCode: ProcessorErrorCode | undefined
    readonly processor: RunningProcessor | undefined
  }
  readonly config: AdminConfig
  readonly backhaul: Pick<BackhaulConfig, 'partitions'>
  readonly registry: Registry
}

/** Throws `PROCESSOR_ADMIN_PORT_UNAVAILABLE`, or `CONFIG_INVALID` for files of TLS. */
export function startAdmin(options: AdminOptions): Promise<Listening> {
  const { service, registry, config } = options
  return startAdminServer({
    rolePrefix: 'PROCESSOR',
    config,
    readiness: () => readiness(service.unreadyCode),
    metrics: () => registry.metrics(),
    paths: {
      '/debug/partitions': () => partitions(service.processor),
      '/debug/sessions/:id': (request) => session(options, request),
    },
    errors: {
      pathUnknown: () => processorErrors.create('PROCESSOR_ADMIN_PATH_UNKNOWN'),
      internal: () => processorErrors.create('PROCESSOR_INTERNAL'),
      unavailable: (systemCode) =>
        processorErrors.create('PROCESSOR_ADMIN_PORT_UNAVAILABLE', {
          expected: 'PROCESSOR_ADMIN_HOST and PROCESSOR_ADMIN_PORT to name a free address',
          received: `${config.adminHost} and ${config.adminPort}, of which the system says ${systemCode}`,
        }),
    },
  })
}

function readiness(unreadyCode: ProcessorErrorCode | undefined): Answer {
  if (unreadyCode === undefined) return jsonAnswer(200, { status: 'ready' })
  return problemAnswer(processorErrors.create(unreadyCode))
}

function partitions(processor: RunningProcessor | undefined): Answer {
  const owned = processor?.inspectPartitions() ?? []
  const role = processor?.isPrimary === true ? 'primary' : 'secondary'
  return jsonAnswer(200, { view: processor?.view, role, partitions: owned })
}

function session({ service, backhaul }: AdminOptions, request: HttpRequest): Answer {
  const sessionId = decodedOrAsIs(request.getParameter(0) ?? '')
  const held = service.processor?.inspectSession(sessionId)
  if (held !== undefined) return jsonAnswer(200, held)
  const partition = partitionOf(sessionId, backhaul.partitions)
  return problemAnswer(
    processorErrors.create('PROCESSOR_SESSION_NOT_HELD', {
      expected: `a session in the state of this processor; this one’s partition is ${partition}`,
      received: sessionId,
    }),
  )
}

function decodedOrAsIs(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
