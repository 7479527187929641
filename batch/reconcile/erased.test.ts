import { afterAll, beforeAll, expect, test } from 'vitest'
import { noFailpoints } from '../../shared/runtime/failpoints.ts'
import type { LogRecord } from '../../shared/log/event-log.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import type { MinuteRow } from '../../shared/speed/rows.ts'
import { eraseViewer } from '../erase/erase.ts'
import { over } from '../testing/altered-port.ts'
import { PARTITIONS } from '../testing/batch-machine.ts'
import { ComparedMachine, pseudonymiser } from '../testing/compared-machine.ts'
import { LIVE_VIEW, ROW_RETENTION_MS } from '../testing/live-side.ts'
import { reconcile } from './reconcile.ts'
import { reportText, type ReconcileReport } from './report.ts'

/** A machine under load takes its time for a thousand durable appends. */
const BUILD_TIMEOUT_MS = 300_000

let built: ComparedMachine
let erasedAtMs: number
let report: ReconcileReport

/**
 * A viewer is erased while many watch, so that the next run computes minutes anew that the live view
 * counts the viewer in; the fold goes on with the viewer's sessions.
 */
beforeAll(async () => {
  built = await ComparedMachine.open()
  const frames = built.audience({ seed: 11, late: true })
  const middle = Math.floor(frames.length / 2)
  await built.append(frames.slice(0, middle))
  await built.catchUp()
  const open = frames.slice(middle).map(({ sessionId }) => sessionId)
  const viewerId = frames
    .slice(0, middle)
    .findLast(({ sessionId, context }) => open.includes(sessionId) && context.viewerId)
    ?.context.viewerId
  if (viewerId === undefined) throw new Error('somebody is in the middle of watching')
  await erase(viewerId)
  await built.append(frames.slice(middle))
  await built.passTime()
  await built.catchUp()
  report = await built.reconcile()
}, BUILD_TIMEOUT_MS)
afterAll(() => built.close())

async function erase(viewerId: string): Promise<void> {
  const { log, objects, warehouse, speed, clock } = built.parts
  await eraseViewer(
    {
      log,
      objects,
      warehouse,
      speed,
      clock,
      failpoints: noFailpoints,
      pseudonymiser,
      views: [LIVE_VIEW],
      leaseMs: 60_000,
      holder: 'test',
      logRetentionMs: ROW_RETENTION_MS,
      rowRetentionMs: ROW_RETENTION_MS,
    },
    viewerId,
  )
  erasedAtMs = clock.nowMs()
}

/** Ids of the sessions that the erasure has taken out. */
async function erasedSessions(): Promise<string[]> {
  const names = await built.machine.names('erasures/')
  const plan = names.find((name) => name.endsWith('-plan.json')) ?? ''
  const stored = await built.parts.objects.read(plan)
  const text = Buffer.from(stored?.bytes ?? []).toString()
  return (JSON.parse(text) as { readonly sessions: string[] }).sessions
}

/** Reconciles while the live row has another count of events. */
async function withEvents(row: MinuteRow, events: number, log = built.parts.log) {
  const altered = { ...row, aggregates: { ...row.aggregates, events } }
  await built.live.speed.putMinutes([altered])
  const found = await reconcile({ ...built.parts, log })
  await built.live.speed.putMinutes([row])
  return found
}

/** The minute in which the fold last heard of a session that the history has forgotten. */
async function erasedMinute(): Promise<MinuteRow> {
  const sessions = await erasedSessions()
  const rows = await built.sessions()
  const parts = rows
    .filter(({ sessionId }) => sessions.includes(sessionId))
    .flatMap((row) => row.parts)
  const lastMs = Math.max(...parts.map(({ lastEventTimeMs }) => lastEventTimeMs))
  expect(lastMs).toBeGreaterThan(erasedAtMs)
  return built.watchedMinute(
    'total',
    ({ minuteStartMs }) => minuteStartMs === lastMs - (lastMs % 60_000),
  )
}

