/** Settings that several services share; the prefix is `BACKHAUL`. */
import { DEFAULT_CUT_IDS, parseCut } from '../qoe/cuts.ts'
import { configErrors, defineConfig, setting, type ValuesOf } from './config.ts'

const DAY_MS = 24 * 60 * 60_000

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
      doc: 'Partitions of `playback.events`; fixed when the topic is created.',
    }),
    logRetentionMs: setting.integer({
      default: 7 * DAY_MS,
      min: 60_000,
      max: 366 * DAY_MS,
      unit: 'ms',
      doc: 'How long the embedded log keeps records.',
    }),
    logRetentionBytes: setting.integer({
      default: 8 * 2 ** 30,
      min: 2 ** 20,
      max: 2 ** 46,
      unit: 'bytes per partition',
      doc: 'How much a partition of the embedded log keeps.',
    }),
    logMapBytes: setting.integer({
      default: 64 * 2 ** 30,
      min: 2 ** 22,
      max: 2 ** 46,
      unit: 'bytes',
      doc: 'Largest size of the embedded log. When it is full, nothing is acknowledged.',
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
    authJwksUrl: setting.text({ default: '', doc: 'Key set of `jwks`.' }),
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
      doc: 'AES-256 key (base64 of 32 bytes) that seals rejected bytes. Empty: one is made and kept in the data folder.',
    }),
  },
  check(values) {
    for (const id of values.cuts) {
      try {
        parseCut(id)
      } catch (cause) {
        throw configErrors.create('CONFIG_INVALID', {
          expected: `BACKHAUL_CUTS to hold ${(cause as Error).message}`,
          received: JSON.stringify(id),
        })
      }
    }
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
