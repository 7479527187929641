/**
 * The key of pseudonyms is changed while a session goes on: gateways with the old ring and with the
 * new one stand beside one another, and the client goes from one to the other.
 */
import { afterAll, expect, test } from 'vitest'
import { createPseudonymiser, parseKeyring } from '../shared/events/identity.ts'
import { decodeRecord } from '../shared/log/record.ts'
import { TOPICS } from '../shared/log/topics.ts'
import { createPartitionFold } from '../shared/qoe/partition-fold.ts'
import { drain, foldOptions, RowStore } from '../shared/qoe/testing/fold-harness.ts'
import { systemClock } from '../shared/runtime/clock.ts'
import { ControlledLog } from './testing/controlled-log.ts'
import { frameText } from './testing/connection-bench.ts'
import { startTestGateway, stopTestGateways, TestClient } from './testing/test-gateway.ts'

afterAll(stopTestGateways)

const keyOf = (name: string, byte: number) => `${name}:${Buffer.alloc(32, byte).toString('base64')}`
const OLD = keyOf('old', 1)
/** First the new key is known everywhere, then it is the one that names; the old one stays behind it. */
const ANNOUNCED = `${OLD},${keyOf('new', 2)}`
const ROTATED = `${keyOf('new', 2)},${OLD}`

test('a rotated key loses nothing, counts a session once, and an erasure finds both names', async () => {
  const log = new ControlledLog(systemClock)
  const at = systemClock.nowMs()
  const frame = (number: number, seqs: readonly number[]) =>
    frameText(number, {
      sentAt: at,
      session: { sessionId: 's1', viewerId: 'ann' },
      events: seqs.map((seq) => ({
        seq,
        type: ['playbackRequest', 'playbackStart'][seq] ?? 'heartbeat',
        at: at + seq,
      })),
    })
  let seq = 0
  for (const keyring of [OLD, ANNOUNCED, ROTATED]) {
    const gateway = await startTestGateway({ log, keyring })
    const client = await TestClient.open(gateway.port)
    // What the gateway before did not acknowledge in time comes again.
    client.send(frame(0, seq === 0 ? [0] : [seq - 1]))
    client.send(frame(1, [(seq += 1)]))
    await client.untilAcked(1)
    client.socket.close()
  }
  const ring = createPseudonymiser(parseKeyring(ROTATED))
  const names = ring.all('ann').map(({ pseudonym }) => pseudonym)
  const records = log.records(TOPICS.events).map(decodeRecord)
  const frames = records.filter((record) => record.kind === 'frame')
  const [newest, oldest] = names
  expect(frames.map(({ context }) => context.viewerPseudonym)).toEqual([
    oldest,
    oldest,
    oldest,
    oldest,
    newest,
    newest,
  ])

  const fold = createPartitionFold(foldOptions())
  for (const record of frames) fold.apply(record)
  const rows = new RowStore()
  drain(fold, rows)
  const { applied, duplicate, read } = fold.status.counters
  expect({ applied, duplicate, read }).toEqual({ applied: 4, duplicate: 2, read: 6 })
  const sessions = [...rows.rows.keys()].filter((key) => key === 's1 0')
  expect(sessions).toHaveLength(1)
})
