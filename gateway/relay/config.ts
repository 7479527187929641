import { adminSettings, checkAdminTls } from '../../shared/http/admin-config.ts'
import { configErrors, defineConfig, setting, type ValuesOf } from '../../shared/runtime/config.ts'

const KIB = 2 ** 10
const MIB = 2 ** 20
const MINUTE_MS = 60_000

export const relayConfig = defineConfig({
  prefix: 'RELAY',
  table: {
    feedsPath: setting.text({
      default: '',
      doc: 'File of the upstream feeds (docs/relay.md). Empty: `npm start` relays nothing.',
    }),
    ...adminSettings({
      port: 8_077,
      paths: 'Port for operators of a relay on its own: /healthz, /readyz and /metrics.',
    }),
    leaseMs: setting.integer({
      default: 5_000,
      min: 500,
      max: 10 * MINUTE_MS,
      unit: 'ms',
      doc: 'How long a relay owns a connection of a feed without a renewal. With RELAY_TAKEOVER_POLL_MS, how long a connection of a relay that died is nobody’s.',
    }),
    takeoverPollMs: setting.integer({
      default: 1_000,
      min: 50,
      max: MINUTE_MS,
      unit: 'ms',
      doc: 'How often a relay that stands by asks whether a connection has become free; up to half of it more by chance.',
    }),
    ownedMax: setting.integer({
      default: 256,
      min: 1,
      max: 16_384,
      unit: 'connections',
      doc: 'Connections of feeds that one relay owns at a time; the others are left to those beside it.',
    }),
    connectTimeoutMs: setting.integer({
      default: 2_000,
      min: 50,
      max: MINUTE_MS,
      unit: 'ms',
      doc: 'Time in which a feed must have opened the WebSocket; then its next URL is tried, at once.',
    }),
    messageMaxBytes: setting.integer({
      default: 4 * MIB,
      min: KIB,
      max: 64 * MIB,
      unit: 'bytes',
      doc: 'Largest message of a feed; a larger one ends the connection.',
    }),
    inFlightMaxBytes: setting.integer({
      default: 16 * MIB,
      min: 64 * KIB,
      max: 4_096 * MIB,
      unit: 'bytes per connection',
      doc: 'Bytes of messages of one connection on their way into the log. Beyond, messages go to the spool.',
    }),
    spoolMaxBytes: setting.integer({
      default: 256 * MIB,
      min: 0,
      max: 1_048_576 * MIB,
      unit: 'bytes per connection',
      doc: 'Bytes on disk, in BACKHAUL_DATA_DIR/relay-spool, for messages that have no room in memory. Beyond, the connection is closed until the log has caught up.',
    }),
    saveMs: setting.integer({
      default: 1_000,
      min: 10,
      max: MINUTE_MS,
      unit: 'ms',
      doc: 'How often the position of a connection is saved. After a takeover a feed repeats at most so much.',
    }),
    sessionsMax: setting.integer({
      default: 100_000,
      min: 1,
      max: 10_000_000,
      unit: 'sessions per connection',
      doc: 'Sessions of a feed without sequence numbers that are counted at a time; the longest silent one is forgotten, and begins a session anew when it returns.',
    }),
  },
  check(values) {
    checkAdminTls('RELAY', values)
    const { inFlightMaxBytes, messageMaxBytes } = values
    if (inFlightMaxBytes >= messageMaxBytes) return
    throw configErrors.create('CONFIG_CONFLICT', {
      expected: `RELAY_IN_FLIGHT_MAX_BYTES of at least RELAY_MESSAGE_MAX_BYTES = ${messageMaxBytes}`,
      received: `${inFlightMaxBytes}`,
    })
  },
})

export type RelayConfig = ValuesOf<typeof relayConfig.table>
