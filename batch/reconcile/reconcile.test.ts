import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { partitionOf } from '../../shared/log/partitioner.ts'
import {
  encodeFrameRecord,
  encodeTick,
  FRAME_SCHEMA,
  type DecodedRecord,
} from '../../shared/log/record.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import { DEFAULT_CUT_IDS, parseCut } from '../../shared/qoe/cuts.ts'
import { DEFAULT_FOLD_LIMITS } from '../../shared/qoe/fold.ts'
import { EMPTY_AGGREGATES } from '../../shared/qoe/merge.ts'
import { ManualClock } from '../../shared/runtime/clock.ts'
import { createTelemetryBase } from '../../shared/runtime/telemetry.ts'
import type { MinuteRow } from '../../shared/speed/rows.ts'
import { allTables } from '../../shared/warehouse/tables.ts'
import { readReconcileSummary } from '../../shared/warehouse/reconcile-summary.ts'
import { deliver, ROUGH_DELIVERY } from '../../loadtest/simulator/delivery.ts'
import { simulateAudience } from '../../loadtest/simulator/simulate-audience.ts'
import { createBatchTelemetry } from '../telemetry.ts'
import { BatchMachine, PARTITIONS } from '../testing/batch-machine.ts'
import { LIVE_VIEW, LiveSide, ROW_RETENTION_MS } from '../testing/live-side.ts'
import { reconcile, type ReconcileParts, type ReconcileRequest } from './reconcile.ts'
import { reportText } from './report.ts'

const START_MS = 1_800_000_000_000
const HOUR_MS = 60 * 60_000
const SESSIONS = 25
/** A machine under load takes its time for a thousand durable appends. */
const BUILD_TIMEOUT_MS = 120_000
const cuts = DEFAULT_CUT_IDS.map(parseCut)
const limits = DEFAULT_FOLD_LIMITS

const opened: (() => Promise<void>)[] = []
afterAll(async () => {
  for (const close of opened) await close()
})

/** Waiting is moving the clock. */
class ImpatientClock extends ManualClock {
  override sleep(delayMs: number): Promise<void> {
    return this.advance(delayMs)
  }
}

interface Machines {
  readonly machine: BatchMachine
  readonly live: LiveSide
  readonly clock: ImpatientClock
}

interface Built extends Machines {
  reconcile(request?: ReconcileRequest): ReturnType<typeof reconcile>
}

interface Asked {
  /** Whether devices are offline for hours, so that the live view sets events aside. */
  readonly late?: boolean
  readonly alter?: (record: DecodedRecord) => DecodedRecord
}

/** A log of an audience, folded, and loaded by one run of the batch. */
async function build({ late = false, alter }: Asked = {}): Promise<Built> {
  const clock = new ImpatientClock(START_MS)
  const { machine, live } = await open(clock, alter)
  await fill(machine, clock, { late, seed: 11 })
  await live.catchUp()
  await machine.run({ settings: { BATCH_RAW_FILE_BYTES: '4194304' } })
  const machines = { machine, live, clock }
  return { ...machines, reconcile: (request = {}) => reconcile(partsOf(machines), request) }
}

async function open(clock: ImpatientClock, alter?: Asked['alter']) {
  const machine = await BatchMachine.open({ clock })
  const live = await LiveSide.open({
    folder: machine.folder,
    log: machine.ports.log,
    clock,
    partitions: PARTITIONS,
    limits,
    cuts,
    ...(alter === undefined ? {} : { alter }),
  })
  opened.push(async () => {
    await live.close()
    await machine.close()
  })
  return { machine, live }
}

function partsOf({ machine, live, clock }: Machines): ReconcileParts {
  return {
    ...machine.ports,
    speed: live.speed,
    clock,
    telemetry: createBatchTelemetry(createTelemetryBase('silent')),
    limits,
    cuts,
    view: LIVE_VIEW,
    partitions: PARTITIONS,
    factBuckets: 2,
    rowRetentionMs: ROW_RETENTION_MS,
  }
}

async function fill(
  machine: BatchMachine,
  clock: ManualClock,
  { late, seed }: { readonly late: boolean; readonly seed: number },
): Promise<void> {
  const { log } = machine.ports
  const audience = simulateAudience({
    seed,
    sessions: SESSIONS,
    startAtMs: clock.nowMs(),
    arrivalSpanMs: HOUR_MS,
  })
  const frames = deliver(audience.sessions, {
    ...ROUGH_DELIVERY,
    offlineChance: late ? 0.5 : 0.1,
    offlineMaxMs: late ? 6 * HOUR_MS : 10 * 60_000,
  })
  for (const frame of frames) {
    await clock.advance(Math.max(0, frame.arrivedAtMs - clock.nowMs()))
    const { viewerId: _viewerId, ...context } = frame.context
    const value = encodeFrameRecord({
      contextJson: Buffer.from(JSON.stringify(context)),
      sentAtMs: frame.sentAtMs,
      receivedAtMs: frame.arrivedAtMs,
      rejectedSeqs: [],
      events: frame.events.map((event) => Buffer.from(JSON.stringify(event))),
    })
    const partition = partitionOf(frame.sessionId, PARTITIONS)
    const record = { key: frame.sessionId, value, headers: { schema: FRAME_SCHEMA } }
    await log.append(TOPICS.events, partition, [record])
  }
  // Everything has closed, and every pane is beyond its life.
  await clock.advance(8 * HOUR_MS)
  for (let partition = 0; partition < PARTITIONS; partition++)
    await log.append(TOPICS.events, partition, [encodeTick()])
}

