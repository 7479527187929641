/** What a connection's failure means for the caller, told from the error of either client library. */
import { logErrors } from '../log/log-errors.ts'
import { isTlsFailure } from '../runtime/addresses.ts'
import { BackhaulError } from '../runtime/errors.ts'
import type { BrokerAddress } from './kafka-client.ts'

/**
 * The event log's error for a failed connection: refused credentials and a protocol that does not
 * match need another setting; everything else may pass.
 */
export function connectionFailure(
  { host, port }: BrokerAddress,
  error: unknown,
  isAuthenticationError: (error: unknown) => boolean,
): BackhaulError {
  if (error instanceof BackhaulError) return error
  const causes = causesOf(error)
  const innermost = causes.at(-1)
  const said = innermost instanceof Error ? innermost.message : String(innermost)
  const detail = { received: `${host}:${port}: ${said}`, cause: error }
  if (causes.some(isAuthenticationError)) return logErrors.create('LOG_CREDENTIALS_REFUSED', detail)
  if (causes.some(isTlsError)) return logErrors.create('LOG_SECURITY_MISMATCH', detail)
  return logErrors.create('LOG_UNAVAILABLE', detail)
}

/** The error and what caused it, outermost first. */
function causesOf(error: unknown): readonly unknown[] {
  const causes: unknown[] = []
  for (let cause = error; cause !== undefined && cause !== null;) {
    if (causes.includes(cause)) break
    causes.push(cause)
    const nested = cause instanceof AggregateError ? (cause.errors as unknown[])[0] : undefined
    cause = cause instanceof Error ? (cause.cause ?? nested) : undefined
  }
  return causes
}

function isTlsError(error: unknown): boolean {
  if (isTlsFailure(error)) return true
  return error instanceof Error && error.message === 'Broker requires TLS.'
}
