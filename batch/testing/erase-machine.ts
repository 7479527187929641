/**
 * A machine of which two viewers are known, for tests of erasure: a log with their frames, rejects and
 * exceptions among those of others, two runs of the batch, and live rows.
 */
import { createPseudonymiser, parseKeyring } from '../../shared/events/identity.ts'
import { encodeException } from '../../shared/log/exception-record.ts'
import type { EventLog } from '../../shared/log/event-log.ts'
import { partitionOf } from '../../shared/log/partitioner.ts'
import { encodeFrameRecord, FRAME_SCHEMA } from '../../shared/log/record.ts'
import { encodeReject } from '../../shared/log/reject-record.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import { DEFAULT_CUT_IDS, parseCut } from '../../shared/qoe/cuts.ts'
import { DEFAULT_FOLD_LIMITS } from '../../shared/qoe/fold.ts'
import { viewId } from '../../shared/qoe/view.ts'
import { ManualClock } from '../../shared/runtime/clock.ts'
import { type Failpoints, noFailpoints } from '../../shared/runtime/failpoints.ts'
import type { EraseParts } from '../erase/erase.ts'
import { rawLines } from '../raw-reader.ts'
import { BatchMachine, PARTITIONS } from './batch-machine.ts'
import { LiveSide, ROW_RETENTION_MS } from './live-side.ts'
import { fillLog } from './scenario.ts'

export const VIEWER = 'raw-viewer-id@example.com'
export const OTHER = 'another viewer'
export const ERASE_KEYRING = ['new', 'old']
  .map((keyId) => `${keyId}:${Buffer.alloc(32, keyId).toString('base64')}`)
  .join(',')
const pseudonymiser = createPseudonymiser(parseKeyring(ERASE_KEYRING))
export const [NEW = '', OLD = ''] = pseudonymiser.all(VIEWER).map(({ pseudonym }) => pseudonym)
export const LOG_RETENTION_MS = 7 * 86_400_000
/** The viewer's sessions: one under each key, and one of somebody else. */
const SESSIONS = { 'seen-new': NEW, 'seen-old': OLD, kept: pseudonymiser.pseudonym(OTHER) }
export const ERASED = ['seen-new', 'seen-old']

const CUTS = DEFAULT_CUT_IDS.map(parseCut)
/** That of a server with default settings, so that the commands know it. */
export const ERASE_VIEW = viewId(CUTS, DEFAULT_FOLD_LIMITS)

export interface EraseMachine {
  readonly machine: BatchMachine
  readonly live: LiveSide
  readonly clock: ManualClock
}

export async function openEraseMachine(
  folder: string,
  nowMs?: number,
  failpoints = noFailpoints,
): Promise<EraseMachine> {
  const clock = nowMs === undefined ? new ManualClock() : new ManualClock(nowMs)
  const machine = await BatchMachine.open({ folder, clock, failpoints })
  const live = await LiveSide.open({
    folder,
    log: machine.ports.log,
    clock,
    partitions: PARTITIONS,
    limits: DEFAULT_FOLD_LIMITS,
    cuts: CUTS,
    view: ERASE_VIEW,
  })
  return { machine, live, clock }
}

export async function closeEraseMachine({ live, machine }: EraseMachine): Promise<void> {
  await live.close()
  await machine.closeStores()
}

/** Frames of every session from `seq` on, with a reject and an exception beside each. */
export async function watch({ machine, clock }: EraseMachine, seq: number): Promise<void> {
  const { log } = machine.ports
  for (const [sessionId, viewerPseudonym] of Object.entries(SESSIONS)) {
    await clock.advance(1_000)
    const partition = partitionOf(sessionId, PARTITIONS)
    const atMs = clock.nowMs()
    await appendFrame(log, { sessionId, viewerPseudonym, seq, atMs })
    const reject = { stage: 'gateway', code: 'X', detail: 'x', sealed: Buffer.of(1) } as const
    await log.append(TOPICS.rejects, partition, [
      {
        key: sessionId,
        value: encodeReject({ ...reject, sessionId, seq, receivedAtMs: atMs }),
        headers: {},
      },
    ])
    const place = { partition, offset: 1, reason: 'late', type: 'heartbeat' } as const
    await log.append(TOPICS.exceptions, partition, [
      {
        key: sessionId,
        value: encodeException({ sessionId, seq, ...place, forgotten: false }),
        headers: { view: 'v' },
      },
    ])
  }
}