async function watchedMinute({ live }: Built, cut: string): Promise<MinuteRow> {
  const rows = await live.speed.readMinutes({
    view: LIVE_VIEW,
    cut,
    fromMs: START_MS + 10 * 60_000,
    toMs: START_MS + 2 * HOUR_MS,
    limit: 100_000,
  })
  const row = rows.find(({ aggregates }) => aggregates.watchedMs > 0)
  if (row === undefined) throw new Error('there is a minute that somebody watched')
  return row
}

describe('of one log', () => {
  let built: Built
  beforeAll(async () => (built = await build()), BUILD_TIMEOUT_MS)

  test('live and history are equal to the integer', async () => {
    const report = await built.reconcile()
    expect(report.defectsListed).toEqual([])
    expect(report).toMatchObject({ verdict: 'equal', defects: 0, explained: 0, run: 1 })
    expect(report.minutes.compared).toBeGreaterThan(300)
    expect(report.sessions.compared).toBe(SESSIONS)
    const summary = await readReconcileSummary(built.machine.ports.objects)
    expect(summary).toMatchObject({ verdict: 'equal', compared: report.compared })
  })

  test('an altered number is named by its key, its value and what it should be', async () => {
    const row = await watchedMinute(built, 'cdn')
    const { aggregates } = row
    const altered = { ...row, aggregates: { ...aggregates, watchedMs: aggregates.watchedMs + 1 } }
    await built.live.speed.putMinutes([altered])
    const report = await built.reconcile()
    await built.live.speed.putMinutes([row])
    expect(report).toMatchObject({ verdict: 'defect', defects: 1 })
    expect(report.defectsListed).toEqual([
      expect.objectContaining({
        kind: 'minute',
        cut: 'cdn',
        key: row.key,
        name: 'watchedMs',
        minute: new Date(row.minuteStartMs).toISOString(),
      }),
    ])
    expect(reportText(report)).toContain(`cdn ${row.key}: watchedMs is`)
  })

  test('a row that counts twice is found', async () => {
    const row = await watchedMinute(built, 'total')
    const again = { ...row, topicEpoch: 1 }
    await built.live.speed.putMinutes([again])
    const report = await built.reconcile()
    await built.live.speed.putMinutes([{ ...again, aggregates: EMPTY_AGGREGATES }])
    expect(report).toMatchObject({ verdict: 'defect', minutes: { defects: 1 } })
    expect(report.defectsListed[0]).toMatchObject({ cut: 'total', key: '[]' })
  })

  test('a session of which no live row is left is found', async () => {
    const [session] = await built.live.speed.readRecentSessions(LIVE_VIEW, 1)
    if (session === undefined) throw new Error('there is a session')
    await built.live.speed.deleteSession(LIVE_VIEW, session.sessionId)
    const report = await built.reconcile()
    await built.live.speed.putSessions([session], [])
    expect(report).toMatchObject({ verdict: 'defect', sessions: { defects: 1 } })
    expect(report.defectsListed[0]).toMatchObject({
      kind: 'session',
      live: 'absent',
      history: 'present',
    })
  })

  test('what changed after the cut is pending, and never a difference', async () => {
    await fill(built.machine, built.clock, { late: false, seed: 12 })
    await built.live.catchUp()
    const report = await built.reconcile({ toMs: built.clock.nowMs() })
    expect(report.defectsListed).toEqual([])
    expect(report.pending).toBeGreaterThan(0)
  })
})

describe('of a log that the live view could not apply whole', () => {
  let built: Built
  beforeAll(async () => (built = await build({ late: true })), BUILD_TIMEOUT_MS)

  test('what it set aside is proven to be the whole difference', async () => {
    const report = await built.reconcile()
    expect(report.defectsListed).toEqual([])
    expect(report.verdict).toBe('explained')
    expect(report.exceptions['late']).toBeGreaterThan(0)
    expect(report.explained).toBeGreaterThan(0)
  })

  test('repair rewrites wrong rows from the history', async () => {
    const row = await watchedMinute(built, 'country')
    const { aggregates } = row
    await built.live.speed.putMinutes([
      { ...row, aggregates: { ...aggregates, events: aggregates.events + 7 } },
    ])
    const sessions = await built.live.speed.readRecentSessions(LIVE_VIEW, SESSIONS)
    const session = sessions.find(({ parts }) => parts.length > 0)
    if (session === undefined) throw new Error('there is a session')
    const quality = { ...session.quality, lost: session.quality.lost + 1 }
    await built.live.speed.putSessions([{ ...session, quality }], [])
    const found = await built.reconcile({ repair: true })
    expect(found.verdict).toBe('defect')
    expect(found.repaired).toEqual({ minutes: 1, sessions: 1, left: 0 })
    const after = await built.reconcile()
    expect(after.defectsListed).toEqual([])
    expect(after.verdict).toBe('explained')
  })
})

test(
  'an event that the live view dropped is found in its session and its minutes',
  async () => {
    let dropped = false
    const { reconcile: compare } = await build({
      alter: (record) => {
        const isOne = record.kind === 'frame' && record.offset >= 40 && record.events.length > 1
        if (dropped || !isOne) return record
        dropped = true
        return { ...record, events: record.events.slice(1) }
      },
    })
    expect(dropped).toBe(true)
    const report = await compare()
    expect(report).toMatchObject({ verdict: 'defect', sessions: { defects: 1 } })
    expect(report.minutes.defects).toBeGreaterThan(0)
  },
  BUILD_TIMEOUT_MS,
)

test('before the first run there is nothing to compare', async () => {
  const clock = new ImpatientClock(START_MS)
  const { machine, live } = await open(clock)
  await machine.ports.warehouse.ensureTables(allTables)
  const asked = reconcile(partsOf({ machine, live, clock }))
  await expect(asked).rejects.toThrow('BATCH_RECONCILE_NO_RUN')
})
