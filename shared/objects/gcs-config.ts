/** Settings of the object store, the same for every service that uses it. */
import { configErrors, defineConfig, setting, type ValuesOf } from '../runtime/config.ts'
import { describeValue } from '../runtime/errors.ts'

export const objectStoreConfig = defineConfig({
  prefix: 'OBJECT',
  table: {
    store: setting.choice({
      default: 'folder',
      choices: ['folder', 'gcs'],
      doc: 'Where checkpoints, raw files, manifests and leases are kept: in BACKHAUL_DATA_DIR, or in the bucket GCS_BUCKET.',
    }),
  },
})

export const gcsConfig = defineConfig({
  prefix: 'GCS',
  table: {
    bucket: setting.text({
      default: '',
      pattern: /^([a-z0-9][a-z0-9._-]{1,220}[a-z0-9])?$/,
      expected: 'the name of a bucket, without gs://',
      doc: 'Bucket of the objects. It must exist.',
    }),
    endpoint: setting.text({
      default: 'https://storage.googleapis.com',
      doc: 'Where the API is reached, such as a private endpoint.',
    }),
    credentials: setting.choice({
      default: 'default',
      choices: ['default', 'none'],
      doc: 'Whose credentials requests bear: the application default credentials of the process (workload identity, or the file GOOGLE_APPLICATION_CREDENTIALS), or none, for a server that asks for none.',
    }),
    requestTimeoutMs: setting.integer({
      default: 60_000,
      min: 100,
      max: 10 * 60_000,
      unit: 'ms',
      doc: 'A request that is not answered after this time has failed and is repeated. An object is sent by one request, so this bounds how slow an upload may be.',
    }),
  },
  check({ bucket, endpoint }) {
    if (bucket === '')
      throw configErrors.create('CONFIG_CONFLICT', {
        expected: 'GCS_BUCKET with OBJECT_STORE=gcs',
        received: 'none',
      })
    if (!URL.canParse(endpoint) || !/^https?:$/.test(new URL(endpoint).protocol))
      throw configErrors.create('CONFIG_INVALID', {
        expected: 'GCS_ENDPOINT to be an http or https URL',
        received: describeValue(endpoint),
      })
  },
})

export type GcsConfig = ValuesOf<typeof gcsConfig.table>
