/**
 * A data folder in which the examples of docs/cli.md find what they name: sessions of 1 March 2026 and two
 * days after it, a viewer, a frame that was refused and is valid by now, and views beside the one that is served.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { configOf, BatchMachine, PARTITIONS } from './batch-machine.ts'
import { CommandsOn } from './commands-on.ts'
import { ImpatientClock } from './impatient-clock.ts'
import { LiveSide, ROW_RETENTION_MS } from './live-side.ts'
import { replayIntoView } from '../replay/into-view.ts'
import { createPseudonymiser, parseKeyring } from '../../shared/events/identity.ts'
import type { NewRecord } from '../../shared/log/event-log.ts'
import { partitionOf } from '../../shared/log/partitioner.ts'
import { encodeFrameRecord, encodeTick, FRAME_SCHEMA } from '../../shared/log/record.ts'
import { createSealer, encodeReject } from '../../shared/log/reject-record.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import { DEFAULT_CUT_IDS, parseCut } from '../../shared/qoe/cuts.ts'
import { DEFAULT_FOLD_LIMITS } from '../../shared/qoe/fold.ts'
import { activateView, formerViews } from '../../shared/views/active-view.ts'
import { describeView, registerView } from '../../shared/views/view-registry.ts'
import { allTables } from '../../shared/warehouse/tables.ts'

export const EXAMPLE_VIEWER = 'someone@example.org'

const BEGIN_MS = Date.UTC(2026, 2, 1, 18)
const DAY_MS = 86_400_000
const STEP_MS = 10_000
/** Every minute is complete by then. */
const UNTIL_COMPLETE_MS = 4 * 3_600_000
const DAYS = 2
/** Enough that a partition has records 0 to 100. */
const SESSIONS = 60
const TYPES = ['playbackRequest', 'playbackStart', 'playbackStall', 'playbackStart', 'sessionEnd']
/** Views beside the one that is served, by their names in the docs. */
const BESIDE = ['candidate', 'outdated', 'shorter-timeout']
const FEW_FILES = { BATCH_RAW_FILE_BYTES: '8388608' }
const KEY = Buffer.alloc(32, 'example')
const KEYRING = `k1:${KEY.toString('base64')}`

const cuts = DEFAULT_CUT_IDS.map(parseCut)
const limits = DEFAULT_FOLD_LIMITS
const served = describeView(cuts, limits, '')
/** The one that is served at first. */
export const EXAMPLE_VIEW = served.view

/** Runs commands on it, as `npx backhaul` does. Whoever asked removes the folder. */
export async function makeExampleFolder(
  environment: Readonly<Record<string, string>>,
): Promise<{ readonly folder: string; readonly commands: CommandsOn }> {
  const clock = new ImpatientClock(BEGIN_MS)
  const machine = await BatchMachine.open({ clock })
  const { folder } = machine
  const { log, objects } = machine.ports
  for (let day = 0; day < DAYS; day += 1) {
    await clock.advance(day * DAY_MS)
    await playSessions(machine, clock, day)
  }
  await clock.advance(UNTIL_COMPLETE_MS)
  await refuseAFrame(machine, clock)
  // Time passes in the log itself.
  for (let partition = 0; partition < PARTITIONS; partition += 1)
    await log.append(TOPICS.events, partition, [encodeTick()])
  await machine.ports.warehouse.ensureTables(allTables)
  const base = { folder, log, clock, partitions: PARTITIONS, limits, cuts }
  const live = await LiveSide.open({ ...base, view: served.view })
  await live.catchUp()
  const beside = BESIDE.map((name) => describeView(cuts, limits, name))
  for (const view of [served, ...beside]) await registerView(objects, view)
  const filled = { ...machine.ports, speed: live.speed, config: configOf({}), limits, cuts }
  for (const { view } of beside)
    await replayIntoView(
      { ...filled, liveView: served.view, rowRetentionMs: ROW_RETENTION_MS },
      view,
    )
  const former = formerViews(served.view, undefined, [])
  const active = { view: served.view, ...former, by: 'start', forced: false, atMs: 0 } as const
  await activateView(objects, active, 0)
  await live.close()
  await machine.closeStores()
  writeFileSync(join(folder, 'format.json'), '{"format":1}\n')
  const keys = {
    BACKHAUL_PSEUDONYM_KEYS: KEYRING,
    BACKHAUL_SEAL_KEY: KEY.toString('base64'),
  }
  return {
    folder,
    commands: new CommandsOn(folder, clock, { ...keys, ...FEW_FILES, ...environment }),
  }
}

/** An event of every session at a time; those of a day go on for less than a minute. */
async function playSessions(
  { ports: { log } }: BatchMachine,
  clock: ImpatientClock,
  day: number,
): Promise<void> {
  for (const [seq, type] of TYPES.entries()) {
    await clock.advance(STEP_MS)
    const records: NewRecord[] = []
    for (let one = 1; one <= SESSIONS; one += 1)
      records.push(frameOf(`session-${day * SESSIONS + one}`, { seq, type, at: clock.nowMs() }))
    const ofPartition = Map.groupBy(records, ({ key = '' }) => partitionOf(key, PARTITIONS))
    for (const [partition, own] of ofPartition) await log.append(TOPICS.events, partition, own)
  }
}

interface PlayerEvent {
  readonly seq: number
  readonly type: string
  readonly at: number
}

function frameOf(sessionId: string, event: PlayerEvent): NewRecord {
  const viewerId = sessionId === 'session-1' ? EXAMPLE_VIEWER : sessionId
  const viewerPseudonym = createPseudonymiser(parseKeyring(KEYRING)).pseudonym(viewerId)
  const context = { sessionId, viewerPseudonym, contentId: 'movie-1', cdn: 'a' }
  const value = encodeFrameRecord({
    contextJson: Buffer.from(JSON.stringify(context)),
    sentAtMs: event.at,
    receivedAtMs: event.at,
    rejectedSeqs: [],
    events: [Buffer.from(JSON.stringify(event))],
  })
  return { key: sessionId, value, headers: { schema: FRAME_SCHEMA, gateway: 'g' } }
}

/** Refused whole by a gateway of an older release; the schema of today takes it. */
async function refuseAFrame(
  { ports: { log } }: BatchMachine,
  clock: ImpatientClock,
): Promise<void> {
  const nowMs = clock.nowMs()
  const events = [{ seq: 0, type: 'playbackRequest', at: nowMs }]
  const frame = { v: 1, sentAt: nowMs, session: { sessionId: 'refused-1' }, events }
  const value = encodeReject({
    stage: 'gateway',
    code: 'FRAME_VERSION_UNSUPPORTED',
    detail: 'v',
    receivedAtMs: nowMs,
    sealed: createSealer(KEY).seal(Buffer.from(JSON.stringify(frame))),
  })
  await log.append(TOPICS.rejects, 0, [{ key: undefined, value, headers: { schema: 'reject.v1' } }])
}
