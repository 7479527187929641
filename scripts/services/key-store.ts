/** The certificate of services that are reached over TLS. */
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { runTool } from './artefacts.ts'

export const STORE_PASSWORD = 'backhaul'
const KEY_NAME = 'service'

export interface KeyStore {
  /** In PEM. */
  readonly certificate: string
  /** A PKCS12 file with the key, under `STORE_PASSWORD`. */
  readonly storePath: string
}

/** A self-signed certificate of the loopback address, in a key store. */
export function writeKeyStore(folder: string): KeyStore {
  mkdirSync(folder, { recursive: true })
  const storePath = join(folder, 'service.p12')
  const store = ['-keystore', storePath, '-storetype', 'PKCS12', '-storepass', STORE_PASSWORD]
  const key = ['-alias', KEY_NAME, '-keyalg', 'EC', '-validity', '3650', '-dname', 'CN=localhost']
  if (!existsSync(storePath))
    runTool('keytool', ['-genkeypair', ...store, ...key, '-ext', 'SAN=ip:127.0.0.1,dns:localhost'])
  const certificate = runTool('keytool', ['-exportcert', '-rfc', ...store, '-alias', KEY_NAME])
  return { certificate, storePath }
}
