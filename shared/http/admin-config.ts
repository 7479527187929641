/** Settings of a role's port for operators: where it listens, and TLS, each after the role's prefix. */
import { setting, type ValuesOf } from '../runtime/config.ts'
import { checkListenerTls, type ListenerTls } from './listener-tls.ts'

export type AdminConfig = ValuesOf<ReturnType<typeof adminSettings>>

/** `paths` says which paths it answers, and of which process. */
export function adminSettings({ port, paths }: { readonly port: number; readonly paths: string }) {
  return {
    adminHost: setting.text({
      default: '127.0.0.1',
      doc: 'Address of the port for operators, which needs no authentication: keep it away from the outside.',
    }),
    adminPort: setting.integer({ default: port, min: 0, max: 65_535, unit: 'port', doc: paths }),
    adminTlsCertificateFile: setting.text({
      default: '',
      doc: 'File of the certificate that the port for operators shows, its chain behind it, in PEM; then that port speaks TLS (1.2 or newer) and nothing else. Empty: plain. Read at start.',
    }),
    adminTlsKeyFile: setting.text({
      default: '',
      doc: 'File of its private key, in PEM, without a passphrase.',
    }),
  } as const
}

/** Both files or none, for a role such as `GATEWAY`. Throws `CONFIG_CONFLICT`. */
export function checkAdminTls(rolePrefix: string, config: AdminTlsFiles): void {
  checkListenerTls(...adminTls(rolePrefix, config))
}

/** Prefix and values of its TLS, as a listener takes them. */
export function adminTls(
  rolePrefix: string,
  { adminTlsCertificateFile, adminTlsKeyFile }: AdminTlsFiles,
): [prefix: string, tls: ListenerTls] {
  const tls = { tlsCertificateFile: adminTlsCertificateFile, tlsKeyFile: adminTlsKeyFile }
  return [`${rolePrefix}_ADMIN`, tls]
}

type AdminTlsFiles = Pick<AdminConfig, 'adminTlsCertificateFile' | 'adminTlsKeyFile'>
