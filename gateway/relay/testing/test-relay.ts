/** A relay over a controlled log, with its feeds in a file and its objects in a folder. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTelemetryBase } from '../../../shared/runtime/telemetry.ts'
import { createPseudonymiser, parseKeyring } from '../../../shared/events/identity.ts'
import { createSealer } from '../../../shared/log/reject-record.ts'
import { TOPICS } from '../../../shared/log/topics.ts'
import { openFolderObjectStore } from '../../../shared/objects/folder-object-store.ts'
import { systemClock as clock } from '../../../shared/runtime/clock.ts'
import { readConfig } from '../../../shared/runtime/config.ts'
import { noFailpoints } from '../../../shared/runtime/failpoints.ts'
import { StopStack } from '../../../shared/runtime/lifecycle.ts'
import { systemRandom as random } from '../../../shared/runtime/random.ts'
import type { GatewayConfig } from '../../config.ts'
import { openIngest } from '../../ingest.ts'
import { ControlledLog } from '../../testing/controlled-log.ts'
import { testConfig } from '../../testing/test-gateway.ts'
import { relayConfig, type RelayConfig } from '../config.ts'
import { startRelay } from '../start.ts'

const PARTITIONS = 2
const EXPIRE_MS = 20

export interface TestRelayOptions {
  readonly feeds: readonly object[]
  readonly config?: Partial<RelayConfig>
  readonly gateway?: Partial<GatewayConfig>
  /** What a relay before it has left: its folder and its log. */
  readonly after?: { readonly folder: string; readonly log: ControlledLog }
}

const stacks: StopStack[] = []
const folders: string[] = []

export async function startTestRelay({ feeds, config, gateway, after }: TestRelayOptions) {
  const folder = after?.folder ?? mkdtempSync(join(tmpdir(), 'backhaul-relay-'))
  folders.push(folder)
  const feedsPath = join(folder, 'feeds.json')
  writeFileSync(feedsPath, JSON.stringify({ feeds }))
  const stack = new StopStack()
  stacks.push(stack)
  const telemetry = createTelemetryBase('silent')
  const log = after?.log ?? new ControlledLog(clock)
  const retention = { retentionMs: 86_400_000, retentionBytes: 2 ** 30 }
  await log.ensureTopics(
    [TOPICS.events, TOPICS.rejects].map((name) => ({ name, partitions: PARTITIONS, ...retention })),
  )
  const sealer = createSealer(Buffer.alloc(32, 2))
  const keyring = parseKeyring(`k:${Buffer.alloc(32, 1).toString('base64')}`)
  const common = { log, telemetry, clock, random, failpoints: noFailpoints, partitions: PARTITIONS }
  const ingest = await openIngest(
    { ...common, config: testConfig(gateway), sealer, pseudonymiser: createPseudonymiser(keyring) },
    stack,
  )
  stack.add(
    'sweep',
    clock.every(EXPIRE_MS, () => ingest.expire()),
  )
  const objects = await openFolderObjectStore({ folder: join(folder, 'objects'), clock })
  stack.add('objects', () => objects.close())
  const defaults = readConfig(relayConfig, {}, () => '')
  // A machine that stands still for a while must not cost a relay what it owns.
  const quick = { leaseMs: 20_000, takeoverPollMs: 50, saveMs: 20, connectTimeoutMs: 1_000 }
  const relay = await startRelay({
    ...common,
    ingest,
    objects,
    config: { ...defaults, ...quick, ...config, feedsPath },
    spoolFolder: join(folder, 'spool'),
  })
  stack.add('relay', () => relay.stop())
  return {
    folder,
    log,
    ledgers: ingest.ledgers,
    objects,
    sealer,
    metric: async (name: string, label = '') => {
      const text = await telemetry.registry.metrics()
      const lines = [...text.matchAll(new RegExp(`^${name}(\\{[^}]*\\})? (\\S+)$`, 'gm'))]
      const chosen = lines.filter(([line]) => line.includes(label))
      return chosen.reduce((sum, [, , value]) => sum + Number(value), 0)
    },
    stop: () => stack.stop(),
  }
}

/** Every event of the log as `session/seq`, in the order in which they were appended. */
export function eventsOf(log: ControlledLog): string[] {
  return log.values(TOPICS.events).flatMap((record) => {
    const { session, events } = record as {
      session: { sessionId: string }
      events: { seq: number }[]
    }
    return events.map(({ seq }) => `${session.sessionId}/${seq}`)
  })
}

/** For the `afterEach` of a test file. */
export async function stopTestRelays(): Promise<void> {
  for (const stack of stacks.splice(0)) await stack.stop()
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
}
