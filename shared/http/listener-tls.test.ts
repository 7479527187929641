import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { BackhaulError } from '../runtime/errors.ts'
import { checkListenerTls, createListenerApp, type ListenerTls } from './listener-tls.ts'
import { selfSigned, writeSelfSigned } from './testing/self-signed.ts'

let folder: string
let files: ListenerTls
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'backhaul-tls-'))
  files = writeSelfSigned(folder, selfSigned())
})
afterAll(() => rmSync(folder, { recursive: true }))

function refusalOf(action: () => unknown): BackhaulError {
  try {
    action()
  } catch (error) {
    if (error instanceof BackhaulError) return error
    throw error
  }
  throw new Error('it was not refused')
}

test.each([
  [{ tlsCertificateFile: 'a.crt', tlsKeyFile: '' }, 'received no key'],
  [{ tlsCertificateFile: '', tlsKeyFile: 'a.key' }, 'received no certificate'],
])('a certificate and its key are given together: %j', (tls, received) => {
  const { code, message } = refusalOf(() => checkListenerTls('DEMO', tls))
  expect(code).toBe('CONFIG_CONFLICT')
  expect(message).toContain('DEMO_TLS_CERTIFICATE_FILE and DEMO_TLS_KEY_FILE together')
  expect(message).toContain(received)
})

test('files that are absent, of one another or no PEM are refused by name, and nothing of a key is told', () => {
  const other = selfSigned()
  const otherKeyPath = join(folder, 'other.key')
  writeFileSync(otherKeyPath, other.key)
  const textPath = join(folder, 'text')
  writeFileSync(textPath, 'no certificate')
  const changes: readonly (readonly [Partial<ListenerTls>, string])[] = [
    [{ tlsKeyFile: join(folder, 'absent') }, 'ENOENT'],
    [{ tlsKeyFile: otherKeyPath }, 'ERR_OSSL_X509_KEY_VALUES_MISMATCH'],
    [{ tlsCertificateFile: textPath }, 'ERR_OSSL_PEM_NO_START_LINE'],
  ]
  for (const [change, received] of changes) {
    const { code, message } = refusalOf(() => createListenerApp('DEMO', { ...files, ...change }))
    expect(code).toBe('CONFIG_INVALID')
    expect(message).toContain('DEMO_TLS_KEY_FILE')
    expect(message).toContain(received)
    expect(message).not.toContain(other.key.split('\n')[1])
  }
})
