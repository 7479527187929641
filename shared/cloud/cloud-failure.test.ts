import { describe, expect, it } from 'vitest'
import { cloudFailureOf } from './cloud-failure.ts'

/** An error as the client library throws it for an answer. */
function answered(status: number, data: unknown): Error {
  return Object.assign(new Error(`Request failed with status code ${status}`), {
    status,
    response: { data },
  })
}

const body = (reason: string) => ({ error: { message: 'said so', errors: [{ reason }] } })

describe('a failed request to the cloud', () => {
  it.each([
    [401, 'authError', 'credentials'],
    [403, 'forbidden', 'permission'],
    [403, 'userRateLimitExceeded', 'passing'],
    [404, 'notFound', 'absent'],
    [412, 'conditionNotMet', 'precondition'],
    [400, 'invalid', 'refused'],
    [429, 'rateLimitExceeded', 'passing'],
    [503, 'backendError', 'passing'],
  ])('of %i %s is of its kind, and says what was answered', (status, reason, kind) => {
    const failure = cloudFailureOf(answered(status, body(reason)))
    const said = `${status} said so`
    expect(failure).toEqual({ status, kind, apiReasons: [reason], said, reason: `${status}` })
    const bytes = new Uint8Array(Buffer.from(JSON.stringify(body(reason)))).buffer
    expect(cloudFailureOf(answered(status, bytes))).toEqual(failure)
  })

  it.each(['<html>502</html>', undefined, new ArrayBuffer(3)])(
    'is understood when something else than the API answers (%o)',
    (data) => {
      expect(cloudFailureOf(answered(502, data))).toMatchObject({ kind: 'passing', reason: '502' })
    },
  )

  it.each([
    new Error('Could not load the default credentials. Browse to …'),
    new Error('invalid_grant: Invalid JWT: Token must be a short-lived token'),
    Object.assign(new Error('invalid_grant'), { status: 400 }),
  ])('without valid credentials is no failure of the API (%s)', (error) => {
    expect(cloudFailureOf(error).kind).toBe('credentials')
  })

  it('without an answer may pass', () => {
    const reset = Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' })
    expect(cloudFailureOf(reset)).toMatchObject({ kind: 'passing', reason: 'connection' })
    const late = Object.assign(new Error('aborted due to timeout'), { code: 'TimeoutError' })
    expect(cloudFailureOf(late)).toMatchObject({ kind: 'passing', reason: 'unanswered' })
  })
})
