/** Secrets that are recognised wherever they turn up: each is a text that occurs nowhere else. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { speedStoreConfig } from '../../processor/config.ts'
import { servingStoresConfig } from '../../serving/config.ts'
import { eventLogConfig } from '../../shared/log/event-log-config.ts'
import { kafkaConfig } from '../../shared/log/kafka-config.ts'
import { gcsConfig, objectStoreConfig } from '../../shared/objects/gcs-config.ts'
import { environmentName, type ConfigSpec } from '../../shared/runtime/config.ts'
import { cassandraConfig } from '../../shared/speed/cassandra-config.ts'
import { bigQueryConfig, warehouseConfig } from '../../shared/warehouse/bigquery-config.ts'
import { standaloneConfigs } from '../start.ts'

const base64 = (text: string) => Buffer.from(text).toString('base64')

/** What each secret setting holds. A new one has to be added, or a test of `secrets.process.test.ts` fails. */
export const SECRETS: Readonly<Record<string, string>> = {
  BACKHAUL_AUTH_SECRET: 'canary-auth-secret-of-thirty-two-characters',
  BACKHAUL_AUTH_INGEST_KEYS: 'canary-ingest-key',
  BACKHAUL_PSEUDONYM_KEYS: `new:${base64('canary-pseudonym-key-of-32-bytes')}`,
  BACKHAUL_SEAL_KEY: base64('canary-sealing-key-with-32-bytes'),
  PROCESSOR_ALERTS_WEBHOOK_URL: 'http://127.0.0.1:1/canary-hook',
  PROCESSOR_ALERTS_WEBHOOK_SECRET: 'canary-hook-secret',
  KAFKA_SASL_PASSWORD: 'canary-kafka-password',
  CASSANDRA_PASSWORD: 'canary-cassandra-password',
}
/** The word in every text above, and the keys as they are written. */
const CANARIES = [
  'canary',
  base64('canary-pseudonym-key-of-32-bytes'),
  base64('canary-sealing-key-with-32-bytes'),
  Buffer.from('canary').toString('hex'),
]
export const ALL_SPECS: readonly ConfigSpec[] = [
  ...standaloneConfigs,
  speedStoreConfig,
  servingStoresConfig,
  kafkaConfig,
  cassandraConfig,
  objectStoreConfig,
  gcsConfig,
  eventLogConfig,
  warehouseConfig,
  bigQueryConfig,
]
export const SECRET_NAMES = ALL_SPECS.flatMap(({ prefix, table }) =>
  Object.entries(table).flatMap(([field, { secret }]) =>
    secret === true ? [environmentName(prefix, field)] : [],
  ),
)

/** Parts of texts that must be nowhere, as a failure names them. */
export function leaksIn(texts: readonly string[], more: readonly string[] = []): string[] {
  return texts.flatMap((text) =>
    [...CANARIES, ...more].flatMap((canary) => {
      const at = text.toLowerCase().indexOf(canary.toLowerCase())
      return at === -1 ? [] : [text.slice(Math.max(0, at - 200), at + 100)]
    }),
  )
}

/** Every secret as a file of `folder`, and the setting that names it. */
export function secretFiles(folder: string, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    names.map((name) => {
      const path = join(folder, name)
      writeFileSync(path, `${SECRETS[name]}\n`)
      return [`${name}_FILE`, path]
    }),
  )
}
