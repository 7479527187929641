/** Settings that several services share; the prefix is `BACKHAUL`. */
import { parseKeyring } from '../events/identity.ts'
import { topicSpecs } from '../log/topics.ts'
import { DEFAULT_CUT_IDS, parseCut } from '../qoe/cuts.ts'
import { configErrors, defineConfig, setting, type ValuesOf } from './config.ts'
import { BackhaulError } from './errors.ts'

const DAY_MS = 24 * 60 * 60_000
/** Base64, plain or for URLs, of 32 bytes; or nothing. */
const SEAL_KEY = /^([A-Za-z0-9+/_-]{43}=?)?$/

export const backhaulConfig = defineConfig({
  prefix: 'BACKHAUL',
  table: {
    dataDir: setting.text({
      default: './data',
      doc: 'Folder of the embedded stores. One server at a time holds it.',
    }),
    logLevel: setting.choice({
      default: 'info',
      choices: ['debug', 'info', 'warn', 'error', 'silent'],
      doc: 'Least severe level that is logged (JSON lines on standard error).',
    }),
    partitions: setting.integer({
      default: 4,
      min: 1,
      max: 1_000,
      unit: 'partitions',
      doc: 'Partitions of `playback.events`; fixed when the topic is created. On Kafka in production some 200: one is as much as one processor can be given.',
    }),
    logRetentionMs: setting.integer({
      default: 7 * DAY_MS,
      min: 60_000,
      max: 366 * DAY_MS,
      unit: 'ms',
      doc: 'How long the log keeps records; on Kafka, `retention.ms` of the topics that are created here.',
    }),
    logRetentionBytes: setting.integer({
      default: 2 * 2 ** 30,
      min: 2 ** 20,
      max: 2 ** 46,
      unit: 'bytes per partition',
      doc: 'How much a partition of each topic of the embedded log keeps (Kafka keeps by time alone); all of them together must fit `BACKHAUL_LOG_MAP_BYTES`.',
    }),
    logMapBytes: setting.integer({
      default: 64 * 2 ** 30,
      min: 2 ** 22,
      max: 2 ** 46,
      unit: 'bytes',
      doc: 'Largest size of the embedded log. When it is full, nothing is acknowledged.',
    }),
    speedMapBytes: setting.integer({
      default: 16 * 2 ** 30,
      min: 2 ** 22,
      max: 2 ** 46,
      unit: 'bytes',
      doc: 'Largest size of the embedded speed store. When it is full, rows wait and the processor falls behind.',
    }),
    cuts: setting.list({
      default: DEFAULT_CUT_IDS,
      doc: 'Cuts by which minutes are kept: `total` or dimensions joined by `+`.',
      expected: 'comma-separated cuts such as total,cdn,cdn+content',
    }),
    authMode: setting.choice({
      default: 'none',
      choices: ['none', 'hs256', 'jwks'],
      doc: 'How tokens are verified. `none` is allowed on loopback addresses only.',
    }),
    authSecret: setting.text({
      default: '',
      secret: true,
      doc: 'Shared secret of `hs256`, at least 32 characters.',
    }),
    authJwksUrl: setting.text({ default: '', doc: 'Key set of `jwks`, an http or https URL.' }),
    authIssuer: setting.text({
      default: '',
      doc: 'Required `iss` of a token; empty: not checked.',
    }),
    authAudience: setting.text({
      default: '',
      doc: 'Required `aud` of a token; empty: not checked.',
    }),
    authIngestKeys: setting.list({
      default: [],
      secret: true,
      doc: 'Keys accepted in `/cmcd/{ingestKey}` where players cannot send a header.',
    }),
    pseudonymKeys: setting.text({
      default: '',
      secret: true,
      doc: 'Keyring for viewer pseudonyms, newest first: `id:base64,id:base64`. Empty: one is made and kept in the data folder.',
    }),
    sealKey: setting.text({
      default: '',
      secret: true,
      pattern: SEAL_KEY,
      expected: 'base64 of 32 bytes',
      doc: 'AES-256 key that seals rejected bytes. Empty: one is made and kept in the data folder.',
    }),
    contentSource: setting.choice({
      default: 'topic',
      choices: ['topic', 'file', 'none'],
      doc: 'Where content metadata comes from (docs/content.md): `playback.content`, `BACKHAUL_CONTENT_FILE`, or nowhere.',
    }),
    contentFile: setting.text({
      default: '',
      doc: 'File of content metadata, lines of JSON, with `BACKHAUL_CONTENT_SOURCE=file`.',
    }),
    contentRefreshMs: setting.integer({
      default: 5_000,
      min: 100,
      max: 3_600_000,
      unit: 'ms',
      doc: 'How often the API looks for new content metadata; the batch does once a run.',
    }),
  },
  check(values) {
    checkCuts(values.cuts)
    if (values.contentSource === 'file' && values.contentFile === '')
      throw configErrors.create('CONFIG_CONFLICT', {
        expected: 'BACKHAUL_CONTENT_FILE with BACKHAUL_CONTENT_SOURCE=file',
        received: 'none',
      })
    checkKeyring(values.pseudonymKeys)
    if (values.authJwksUrl !== '' && !isHttpUrl(values.authJwksUrl))
      throw configErrors.create('CONFIG_INVALID', {
        expected: 'BACKHAUL_AUTH_JWKS_URL to be an http or https URL without credentials',
        // It may hold some.
        received: 'a value that is not shown',
      })
    if (values.authMode === 'hs256' && values.authSecret.length < 32)
      throw configErrors.create('CONFIG_CONFLICT', {
        expected: 'BACKHAUL_AUTH_SECRET of at least 32 characters with BACKHAUL_AUTH_MODE=hs256',
        received: `${values.authSecret.length} characters`,
      })
    if (values.authMode === 'jwks' && values.authJwksUrl === '')
      throw configErrors.create('CONFIG_CONFLICT', {
        expected: 'BACKHAUL_AUTH_JWKS_URL with BACKHAUL_AUTH_MODE=jwks',
        received: 'none',
      })
  },
})

