/** Credentials and TLS of the brokers' secured listeners. */
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { runTool } from '../artefacts.ts'

export interface KafkaSecurity {
  /** Names and passwords, for PLAIN and both SCRAM mechanisms alike. */
  readonly users: Readonly<Record<string, string>>
}

const STORE_PASSWORD = 'backhaul'
const KEY_NAME = 'broker'
const SCRAM_MODULE = 'org.apache.kafka.common.security.scram.ScramLoginModule required;'
const PLAIN_MODULE = 'org.apache.kafka.common.security.plain.PlainLoginModule required'

/** A self-signed certificate of the loopback address, in a key store. */
export function writeKeyStore(folder: string): {
  readonly certificate: string
  readonly storePath: string
} {
  mkdirSync(folder, { recursive: true })
  const storePath = join(folder, 'broker.p12')
  const store = ['-keystore', storePath, '-storetype', 'PKCS12', '-storepass', STORE_PASSWORD]
  const key = ['-alias', KEY_NAME, '-keyalg', 'EC', '-validity', '3650', '-dname', 'CN=localhost']
  if (!existsSync(storePath))
    runTool('keytool', ['-genkeypair', ...store, ...key, '-ext', 'SAN=ip:127.0.0.1,dns:localhost'])
  const certificate = runTool('keytool', ['-exportcert', '-rfc', ...store, '-alias', KEY_NAME])
  return { certificate, storePath }
}

/** What `server.properties` says about the listeners SASL_PLAINTEXT and SASL_SSL. */
export function saslProperties(
  security: KafkaSecurity | undefined,
  storePath: string | undefined,
): Readonly<Record<string, string>> {
  if (security === undefined || storePath === undefined) return {}
  const users = Object.entries(security.users).map(
    ([name, password]) => ` user_${name}="${password}"`,
  )
  const listeners = ['sasl_plaintext', 'sasl_ssl'].flatMap((listener) => [
    [`listener.name.${listener}.plain.sasl.jaas.config`, `${PLAIN_MODULE}${users.join('')};`],
    [`listener.name.${listener}.scram-sha-256.sasl.jaas.config`, SCRAM_MODULE],
    [`listener.name.${listener}.scram-sha-512.sasl.jaas.config`, SCRAM_MODULE],
  ])
  return {
    'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
    'ssl.keystore.location': storePath,
    'ssl.keystore.type': 'PKCS12',
    'ssl.keystore.password': STORE_PASSWORD,
    'ssl.key.password': STORE_PASSWORD,
    ...(Object.fromEntries(listeners) as Record<string, string>),
  }
}
