/**
 * The address of a client, as far as it can be believed: the peer of the socket, or what a trusted
 * proxy says of its own peer in `X-Forwarded-For`. Entries that no trusted proxy wrote are the
 * client's own invention. Used to share out rates only; never logged, never written anywhere.
 */
import { BlockList, isIP, isIPv4 } from 'node:net'
import type { HttpRequest, HttpResponse } from 'uWebSockets.js'

export interface ProxyTrust {
  /** Proxies between the clients and the gateway, each of which appends one entry. */
  readonly hops: number
  /** Or the networks of the proxies, in CIDR notation. */
  readonly networks: readonly string[]
}

const HEADER = 'x-forwarded-for'
/** An IPv6 client has a network of 2^64 addresses to itself. */
const IPV6_CLIENT_GROUPS = 4

export class ClientAddresses {
  readonly #hops: number
  readonly #proxies: BlockList | undefined

  /** Throws a `TypeError` for a network that is none. */
  constructor({ hops, networks }: ProxyTrust) {
    this.#hops = hops
    this.#proxies = networks.length === 0 ? undefined : parseNetworks(networks)
  }

  /** Must be called inside the route handler. */
  read(response: HttpResponse, request: HttpRequest): string {
    const peer = Buffer.from(response.getRemoteAddressAsText()).toString()
    if (this.#hops === 0 && this.#proxies === undefined) return clientOf(peer)
    const forwarded: string[] = []
    // A proxy may add a header of its own instead of appending to the client's.
    request.forEach((name, value) => {
      if (name === HEADER) forwarded.push(...value.split(','))
    })
    return this.of(peer, forwarded)
  }

  /** `forwarded` as the proxies wrote it, the nearest last. */
  of(peer: string, forwarded: readonly string[]): string {
    if (this.#proxies !== undefined)
      return clientOf(this.#nearestStranger(this.#proxies, peer, forwarded))
    const said = this.#hops === 0 ? undefined : bareAddress(forwarded.at(-this.#hops))
    return clientOf(said ?? peer)
  }

  /** From the peer backwards, the first that is no trusted proxy. */
  #nearestStranger(proxies: BlockList, peer: string, forwarded: readonly string[]): string {
    let believed = peer
    for (let left = forwarded.length - 1; isWithin(proxies, believed) && left >= 0; left--) {
      const said = bareAddress(forwarded[left])
      if (said === undefined) break
      believed = said
    }
    return believed
  }
}

export function parseNetworks(networks: readonly string[]): BlockList {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', prefix = ''] = network.split('/')
    const family = isIPv4(address) ? 'ipv4' : 'ipv6'
    const bits = Number(prefix)
    if (isIP(address) === 0 || !/^\d{1,3}$/.test(prefix) || bits > (family === 'ipv4' ? 32 : 128))
      throw new TypeError(network)
    list.addSubnet(address, bits, family)
  }
  return list
}

function isWithin(list: BlockList, address: string): boolean {
  const plain = plainAddress(address)
  return list.check(plain, isIPv4(plain) ? 'ipv4' : 'ipv6')
}

/** Without blanks, brackets and port; `undefined` when that is no address. */
function bareAddress(text: string | undefined): string | undefined {
  const trimmed = text?.trim() ?? ''
  const bare =
    /^\[([^\]]*)\](?::\d+)?$/.exec(trimmed)?.[1] ?? trimmed.replace(/^([\d.]+):\d+$/, '$1')
  return isIP(bare) === 0 ? undefined : bare
}

/** What stands for a client: an IPv4 address, or the network of an IPv6 one. */
function clientOf(address: string): string {
  const plain = plainAddress(address)
  return isIPv4(plain) ? plain : `${groupsOf(plain).slice(0, IPV6_CLIENT_GROUPS).join(':')}::/64`
}

/** An IPv4 address that is written as an IPv6 one, as itself. */
function plainAddress(address: string): string {
  if (isIPv4(address)) return address
  const groups = groupsOf(address)
  const isMapped = groups.slice(0, 5).every((group) => group === '0') && groups[5] === 'ffff'
  if (!isMapped) return address
  return groups
    .slice(6)
    .flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255])
    .join('.')
}

/** The eight groups of an IPv6 address, in lower case without leading zeros. */
function groupsOf(address: string): string[] {
  // The URL parser knows every way to write one, and writes it in one way.
  const text = URL.parse(`http://[${address.replace(/%.*$/, '')}]`)?.hostname.slice(1, -1) ?? '::'
  const [left = '', right] = text.split('::')
  const leading = left === '' ? [] : left.split(':')
  const trailing = right === undefined || right === '' ? [] : right.split(':')
  const missing = Math.max(0, 8 - leading.length - trailing.length)
  return [...leading, ...Array.from({ length: missing }, () => '0'), ...trailing]
}
