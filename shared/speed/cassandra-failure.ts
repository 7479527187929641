/** What the driver's errors mean for the caller. */
import { errors, types } from 'cassandra-driver'
import { isTlsFailure } from '../runtime/addresses.ts'
import { configErrors } from '../runtime/config.ts'
import { BackhaulError } from '../runtime/errors.ts'
import { speedErrors } from './speed-errors.ts'

const { responseErrorCodes: CODES } = types

const CODE_NAMES: ReadonlyMap<unknown, string> = new Map(
  Object.entries(CODES).map(([name, code]) => [code, name]),
)

type Lasting = Readonly<Record<number, 'SPEED_NOT_AUTHORIZED' | 'SPEED_SCHEMA_UNFIT'>>

/** What no repeat of a statement mends; every other answer may pass. */
const LASTING: Lasting = {
  [CODES.syntaxError]: 'SPEED_SCHEMA_UNFIT',
  [CODES.configError]: 'SPEED_SCHEMA_UNFIT',
}

/** What an operator must mend when a store that has never served yet answers it. */
const LASTING_AT_OPENING: Lasting = {
  ...LASTING,
  [CODES.unauthorized]: 'SPEED_NOT_AUTHORIZED',
  [CODES.invalid]: 'SPEED_SCHEMA_UNFIT',
}

/**
 * The speed store's error for a statement that failed. Refused credentials and statements that are
 * none need an operator; everything else may pass, a write that timed out included: it may have been
 * done, and its repeat changes nothing. A store that has served us says `unauthorized` also while
 * its roles cannot be read, and `invalid` of a full disk or of a table that a node has not learnt of
 * yet, so these may pass too.
 */
export function speedFailure(error: unknown): BackhaulError {
  return failureOf(error, LASTING)
}

/** The same while connecting and migrating, where permissions and tables are looked at first. */
export function openingFailure(error: unknown): BackhaulError {
  return failureOf(error, LASTING_AT_OPENING)
}

function failureOf(error: unknown, lasting: Lasting): BackhaulError {
  if (error instanceof BackhaulError) return error
  const causes = causesOf(error)
  const innermost = causes.at(-1)
  const said = innermost instanceof Error ? innermost.message : String(innermost)
  const detail = { received: said, cause: error }
  if (causes.some(isCredentialsError))
    return speedErrors.create('SPEED_CREDENTIALS_REFUSED', detail)
  if (causes.some(isTlsFailure)) return speedErrors.create('SPEED_SECURITY_MISMATCH', detail)
  if (innermost instanceof errors.ArgumentError && said.includes('localDataCenter'))
    return configErrors.create('CONFIG_INVALID', {
      expected: 'CASSANDRA_LOCAL_DATA_CENTER to name a data center of the cluster',
      ...detail,
    })
  const code = responseCode(innermost)
  return speedErrors.create((code && lasting[code]) || 'SPEED_UNAVAILABLE', detail)
}

/** A word for metrics: what a statement failed with. */
export function failureReason(error: unknown): string {
  const innermost = causesOf(error).at(-1)
  const code = responseCode(innermost)
  if (code !== undefined) return CODE_NAMES.get(code) ?? `code ${code}`
  if (innermost instanceof errors.OperationTimedOutError) return 'unanswered'
  return error instanceof errors.NoHostAvailableError ? 'noHost' : 'connection'
}

function responseCode(error: unknown): number | undefined {
  return error instanceof errors.ResponseError ? error.code : undefined
}

/** The error and what caused it, outermost first; of several nodes' errors, the first. */
function causesOf(error: unknown): readonly unknown[] {
  const causes: unknown[] = []
  for (let cause = error; cause !== undefined && cause !== null; cause = nestedIn(cause)) {
    if (causes.includes(cause)) break
    causes.push(cause)
  }
  return causes
}

function nestedIn(error: unknown): unknown {
  if (error instanceof errors.NoHostAvailableError) {
    const inner = Object.values((error.innerErrors ?? {}) as Record<string, unknown>)
    return inner.find((found) => found instanceof Error)
  }
  return error instanceof Error ? error.cause : undefined
}

function isCredentialsError(error: unknown): boolean {
  return error instanceof errors.AuthenticationError || responseCode(error) === CODES.badCredentials
}
