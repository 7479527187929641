/** Settings of rates, and of what is believed about where a client is. */
import { configErrors, environmentName, setting, type ValuesOf } from '../shared/runtime/config.ts'
import { parseNetworks } from './client-address.ts'
import type { RatesOptions } from './rates.ts'

const MIB = 2 ** 20
const MINUTE_MS = 60_000

export const rateSettings = {
  framesPerSecondMax: setting.integer({
    default: 500,
    min: 1,
    max: 100_000,
    unit: 'frames per second and connection',
    doc: 'Sustained rate of a connection; above it the client is told `slow`.',
  }),
  framesBurstMax: setting.integer({
    default: 1_000,
    min: 1,
    max: 200_000,
    unit: 'frames per connection',
    doc: 'Frames a connection may send above the sustained rate before it is told `slow`.',
  }),
  connectionEventsPerSecondMax: setting.integer({
    default: 20_000,
    min: 0,
    max: 10_000_000,
    unit: 'events per second and connection',
    doc: 'Sustained events of a connection; above it the client is told `slow`. 0: unbounded.',
  }),
  connectionBytesPerSecondMax: setting.integer({
    default: 4 * MIB,
    min: 0,
    max: 1_024 * MIB,
    unit: 'bytes per second and connection',
    doc: 'Sustained bytes of a connection, likewise.',
  }),
  addressEventsPerSecondMax: setting.integer({
    default: 0,
    min: 0,
    max: 100_000_000,
    unit: 'events per second and client address',
    doc: 'Sustained events of all connections and requests of one client address to one process; above it `slow`, or 429 on HTTP. 0: unbounded. Set GATEWAY_TRUSTED_HOPS or GATEWAY_TRUSTED_NETWORKS behind a proxy, or all clients are one.',
  }),
  addressBytesPerSecondMax: setting.integer({
    default: 0,
    min: 0,
    max: 16_384 * MIB,
    unit: 'bytes per second and client address',
    doc: 'Sustained bytes of a client address, likewise.',
  }),
  subjectEventsPerSecondMax: setting.integer({
    default: 0,
    min: 0,
    max: 100_000_000,
    unit: 'events per second and token subject',
    doc: 'Sustained events of all connections and requests of one token subject to one process, likewise.',
  }),
  subjectBytesPerSecondMax: setting.integer({
    default: 0,
    min: 0,
    max: 16_384 * MIB,
    unit: 'bytes per second and token subject',
    doc: 'Sustained bytes of a token subject, likewise.',
  }),
  rateBurstMs: setting.integer({
    default: 5_000,
    min: 100,
    max: 10 * MINUTE_MS,
    unit: 'ms of the sustained rate',
    doc: 'How much of their rate in events and bytes a connection, an address and a subject may use at once.',
  }),
  rateEntriesMax: setting.integer({
    default: 100_000,
    min: 1,
    max: 10_000_000,
    unit: 'addresses, and as many subjects',
    doc: 'Client addresses and token subjects whose use is remembered; the longest unused is forgotten.',
  }),
  trustedHops: setting.integer({
    default: 0,
    min: 0,
    max: 16,
    unit: 'proxies',
    doc: 'Proxies in front of the gateway, each of which appends to `X-Forwarded-For`; the client is the entry of the farthest. 0: the header is not believed.',
  }),
  trustedNetworks: setting.list({
    default: [],
    doc: 'Instead of GATEWAY_TRUSTED_HOPS, the networks of the proxies: the client is the nearest address outside of them.',
    expected: 'comma-separated networks such as 10.0.0.0/8,fd00::/8',
  }),
  upgradesPerSecondMax: setting.integer({
    default: 1_000,
    min: 1,
    max: 1_000_000,
    unit: 'connections per second and process',
    doc: 'Sustained rate at which connections are opened; above it 503 with a spread Retry-After.',
  }),
  upgradesBurstMax: setting.integer({
    default: 2_000,
    min: 1,
    max: 1_000_000,
    unit: 'connections',
    doc: 'Connections that may be opened above the sustained rate.',
  }),
} as const

type RateConfig = ValuesOf<typeof rateSettings>

/** The bounds of `Rates`; a rate of 0 is none. */
export function rateBoundsOf(values: RateConfig): RatesOptions['bounds'] {
  const bounds = (perSecond: number) => ({
    perSecond,
    burst: (perSecond * values.rateBurstMs) / 1_000,
  })
  const of = (events: number, bytes: number) => ({
    ...(events === 0 ? {} : { events: bounds(events) }),
    ...(bytes === 0 ? {} : { bytes: bounds(bytes) }),
  })
  return {
    connection: {
      frames: { perSecond: values.framesPerSecondMax, burst: values.framesBurstMax },
      ...of(values.connectionEventsPerSecondMax, values.connectionBytesPerSecondMax),
    },
    address: of(values.addressEventsPerSecondMax, values.addressBytesPerSecondMax),
    subject: of(values.subjectEventsPerSecondMax, values.subjectBytesPerSecondMax),
  }
}

/** A rate whose burst is smaller than the largest frame would never let that frame through. */
export function checkRates(
  values: RateConfig,
  largest: Readonly<Record<'Events' | 'Bytes', number>>,
): void {
  for (const scope of ['connection', 'address', 'subject'] as const)
    for (const unit of ['Events', 'Bytes'] as const) {
      const field = `${scope}${unit}PerSecondMax` as const
      const burst = (values[field] * values.rateBurstMs) / 1_000
      if (values[field] === 0 || burst >= largest[unit]) continue
      throw configErrors.create('CONFIG_CONFLICT', {
        expected: `${environmentName('GATEWAY', field)} × GATEWAY_RATE_BURST_MS (${values.rateBurstMs}) of at least the largest frame or CMCD body, ${largest[unit]} ${unit.toLowerCase()}`,
        received: `${values[field]}, hence ${Math.floor(burst)}`,
      })
    }
}

export function checkProxies({ trustedHops, trustedNetworks }: RateConfig): void {
  if (trustedHops > 0 && trustedNetworks.length > 0)
    throw configErrors.create('CONFIG_CONFLICT', {
      expected: 'one of GATEWAY_TRUSTED_HOPS and GATEWAY_TRUSTED_NETWORKS',
      received: 'both',
    })
  try {
    parseNetworks(trustedNetworks)
  } catch (cause) {
    throw configErrors.create('CONFIG_INVALID', {
      expected: 'GATEWAY_TRUSTED_NETWORKS to hold networks such as 10.0.0.0/8',
      received: JSON.stringify((cause as Error).message),
      cause,
    })
  }
}
