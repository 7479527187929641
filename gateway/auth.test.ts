import { expect, test } from 'vitest'
import { IngestKeys } from './auth.ts'
import { INGEST_KEY_MAX_CHARS } from './limits.ts'

const keys = (options: { required: boolean; keys?: string[]; offKeys?: string[] }) =>
  new IngestKeys({ keys: [], offKeys: [], ...options })

test('with authentication only configured keys are open', () => {
  const guarded = keys({ required: true, keys: ['a', 'b'] })
  expect(guarded.refusal('a')).toBeUndefined()
  expect(guarded.refusal('b')).toBeUndefined()
  expect(guarded.refusal('c')).toBe('GATEWAY_INGEST_KEY_UNKNOWN')
  expect(guarded.refusal('')).toBe('GATEWAY_INGEST_KEY_REQUIRED')
  expect(keys({ required: true }).refusal('a')).toBe('GATEWAY_INGEST_KEY_UNKNOWN')
})

test('without authentication plain targets are open, and any key where none is configured', () => {
  expect(keys({ required: false }).refusal('')).toBeUndefined()
  expect(keys({ required: false }).refusal('anything')).toBeUndefined()
  expect(keys({ required: false, keys: ['a'] }).refusal('b')).toBe('GATEWAY_INGEST_KEY_UNKNOWN')
  expect(keys({ required: false, keys: ['a'] }).refusal('')).toBeUndefined()
})

test('a target that is switched off is gone, known or not; `default` is the plain one', () => {
  const some = keys({ required: false, keys: ['a', 'old'], offKeys: ['old', 'default'] })
  expect(some.refusal('old')).toBe('GATEWAY_TARGET_OFF')
  expect(some.refusal('')).toBe('GATEWAY_TARGET_OFF')
  expect(some.refusal('a')).toBeUndefined()
})

test('a key of absurd length is unknown', () => {
  const longest = 'k'.repeat(INGEST_KEY_MAX_CHARS)
  const some = keys({ required: true, keys: [longest, `${longest}k`] })
  expect(some.refusal(longest)).toBeUndefined()
  expect(some.refusal(`${longest}k`)).toBe('GATEWAY_INGEST_KEY_UNKNOWN')
})
