import { expect, test } from 'vitest'
import { settingsOfFlags } from './arguments.ts'

test.each([
  ['30s', '30000'],
  ['1m', '60000'],
  ['6h', '21600000'],
  ['1d', '86400000'],
  ['0', '0'],
])('--batch-every %s stands for the setting', (text, everyMs) => {
  expect(settingsOfFlags(['--batch-every', text])).toEqual({ BATCH_EVERY_MS: everyMs })
  expect(settingsOfFlags([`--batch-every=${text}`])).toEqual({ BATCH_EVERY_MS: everyMs })
})

test('no flag stands for nothing, and help for help', () => {
  expect(settingsOfFlags([])).toEqual({})
  expect(settingsOfFlags(['--help'])).toBeUndefined()
})

test.each([
  [['--batch-evry', '1m']],
  [['--batch-every']],
  [['--batch-every', '1']],
  [['--batch-every', '1.5m']],
  [['--batch-every', '-1m']],
  [['now']],
])('%j is refused, naming what came', (args) => {
  expect(() => settingsOfFlags(args)).toThrow(/STANDALONE_FLAG_INVALID.*received/)
})
