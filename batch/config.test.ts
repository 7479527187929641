import { expect, test } from 'vitest'
import { readConfig } from '../shared/runtime/config.ts'
import { batchConfig } from './config.ts'

test('a raw file may not be larger than what a run takes', () => {
  const read = () =>
    readConfig(batchConfig, { BATCH_RUN_BYTES_MAX: '4096', BATCH_RAW_FILE_BYTES: '8192' }, () => '')
  expect(read).toThrow('CONFIG_CONFLICT')
  expect(read).toThrow('BATCH_RAW_FILE_BYTES of at most BATCH_RUN_BYTES_MAX = 4096')
})
