/**
 * The public keys of an issuer, read from its JWKS endpoint. Keys once known stay in force while
 * the endpoint is down; an unknown key id asks for the set again, at most once per cooldown.
 */
import {
  createLocalJWKSet,
  errors,
  type FlattenedJWSInput,
  type JSONWebKeySet,
  type JWSHeaderParameters,
} from 'jose'
import { z } from 'zod'
import type { Clock } from '../runtime/clock.ts'
import { authErrors } from './auth-errors.ts'
import {
  KEY_SET_COOLDOWN_MS,
  KEY_SET_KEYS_MAX,
  KEY_SET_MAX_AGE_MS,
  KEY_SET_MAX_BYTES,
  KEY_SET_RETRY_MS,
  KEY_SET_TIMEOUT_MS,
} from './limits.ts'

export interface RemoteKeySetOptions {
  readonly url: URL
  readonly clock: Clock
  /** Called when a read brought other keys than before: what they verified may no longer hold. */
  readonly onChange: () => void
}

interface KnownKeys {
  /** The set's text, to notice a change. */
  readonly text: string
  readonly find: ReturnType<typeof createLocalJWKSet>
}

export class RemoteKeySet {
  readonly #url: URL
  readonly #clock: Clock
  readonly #onChange: () => void
  #known: KnownKeys | undefined
  #knownAtMs = Number.NEGATIVE_INFINITY
  #attemptedAtMs = Number.NEGATIVE_INFINITY
  #reading: Promise<void> | undefined
  #failure: unknown

  constructor({ url, clock, onChange }: RemoteKeySetOptions) {
    this.#url = url
    this.#clock = clock
    this.#onChange = onChange
  }

  /**
   * The key that signed `token`. Throws `AUTH_KEYS_UNAVAILABLE` while no set was ever read, and
   * jose's `JWKSNoMatchingKey` when the set does not hold the key.
   */
  async find(header: JWSHeaderParameters, token: FlattenedJWSInput) {
    if (this.#known === undefined) await this.#read(KEY_SET_RETRY_MS)
    const known = this.#known
    if (known === undefined)
      throw authErrors.create('AUTH_KEYS_UNAVAILABLE', { cause: this.#failure })
    if (this.#clock.monotonicMs() - this.#knownAtMs >= KEY_SET_MAX_AGE_MS)
      void this.#read(KEY_SET_COOLDOWN_MS)
    try {
      return await known.find(header, token)
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
      await this.#read(KEY_SET_COOLDOWN_MS)
      const fresh = this.#known
      if (fresh === undefined || fresh === known) throw error
      return await fresh.find(header, token)
    }
  }

  /** Reads the set unless the last attempt is too recent; joins a read under way. Never rejects. */
  #read(cooldownMs: number): Promise<void> {
    if (this.#reading !== undefined) return this.#reading
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - this.#attemptedAtMs < cooldownMs) return Promise.resolve()
    this.#attemptedAtMs = nowMs
    this.#reading = this.#fetchKeys()
      .then(
        (text) => this.#adopt(text),
        (error: unknown) => {
          this.#failure = error
        },
      )
      .finally(() => {
        this.#reading = undefined
      })
    return this.#reading
  }

  #adopt(text: string): void {
    this.#knownAtMs = this.#clock.monotonicMs()
    if (this.#known?.text === text) return
    try {
      const set = keySetSchema.parse(JSON.parse(text)) as JSONWebKeySet
      this.#known = { text, find: createLocalJWKSet(set) }
    } catch (error) {
      this.#failure = error
      return
    }
    this.#onChange()
  }

  async #fetchKeys(): Promise<string> {
    const abort = new AbortController()
    const cancel = this.#clock.after(KEY_SET_TIMEOUT_MS, () => abort.abort())
    try {
      const response = await fetch(this.#url, {
        headers: { accept: 'application/jwk-set+json, application/json' },
        redirect: 'error',
        signal: abort.signal,
      })
      if (!response.ok) {
        await response.body?.cancel()
        throw new Error(`the key set answered ${response.status}`)
      }
      return await boundedText(response)
    } finally {
      cancel()
    }
  }
}

const keySetSchema = z.object({
  keys: z.array(z.looseObject({ kty: z.string() })).max(KEY_SET_KEYS_MAX),
})

async function boundedText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length
    if (bytes > KEY_SET_MAX_BYTES)
      throw new Error(`the key set is larger than ${KEY_SET_MAX_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
