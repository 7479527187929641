import { createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { BackhaulError } from '../runtime/errors.ts'
import { createPseudonymiser, parseKeyring } from './identity.ts'

const base64 = (byte: number, length = 32) => Buffer.alloc(length, byte).toString('base64')
const RING = `k2:${base64(2)},k1:${base64(1)}`

function problemOf(text: string): BackhaulError {
  try {
    parseKeyring(text)
  } catch (error) {
    if (error instanceof BackhaulError) return error
    throw error
  }
  throw new Error('accepted')
}

describe('parseKeyring', () => {
  it('reads ids and keys, newest first', () => {
    expect(parseKeyring(`${RING}, k-0:${base64(0, 16)}`)).toEqual([
      { keyId: 'k2', key: Buffer.alloc(32, 2) },
      { keyId: 'k1', key: Buffer.alloc(32, 1) },
      { keyId: 'k-0', key: Buffer.alloc(16) },
    ])
  })

  it.each([
    ['nothing', '', 'entry 1'],
    ['an id alone', 'k1', 'entry 1'],
    ['no id', `:${base64(1)}`, 'entry 1'],
    ['other than base64', 'k1:???', 'entry 1'],
    ['a key of 15 bytes', `k1:${base64(1, 15)}`, '15 in entry 1'],
    ['an empty entry', `${RING},`, 'entry 3'],
    ['an id twice', `k1:${base64(1)},k1:${base64(2)}`, 'a repeated id'],
    ['more than 16 keys', Array.from({ length: 17 }, (_, n) => `k${n}:${base64(n)}`).join(), '17'],
  ])('refuses %s', (_name, text, received) => {
    const { code, detail } = problemOf(text)
    expect(code).toBe('PSEUDONYM_KEYS_INVALID')
    expect(detail).toContain(`received ${received}`)
  })

  it('never shows a key', () => {
    const secret = base64(7, 15)
    expect(problemOf(`k1:${secret}`).message).not.toContain(secret)
    expect(problemOf(`k1=${secret}`).message).not.toContain(secret)
  })
})

describe('a pseudonym', () => {
  const pseudonymiser = createPseudonymiser(parseKeyring(RING))

  it('is the first 32 hex digits of HMAC-SHA-256 under the newest key', () => {
    const digest = createHmac('sha256', Buffer.alloc(32, 2)).update('zoë').digest('hex')
    expect(pseudonymiser.pseudonym('zoë')).toBe(digest.slice(0, 32))
  })

  it('is known under every key, newest first', () => {
    const older = createPseudonymiser(parseKeyring(`k1:${base64(1)}`))
    expect(pseudonymiser.all('ann')).toEqual([
      { keyId: 'k2', pseudonym: pseudonymiser.pseudonym('ann') },
      { keyId: 'k1', pseudonym: older.pseudonym('ann') },
    ])
  })
})
