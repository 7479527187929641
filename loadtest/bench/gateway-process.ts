/**
 * The gateway over the embedded log, in a process of its own so that its CPU time is its own; with the
 * path of a file of feeds it pulls these. Speaks to its parent over IPC: says where it listens, answers `cpu` and `memory`, stops at `stop`.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gatewayConfig, relayConfig } from '../../gateway/config.ts'
import { startGateway } from '../../gateway/start.ts'
import { createTokenVerifier } from '../../shared/auth/token-verifier.ts'
import { createPseudonymiser, parseKeyring } from '../../shared/events/identity.ts'
import { openLmdbEventLog } from '../../shared/log/lmdb-event-log.ts'
import { createSealer } from '../../shared/log/reject-record.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import { openFolderObjectStore } from '../../shared/objects/folder-object-store.ts'
import { systemClock } from '../../shared/runtime/clock.ts'
import { readConfig } from '../../shared/runtime/config.ts'
import { noFailpoints } from '../../shared/runtime/failpoints.ts'
import { systemRandom } from '../../shared/runtime/random.ts'
import { createTelemetryBase } from '../../shared/runtime/telemetry.ts'

const PARTITIONS = 4
/** What is measured is the gateway, not its limit on a single client. */
const SETTINGS = {
  GATEWAY_PORT: '0',
  GATEWAY_FRAMES_PER_SECOND_MAX: '100000',
  GATEWAY_FRAMES_BURST_MAX: '200000',
  GATEWAY_CONNECTION_EVENTS_PER_SECOND_MAX: '0',
  GATEWAY_CONNECTION_BYTES_PER_SECOND_MAX: '0',
  GATEWAY_UPGRADES_PER_SECOND_MAX: '100000',
  GATEWAY_UPGRADES_BURST_MAX: '100000',
}
const [feedsPath = ''] = process.argv.slice(2)
const readFile = (path: string) => readFileSync(path, 'utf8')
const folder = mkdtempSync(join(tmpdir(), 'backhaul-bench-'))
const key = Buffer.alloc(32, 7)
const clock = systemClock
const log = await openLmdbEventLog({
  folder: join(folder, 'log'),
  mapBytes: 32 * 2 ** 30,
  clock,
  failpoints: noFailpoints,
})
await log.ensureTopics(
  Object.values(TOPICS).map((name) => ({
    name,
    partitions: PARTITIONS,
    retentionMs: 86_400_000,
    retentionBytes: 2 ** 40,
  })),
)
const objects = await openFolderObjectStore({ folder: join(folder, 'objects'), clock })
const gateway = await startGateway({
  config: readConfig(gatewayConfig, SETTINGS, readFile),
  relay: {
    config: readConfig(relayConfig, { RELAY_FEEDS_PATH: feedsPath }, readFile),
    objects,
    spoolFolder: join(folder, 'relay-spool'),
  },
  log,
  telemetry: createTelemetryBase('error'),
  clock,
  random: systemRandom,
  verifier: createTokenVerifier(
    { mode: 'none', secret: '', jwksUrl: '', issuer: '', audience: '' },
    clock,
  ),
  pseudonymiser: createPseudonymiser(parseKeyring(`bench:${key.toString('base64')}`)),
  sealer: createSealer(key),
  failpoints: noFailpoints,
  partitions: PARTITIONS,
})

process.on('message', (message) => {
  if (message === 'cpu') {
    const { user, system } = process.cpuUsage()
    process.send?.({ cpuMs: (user + system) / 1_000 })
  } else if (message === 'memory') void tellMemory()
  else void stop()
})
process.on('disconnect', () => void stop())
process.send?.({ url: gateway.url })

/** What is left once connections have come to rest and the garbage is gone; needs `--expose-gc`. */
async function tellMemory(): Promise<void> {
  for (let round = 0; round < 3; round++) {
    await clock.sleep(1_500)
    await globalThis.gc?.({ execution: 'async', type: 'major' })
  }
  const { rss, heapUsed, external } = process.memoryUsage()
  process.send?.({ rssBytes: rss, heapUsedBytes: heapUsed, externalBytes: external })
}

async function stop(): Promise<void> {
  await gateway.stop()
  await objects.close()
  await log.close()
  rmSync(folder, { recursive: true, force: true })
  process.exit(0)
}
