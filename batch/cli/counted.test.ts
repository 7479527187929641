import { expect, test } from 'vitest'
import { counted } from './counted.ts'

test('one of something has no plural', () => {
  expect([0, 1, 2].map((count) => counted(count, 'day'))).toEqual(['0 days', '1 day', '2 days'])
})
