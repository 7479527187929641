import { createServer } from 'node:net'
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

/** LIBUS_LISTEN_DEFAULT and LIBUS_LISTEN_EXCLUSIVE_PORT, which the package's types do not export. */
const SHARED_PORT = 0
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

export interface ListenAddress {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  /** Whether other processes may listen there too; the kernel shares out the connections. */
  readonly isShared?: boolean
}

/**
 * Listens on `host:port` so that no second process can share the port: by default two servers
 * would silently split the connections. Throws `refused()` when the address cannot be had.
 */
export function listenExclusively(
  app: TemplatedApp,
  address: ListenAddress,
  refused: () => Error,
): Listening {
  const listening = tryListen(app, address)
  if (listening === undefined) throw refused()
  return listening
}

/** As `listenExclusively`; `refused` is told why, by the system’s code. */
export async function listenOrExplain(
  app: TemplatedApp,
  address: ListenAddress,
  refused: (systemCode: string) => Error,
): Promise<Listening> {
  const listening = tryListen(app, address)
  if (listening === undefined) throw refused(await refusalCodeOf(address))
  return listening
}

export const ADDRESS_IN_USE = 'EADDRINUSE'

/**
 * The system's code for why nothing can listen at `address`, which uWebSockets.js does not tell:
 * `EADDRINUSE`, `EADDRNOTAVAIL` for an address of another machine, `ENOTFOUND` for a name without
 * an address, `EACCES`. An address that has become free meanwhile was in use.
 */
function refusalCodeOf({ host, port }: ListenAddress): Promise<string> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.name))
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve(ADDRESS_IN_USE)))
  })
}

function tryListen(app: TemplatedApp, address: ListenAddress): Listening | undefined {
  let listening: us_listen_socket | false = false
  const listener: ExclusiveListener = app as unknown as ExclusiveListener
  const options = address.isShared === true ? SHARED_PORT : EXCLUSIVE_PORT
  listener.listen(address.host, address.port, options, (socket) => {
    listening = socket
  })
  const socket = listening as us_listen_socket | false
  if (socket === false) return undefined
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

/**
 * A port of `host` at which nobody listens, for processes that will share it: a listener of theirs
 * could not tell a stranger's. Throws `refused()` with the system's code when the port is taken.
 */
export function claimPort(
  { host, port }: ListenAddress,
  refused: (systemCode: string) => Error,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', (error: NodeJS.ErrnoException) => reject(refused(error.code ?? error.name)))
    probe.listen({ host, port, exclusive: true }, () => {
      const address = probe.address()
      const claimed = address !== null && typeof address === 'object' ? address.port : port
      probe.close(() => resolve(claimed))
    })
  })
}

/** `http://host:port` or `https://host:port`, with an IPv6 host in brackets. */
export function httpUrl(host: string, port: number, isTls = false): string {
  return `${isTls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`
}
