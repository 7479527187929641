/** Settings of the object store, the same for every service that uses it. */
import {
  checkEndpoint,
  credentialsSetting,
  endpointSetting,
  requestTimeoutSetting,
} from '../cloud/cloud-settings.ts'
import { configErrors, defineConfig, setting, type ValuesOf } from '../runtime/config.ts'

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
    endpoint: endpointSetting('https://storage.googleapis.com'),
    credentials: credentialsSetting,
    requestTimeoutMs: requestTimeoutSetting(
      'An object is sent by one request, so this bounds how slow an upload may be.',
    ),
  },
  check({ bucket, endpoint }) {
    if (bucket === '')
      throw configErrors.create('CONFIG_CONFLICT', {
        expected: 'GCS_BUCKET with OBJECT_STORE=gcs',
        received: 'none',
      })
    checkEndpoint('GCS_ENDPOINT', endpoint)
  },
})

export type GcsConfig = ValuesOf<typeof gcsConfig.table>
