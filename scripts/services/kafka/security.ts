/** Credentials and TLS of the brokers' secured listeners. */
import { STORE_PASSWORD } from '../key-store.ts'

export interface KafkaSecurity {
  /** Names and passwords, for PLAIN and both SCRAM mechanisms alike. */
  readonly users: Readonly<Record<string, string>>
}

const SCRAM_MODULE = 'org.apache.kafka.common.security.scram.ScramLoginModule required;'
const PLAIN_MODULE = 'org.apache.kafka.common.security.plain.PlainLoginModule required'

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
