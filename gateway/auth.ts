/** Who may send: tokens of connections and requests, ingest keys of players without headers. */
import { createHash, timingSafeEqual } from 'node:crypto'
import {
  bearerFromAuthorization,
  bearerFromSubprotocols,
  isLoopback,
  type Principal,
  type TokenVerifier,
} from '../shared/auth/token-verifier.ts'
import { BackhaulError } from '../shared/runtime/errors.ts'
import { gatewayErrors, type GatewayErrorCode } from './errors.ts'
import { INGEST_KEY_MAX_CHARS } from './limits.ts'
import type { GatewayTelemetry } from './telemetry.ts'

/** Throws `GATEWAY_AUTH_REQUIRED` where an open gateway could be reached from other machines. */
export function assertAuthenticated(host: string, verifier: TokenVerifier): void {
  if (verifier.required || isLoopback(host)) return
  throw gatewayErrors.create('GATEWAY_AUTH_REQUIRED', {
    expected: 'BACKHAUL_AUTH_MODE of hs256 or jwks',
    received: `none with GATEWAY_HOST=${host}`,
  })
}

/** Verifies the token of an upgrade or request; rejects with an error of `authErrors`. */
export function verifyWriter(
  verifier: TokenVerifier,
  headers: { readonly subprotocols: string; readonly authorization: string },
): Promise<Principal> {
  const token =
    bearerFromSubprotocols(headers.subprotocols) ?? bearerFromAuthorization(headers.authorization)
  return verifier.verify(token, 'write')
}

/** What to answer when `verifyWriter` rejects; an unexpected failure is logged. */
export function asTokenError(error: unknown, telemetry: GatewayTelemetry): BackhaulError {
  if (error instanceof BackhaulError) return error
  telemetry.defectMet(error)
  return gatewayErrors.create('GATEWAY_INTERNAL')
}

/** The part of `/cmcd/{ingestKey}` that stands for plain `/cmcd` in GATEWAY_CMCD_OFF_KEYS. */
const PLAIN_TARGET = 'default'

export interface IngestKeysOptions {
  readonly keys: readonly string[]
  readonly offKeys: readonly string[]
  /** Without it plain `/cmcd` is open, and so is any key where none is configured. */
  readonly required: boolean
}

/** Ingest keys, kept and compared as hashes so that the time taken tells nothing about them. */
export class IngestKeys {
  readonly #required: boolean
  readonly #keys: readonly Buffer[]
  readonly #offKeys: readonly Buffer[]

  constructor(options: IngestKeysOptions) {
    this.#required = options.required
    this.#keys = options.keys.map(hashOf)
    this.#offKeys = options.offKeys.map(hashOf)
  }

  /** Why the target is closed to its caller; `undefined` when it is open. Empty: plain `/cmcd`. */
  refusal(ingestKey: string): GatewayErrorCode | undefined {
    if (ingestKey.length > INGEST_KEY_MAX_CHARS) return 'GATEWAY_INGEST_KEY_UNKNOWN'
    const hash = hashOf(ingestKey === '' ? PLAIN_TARGET : ingestKey)
    if (holds(this.#offKeys, hash)) return 'GATEWAY_TARGET_OFF'
    if (ingestKey === '') return this.#required ? 'GATEWAY_INGEST_KEY_REQUIRED' : undefined
    if (!this.#required && this.#keys.length === 0) return undefined
    return holds(this.#keys, hash) ? undefined : 'GATEWAY_INGEST_KEY_UNKNOWN'
  }
}

function hashOf(key: string): Buffer {
  return createHash('sha256').update(key).digest()
}

function holds(hashes: readonly Buffer[], wanted: Buffer): boolean {
  let found = false
  for (const hash of hashes) found = timingSafeEqual(hash, wanted) || found
  return found
}