test(
  'what an erasure took from the history is proven to explain the difference, and nothing else',
  async () => {
    expect(report.defectsListed).toEqual([])
    expect(report.verdict).toBe('explained')
    expect(report.minutes.erased).toBeGreaterThan(10)
    expect(report.sessions.erased).toBeGreaterThan(0)
    expect(report.erased).toBe(report.minutes.erased + report.sessions.erased)
    expect(report.explained).toBeGreaterThan(0)
    expect(report.compared).toBeGreaterThan(report.erased + report.explained)
    // A defect beside it, in a minute that counts the viewer, too.
    const row = await erasedMinute()
    const found = await withEvents(row, row.aggregates.events + 1)
    expect(found).toMatchObject({ verdict: 'defect', defects: 1, compared: report.compared })
    expect(found.minutes.erased + found.minutes.explained).toBe(
      report.minutes.erased + report.minutes.explained - 1,
    )
    const [line] = found.defectsListed
    expect(line).toMatchObject({ cut: 'total', key: row.key, name: 'events' })
    expect(Number(line?.live)).toBe(Number(line?.expected) + 1)
    expect(Number(line?.expected)).toBeGreaterThan(Number(line?.history))
    expect(reportText(found)).toContain(`total ${row.key}: events is`)
    // What was read again for the proof is kept nowhere.
    const sessions = await erasedSessions()
    expect(sessions.length).toBeGreaterThan(0)
    for (const prefix of ['batch/', 'raw/'])
      for (const name of await built.machine.names(prefix)) {
        const stored = await built.parts.objects.read(name)
        const text = Buffer.from(stored?.bytes ?? []).toString('latin1')
        expect(sessions.filter((id) => text.includes(id))).toEqual([])
      }
  },
  BUILD_TIMEOUT_MS,
)

test(
  'where the log has forgotten how a session of the viewer began, nobody can judge it to its end',
  async () => {
    const second = await secondOfErased()
    const log = over(built.parts.log, {
      offsets: async (topic, partition) => {
        const { start, end } = await built.parts.log.offsets(topic, partition)
        const isForgotten = topic === TOPICS.events && partition === second.partition
        return { start: isForgotten ? second.offset : start, end }
      },
    })
    const found = await reconcile({ ...built.parts, log })
    expect(found.defectsListed).toEqual([])
    expect(found.verdict).toBe('explained')
    expect(found.pending).toBeGreaterThan(report.pending)
  },
  BUILD_TIMEOUT_MS,
)

/** Where the longest of the erased sessions has its second record. */
async function secondOfErased(): Promise<{ readonly partition: number; readonly offset: number }> {
  const found: LogRecord[][] = []
  const request = { fromOffset: 0, maxRecords: 10_000, maxBytes: 2 ** 26, waitMs: 0 }
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    const { records } = await built.parts.log.read(TOPICS.events, partition, request)
    for (const id of await erasedSessions()) found.push(records.filter(({ key }) => key === id))
  }
  const [, second] = found.toSorted((a, b) => b.length - a.length)[0] ?? []
  if (second === undefined) throw new Error('the log holds a session of the viewer')
  return second
}

test(
  'where the log has forgotten the viewer, too, nobody can judge; what is too small is a defect all the same',
  async () => {
    const ends = await Promise.all(
      [0, 1].map(async (one) => (await built.parts.log.offsets(TOPICS.events, one)).end),
    )
    const log = over(built.parts.log, {
      // But for the last ticks.
      offsets: (topic, partition) =>
        topic === TOPICS.events
          ? Promise.resolve({ start: (ends[partition] ?? 0) - 1, end: ends[partition] ?? 0 })
          : built.parts.log.offsets(topic, partition),
    })
    const forgotten = await reconcile({ ...built.parts, log })
    expect(forgotten.defectsListed).toEqual([])
    expect(forgotten).toMatchObject({ verdict: 'explained', erased: 0 })
    expect(forgotten.pending).toBe(report.pending + report.erased)
    const row = await built.watchedMinute('total')
    const found = await withEvents(row, 1, log)
    expect(found).toMatchObject({ verdict: 'defect', defects: 1 })
    expect(found.defectsListed[0]).toMatchObject({ cut: 'total', key: row.key })
  },
  BUILD_TIMEOUT_MS,
)
