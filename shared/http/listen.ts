import {
  us_listen_socket_close,
  us_socket_local_port,
  type TemplatedApp,
  type us_listen_socket,
} from 'uWebSockets.js'

export interface Listening {
  readonly port: number
  /** Stops accepting; open connections stay. */
  close(): void
}

/** LIBUS_LISTEN_EXCLUSIVE_PORT, which the package's types do not export. */
const EXCLUSIVE_PORT = 1

/** The overload with host and options is there at run time but not in the package's types. */
interface ExclusiveListener {
  listen(
    host: string,
    port: number,
    options: number,
    listening: (socket: us_listen_socket | false) => void,
  ): void
}

/**
 * Listens on `host:port` (port 0: any free one) so that no second process can share the port: by
 * default two servers would silently split the connections. Throws `refused()` when the address
 * cannot be had.
 */
export function listenExclusively(
  app: TemplatedApp,
  address: { readonly host: string; readonly port: number },
  refused: () => Error,
): Listening {
  let listening: us_listen_socket | false = false
  const listener: ExclusiveListener = app as unknown as ExclusiveListener
  listener.listen(address.host, address.port, EXCLUSIVE_PORT, (socket) => {
    listening = socket
  })
  const socket = listening as us_listen_socket | false
  if (socket === false) throw refused()
  let open = true
  return {
    port: us_socket_local_port(socket),
    close() {
      if (!open) return
      open = false
      us_listen_socket_close(socket)
    },
  }
}

/** `http://host:port`, with an IPv6 host in brackets. */
export function httpUrl(host: string, port: number): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}
