import { describe, expect, it } from 'vitest'
import { DEFAULT_FOLD_LIMITS } from '../shared/qoe/fold.ts'
import { environmentName } from '../shared/runtime/config.ts'
import { foldLimitsOf, processorConfig } from './config.ts'
import { configOf } from './testing/test-doubles.ts'

describe('the processor’s settings', () => {
  it('default to the limits of the metrics’ definition', () => {
    expect(foldLimitsOf(configOf())).toEqual(DEFAULT_FOLD_LIMITS)
  })

  it('cover every value-changing limit', () => {
    const fields = Object.keys(DEFAULT_FOLD_LIMITS)
    expect(fields.filter((field) => !(field in processorConfig.table))).toEqual([])
  })

  it.each([
    [
      'PROCESSOR_ALLOWED_LATENESS_MS',
      '1804999',
      'PROCESSOR_SESSION_TIMEOUT_MS + PROCESSOR_REORDER_MS = 1805000',
    ],
    [
      'PROCESSOR_SESSION_TIMEOUT_MS',
      '3600000',
      'PROCESSOR_SESSION_TIMEOUT_MS + PROCESSOR_REORDER_MS = 3605000',
    ],
    ['PROCESSOR_MAX_AGE_MS', '3600000', 'PROCESSOR_ALLOWED_LATENESS_MS + 1 = 3600001'],
    ['PROCESSOR_RETRY_DELAY_MAX_MS', '99', 'PROCESSOR_RETRY_DELAY_MS = 100'],
    ['PROCESSOR_WIDE_FLUSH_MS', '999', 'PROCESSOR_NARROW_FLUSH_MS = 1000'],
    ['PROCESSOR_OUTPUTS_PENDING_MAX', '499', 'PROCESSOR_OUTPUTS_PER_APPEND_MAX = 500'],
  ])('refuse %s=%s and name both settings and values', (name, value, relation) => {
    expect(() => configOf({ [name]: value })).toThrow(relation)
    expect(() => configOf({ [name]: value })).toThrow('CONFIG_CONFLICT')
  })

  it('accept relations that just hold', () => {
    const config = configOf({
      PROCESSOR_ALLOWED_LATENESS_MS: '1805000',
      PROCESSOR_MAX_AGE_MS: '1805001',
    })
    expect(config.allowedLatenessMs).toBe(config.sessionTimeoutMs + config.reorderMs)
  })

  it('refuse every number outside its range, at both ends', () => {
    for (const [field, { expected }] of Object.entries(processorConfig.table)) {
      const range = /from (\d+) to (\d+)/.exec(expected)
      if (range === null) continue
      const name = environmentName('PROCESSOR', field)
      for (const outside of [Number(range[1]) - 1, Number(range[2]) + 1])
        expect(() => configOf({ [name]: String(outside) })).toThrow(`expected ${name} to be`)
    }
  })

  it('refuse a group name that stores could not keep', () => {
    expect(() => configOf({ PROCESSOR_GROUP: 'a/b' })).toThrow('CONFIG_INVALID')
  })
})
