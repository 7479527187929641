/**
 * Viewer pseudonyms: the first 32 lower-case hex digits of HMAC-SHA-256(key, viewerId) under the
 * newest key of a keyring. Older keys stay in the ring so that an erasure finds what they named.
 */
import { createHmac } from 'node:crypto'
import { defineErrors } from '../runtime/errors.ts'
import { KEYRING_KEY_MIN_BYTES, KEYRING_KEYS_MAX } from './limits.ts'

export const identityErrors = defineErrors({
  PSEUDONYM_KEYS_INVALID: {
    rule: 'the keyring of viewer pseudonyms must be `id:base64,id:base64`, newest first',
    retryable: false,
    action: 'Correct BACKHAUL_PSEUDONYM_KEYS; keep older keys behind the new one.',
  },
})

export interface PseudonymKey {
  readonly keyId: string
  readonly key: Uint8Array
}

/** Newest first, never empty. */
export type Keyring = readonly [PseudonymKey, ...PseudonymKey[]]

export interface Pseudonymiser {
  /** The viewer's pseudonym under the newest key. */
  pseudonym(viewerId: string): string
  /** The viewer's pseudonym under every key, newest first. */
  all(viewerId: string): { keyId: string; pseudonym: string }[]
}

const PSEUDONYM_DIGITS = 32

export function createPseudonymiser(keyring: Keyring): Pseudonymiser {
  const [newest] = keyring
  return {
    pseudonym: (viewerId) => pseudonymUnder(newest.key, viewerId),
    all: (viewerId) =>
      keyring.map(({ keyId, key }) => ({ keyId, pseudonym: pseudonymUnder(key, viewerId) })),
  }
}

function pseudonymUnder(key: Uint8Array, viewerId: string): string {
  return createHmac('sha256', key).update(viewerId, 'utf8').digest('hex').slice(0, PSEUDONYM_DIGITS)
}

/** Reads `id:base64,id:base64`; throws `PSEUDONYM_KEYS_INVALID`, which never shows a key. */
export function parseKeyring(text: string): Keyring {
  const entries = text.split(',').map((entry) => entry.trim())
  if (entries.length > KEYRING_KEYS_MAX)
    throw invalid(`at most ${KEYRING_KEYS_MAX} keys`, `${entries.length}`)
  const [newest, ...older] = entries.map(parseEntry)
  if (newest === undefined) throw invalid('at least one key', 'none')
  const keyring: Keyring = [newest, ...older]
  const ids = new Set(keyring.map(({ keyId }) => keyId))
  if (ids.size < keyring.length) throw invalid('each key id once', 'a repeated id')
  return keyring
}

function parseEntry(entry: string, index: number): PseudonymKey {
  const [, keyId, base64] = /^([A-Za-z0-9_-]{1,32}):([A-Za-z0-9+/_-]+={0,2})$/.exec(entry) ?? []
  if (keyId === undefined || base64 === undefined)
    throw invalid(
      '`id:base64` entries, ids of 1 to 32 letters, digits, _ or -',
      `entry ${index + 1}`,
    )
  const key = Buffer.from(base64, 'base64')
  if (key.length < KEYRING_KEY_MIN_BYTES)
    throw invalid(
      `keys of at least ${KEYRING_KEY_MIN_BYTES} bytes`,
      `${key.length} in entry ${index + 1}`,
    )
  return { keyId, key }
}

function invalid(expected: string, received: string) {
  return identityErrors.create('PSEUDONYM_KEYS_INVALID', { expected, received })
}
