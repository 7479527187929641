/** Addresses and certificates of services that settings name. */
import { readFileSync } from 'node:fs'
import { configErrors } from './config.ts'

const ADDRESS = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})$/
/** Codes of Node and OpenSSL by which a TLS handshake fails for good. */
const TLS_CODE =
  /^(ERR_SSL_|ERR_TLS_|EPROTO$|CERT_|SELF_SIGNED_|DEPTH_ZERO_|UNABLE_TO_(GET|VERIFY)_)/

/** Whether every one is `host:port`, by name or address. Throws `CONFIG_INVALID` naming the setting. */
export function checkAddresses(setting: string, addresses: readonly string[]): void {
  if (addresses.length > 0 && addresses.every(isAddress)) return
  throw configErrors.create('CONFIG_INVALID', {
    expected: `${setting} to be comma-separated host:port`,
    received: JSON.stringify(addresses.join(',')),
  })
}

function isAddress(text: string): boolean {
  const port = Number(ADDRESS.exec(text)?.[1])
  return port >= 1 && port <= 65_535
}

/** The certificates of the file that a setting names, in PEM; `undefined` for no file. */
export function readAuthorities(setting: string, path: string): string | undefined {
  if (path === '') return undefined
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw configErrors.create('CONFIG_INVALID', {
      expected: `${setting} to name a readable file`,
      received: path,
      cause,
    })
  }
}

/** Whether a connection failed because the two sides do not agree on TLS, which a repeat cannot mend. */
export function isTlsFailure(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' && TLS_CODE.test(code)
}
