import { expect, test } from 'vitest'
import { assert, BackhaulError, defineErrors, describeValue } from './errors.ts'

const errors = defineErrors({
  DEMO_TOO_LARGE: { rule: 'a thing must be small', retryable: false, action: 'Shrink it.' },
})

test('a message is code, rule, expected and received', () => {
  const cause = new Error('why')
  const error = errors.create('DEMO_TOO_LARGE', { expected: '≤ 3', received: '4', cause })
  expect(error).toBeInstanceOf(BackhaulError)
  expect(error.message).toBe('DEMO_TOO_LARGE: a thing must be small; expected ≤ 3, received 4')
  expect(error.cause).toBe(cause)
  expect(errors.create('DEMO_TOO_LARGE').message).toBe('DEMO_TOO_LARGE: a thing must be small')
})

test('described values are short and never fail', () => {
  expect(describeValue('x'.repeat(200))).toHaveLength(81)
  expect(describeValue(10n)).toBe('10')
  expect(describeValue(undefined)).toBe('undefined')
})

test('a broken assertion throws', () => {
  expect(() => assert(false, 'a is b')).toThrow('assertion failed: a is b')
})
