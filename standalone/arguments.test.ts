import { expect, test } from 'vitest'
import { readConfig } from '../shared/runtime/config.ts'
import { settingsOfFlags } from './arguments.ts'
import { scheduleConfig } from './config.ts'

test('the batch runs every six hours unless a flag or setting says otherwise', () => {
  const everyMsOf = (args: readonly string[]) =>
    readConfig(scheduleConfig, settingsOfFlags(args) ?? {}, () => '').everyMs
  expect(everyMsOf([])).toBe(6 * 60 * 60_000)
  expect(everyMsOf(['--batch-every', '1m'])).toBe(60_000)
})

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