/** A frame of the viewer that came so long before it is logged, ms. */
export function watchLate(
  { machine, clock }: EraseMachine,
  sessionId: string,
  delayMs: number,
): Promise<unknown> {
  const atMs = clock.nowMs() - delayMs
  return appendFrame(machine.ports.log, { sessionId, viewerPseudonym: NEW, seq: 0, atMs })
}

interface Watched {
  readonly sessionId: string
  readonly viewerPseudonym: string
  readonly seq: number
  /** When its one event was sent, epoch ms. */
  readonly atMs: number
}

function appendFrame(
  log: Pick<EventLog, 'append'>,
  { sessionId, viewerPseudonym, seq, atMs }: Watched,
): Promise<unknown> {
  const types = ['playbackRequest', 'playbackStart']
  const event = { seq, type: types[seq] ?? 'heartbeat', at: atMs - 500 }
  const value = encodeFrameRecord({
    contextJson: Buffer.from(JSON.stringify({ sessionId, viewerPseudonym })),
    sentAtMs: atMs - 20,
    receivedAtMs: atMs - 10,
    rejectedSeqs: [],
    events: [Buffer.from(JSON.stringify(event))],
  })
  return log.append(TOPICS.events, partitionOf(sessionId, PARTITIONS), [
    { key: sessionId, value, headers: { schema: FRAME_SCHEMA, gateway: 'g' } },
  ])
}

const fill = ({ machine, clock }: EraseMachine, seed: number) =>
  fillLog({ log: machine.ports.log, clock, partitions: PARTITIONS, seed, turns: 12 })

export function erasePartsOf(
  { machine, live, clock }: EraseMachine,
  failpoints: Failpoints = noFailpoints,
): EraseParts {
  const { objects, warehouse, log } = machine.ports
  return {
    log,
    objects,
    warehouse,
    speed: live.speed,
    clock,
    failpoints,
    pseudonymiser,
    views: [ERASE_VIEW],
    leaseMs: 60_000,
    holder: 'test',
    logRetentionMs: LOG_RETENTION_MS,
    rowRetentionMs: ROW_RETENTION_MS,
  }
}

/** A log of two runs of the batch, and frames that no run has loaded yet. */
export async function prepareErasure(folder: string): Promise<number> {
  const opened = await openEraseMachine(folder)
  await watch(opened, 0)
  await fill(opened, 1)
  await opened.machine.run()
  await watch(opened, 1)
  await fill(opened, 2)
  await opened.machine.run()
  await watch(opened, 2)
  await opened.live.catchUp()
  await closeEraseMachine(opened)
  return opened.clock.nowMs()
}

/** Everything that is stored in readable form, as text: objects, decompressed raw lines, rows. */
export async function everything({ machine, live }: EraseMachine): Promise<string> {
  const { objects } = machine.ports
  const print = (_: string, value: unknown) => (typeof value === 'bigint' ? Number(value) : value)
  const sessions = await live.speed.readSessions(ERASE_VIEW, { limit: 99 })
  const texts = [JSON.stringify(sessions, print)]
  for (const name of await machine.names('')) {
    if (name.startsWith('erasures/') || name.startsWith('warehouse/')) continue
    const bytes = (await objects.read(name))?.bytes ?? Buffer.of()
    if (!name.endsWith('.zst')) texts.push(Buffer.from(bytes).toString('latin1'))
    else for await (const line of rawLines(name, bytes)) texts.push(line.toString())
  }
  return texts.join('\n') + JSON.stringify(await machine.tables(), print)
}