export type BackhaulConfig = ValuesOf<typeof backhaulConfig.table>

function checkCuts(cuts: readonly string[]): void {
  for (const id of cuts) {
    try {
      parseCut(id)
    } catch (cause) {
      throw configErrors.create('CONFIG_INVALID', {
        expected: `BACKHAUL_CUTS to hold ${(cause as Error).message}`,
        received: JSON.stringify(id),
      })
    }
  }
}

/**
 * For a server on the embedded log: what the retention lets stay must fit the log, or it is full
 * before the retention is reached. Throws `CONFIG_CONFLICT`.
 */
export function checkEmbeddedLogBudget(
  values: Pick<
    BackhaulConfig,
    'partitions' | 'logRetentionMs' | 'logRetentionBytes' | 'logMapBytes'
  >,
): void {
  const { partitions, logRetentionBytes, logMapBytes } = values
  const specs = topicSpecs(values)
  const topics = specs.length
  const keptBytes = specs.reduce((sum, { retentionBytes }) => sum + retentionBytes * partitions, 0)
  if (keptBytes <= logMapBytes) return
  throw configErrors.create('CONFIG_CONFLICT', {
    expected: `BACKHAUL_LOG_RETENTION_BYTES (${logRetentionBytes}) × BACKHAUL_PARTITIONS (${partitions}) × ${topics} topics within BACKHAUL_LOG_MAP_BYTES (${logMapBytes})`,
    received: `${keptBytes} bytes`,
  })
}

function checkKeyring(text: string): void {
  if (text === '') return
  try {
    parseKeyring(text)
  } catch (cause) {
    // The keyring's own error says which entry is wrong and never shows a key.
    const detail = cause instanceof BackhaulError ? cause.detail : 'a keyring'
    throw configErrors.create('CONFIG_INVALID', {
      expected: `BACKHAUL_PSEUDONYM_KEYS to be \`id:base64,id:base64\` (${detail})`,
      received: 'a value that is not shown',
      cause,
    })
  }
}

/** A request is refused with credentials in its address, and the refusal would show them. */
function isHttpUrl(text: string): boolean {
  const url = URL.parse(text)
  return url !== null && /^https?:$/.test(url.protocol) && url.username + url.password === ''
}
