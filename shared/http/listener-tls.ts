/** TLS of a port that clients reach, for where nothing in front of it speaks TLS already. */
import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import { App, SSLApp, type TemplatedApp } from 'uWebSockets.js'
import { configErrors, environmentName, setting } from '../runtime/config.ts'
import { refuseAmbiguousLengths } from './ambiguous-length.ts'

/** Settings of every such port; the service's prefix makes their names. */
export const listenerTlsSettings = {
  tlsCertificateFile: setting.text({
    default: '',
    doc: 'File of the certificate that the port shows, its chain behind it, in PEM; then the port speaks TLS (1.2 or newer) and nothing else. Empty: plain, for what stands behind a load balancer that ends TLS. Read at start.',
  }),
  tlsKeyFile: setting.text({
    default: '',
    doc: 'File of its private key, in PEM, without a passphrase.',
  }),
} as const

export interface ListenerTls {
  readonly tlsCertificateFile: string
  readonly tlsKeyFile: string
}

/** Whether clients reach the port over TLS. */
export function isTlsListener({ tlsCertificateFile }: ListenerTls): boolean {
  return tlsCertificateFile !== ''
}

/** Both files or none. Throws `CONFIG_CONFLICT`. */
export function checkListenerTls(prefix: string, tls: ListenerTls): void {
  if ((tls.tlsCertificateFile === '') === (tls.tlsKeyFile === '')) return
  throw configErrors.create('CONFIG_CONFLICT', {
    expected: `${namesOf(prefix).join(' and ')} together`,
    received: tls.tlsKeyFile === '' ? 'no key' : 'no certificate',
  })
}

/** An app whose port speaks as the settings say. Throws `CONFIG_INVALID` for files that do not fit. */
export function createListenerApp(prefix: string, tls: ListenerTls): TemplatedApp {
  return refuseAmbiguousLengths(isTlsListener(tls) ? tlsApp(prefix, tls) : App())
}

function tlsApp(prefix: string, tls: ListenerTls): TemplatedApp {
  assertPair(prefix, tls)
  return SSLApp({ cert_file_name: tls.tlsCertificateFile, key_file_name: tls.tlsKeyFile })
}

/** The server would say of unusable files only that it could not be made. */
function assertPair(prefix: string, { tlsCertificateFile, tlsKeyFile }: ListenerTls): void {
  try {
    createSecureContext({ cert: readFileSync(tlsCertificateFile), key: readFileSync(tlsKeyFile) })
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'no reason'
    throw configErrors.create('CONFIG_INVALID', {
      expected: `${namesOf(prefix).join(' and ')} to be readable files of a certificate and its key, in PEM`,
      received: `${tlsCertificateFile} and ${tlsKeyFile}: ${code}`,
      cause,
    })
  }
}

function namesOf(prefix: string): string[] {
  return Object.keys(listenerTlsSettings).map((field) => environmentName(prefix, field))
}
