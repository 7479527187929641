import { expect, test } from 'vitest'
import { defineErrors } from './errors.ts'
import { loggedError } from './telemetry.ts'

const { create } = defineErrors({
  DEMO_FAILED: { rule: 'a demo must work', retryable: true, action: 'Try again.' },
})

test('an error is logged with its plain values, and without the request that a library hangs on it', () => {
  const error = Object.assign(new Error('refused'), {
    code: 'ECONNREFUSED',
    config: { headers: { authorization: 'Bearer canary' } },
    errors: [Object.assign(new Error('one'), { token: 'canary' })],
  })
  const logged = loggedError(error)
  expect(logged).toMatchObject({ type: 'Error', message: 'refused', code: 'ECONNREFUSED' })
  expect(JSON.stringify(logged)).not.toContain('canary')
})

test('an error of ours keeps its code and what to do, its causes their messages alone', () => {
  const cause = Object.assign(new Error('socket closed'), { payload: { sub: 'canary' } })
  const logged = loggedError(create('DEMO_FAILED', { received: 'nothing', cause }))
  expect(logged).toMatchObject({
    code: 'DEMO_FAILED',
    received: 'nothing',
    spec: { action: 'Try again.' },
  })
  expect(JSON.stringify(logged)).toContain('socket closed')
  expect(JSON.stringify(logged)).not.toContain('canary')
})

test('what is no error is logged as it is', () => {
  expect(loggedError('why')).toBe('why')
})
