/**
 * Row 31 of the fault matrix: the log gets more partitions while sessions go on, and players send again
 * what they had sent before. All sessions are in the first partition up to a moment, and where their
 * ids say from then on.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { DeliveredFrame } from '../../loadtest/simulator/delivery.ts'
import {
  AUDIENCE_SESSIONS,
  ComparedMachine,
  partitionOfSession,
} from '../testing/compared-machine.ts'
import { LIVE_VIEW } from '../testing/live-side.ts'
import { reportText, type ReconcileReport } from './report.ts'

const BUILD_TIMEOUT_MS = 300_000

let machine: ComparedMachine
let report: ReconcileReport
/** Those that went on, in another partition than before. */
let moved: string[]

beforeAll(async () => {
  machine = await ComparedMachine.open()
  const frames = machine.audience({ seed: 11 }).toSorted((a, b) => a.arrivedAtMs - b.arrivedAtMs)
  const grownAtMs = frames[Math.floor(frames.length / 2)]?.arrivedAtMs ?? 0
  const [before, after] = [
    frames.filter(({ arrivedAtMs }) => arrivedAtMs < grownAtMs),
    frames.filter(({ arrivedAtMs }) => arrivedAtMs >= grownAtMs),
  ]
  const begun = new Set(before.map(({ sessionId }) => sessionId))
  const goOn = new Set(after.map(({ sessionId }) => sessionId).filter((id) => begun.has(id)))
  moved = [...goOn].filter((sessionId) => partitionOfSession({ sessionId }) !== 0).toSorted()
  await machine.append(before, () => 0)
  await machine.append([...lastOf(before, goOn), ...after])
  await machine.passTime()
  await machine.catchUp()
  report = await machine.reconcile()
}, BUILD_TIMEOUT_MS)

afterAll(() => machine.close())

/** The last frame of each session, again: what it does not know to be acknowledged. */
function lastOf(
  frames: readonly DeliveredFrame[],
  sessions: ReadonlySet<string>,
): DeliveredFrame[] {
  const last = new Map(frames.map((frame) => [frame.sessionId, frame]))
  return [...last.values()].filter(({ sessionId }) => sessions.has(sessionId))
}

test('what a session sent to two partitions is in the tables once, as one session', async () => {
  expect(moved.length).toBeGreaterThan(1)
  const sessions = await machine.machine.query(
    'SELECT DISTINCT session_id, incarnation FROM sessions',
  )
  expect(sessions).toHaveLength(AUDIENCE_SESSIONS)
  const twice = 'SELECT session_id, seq FROM events GROUP BY session_id, seq HAVING COUNT(*) > 1'
  expect(await machine.machine.query(twice)).toEqual([])
})

test('live has a session in each partition, and no other difference than these', async () => {
  const rows = await machine.sessions()
  const partitions = Map.groupBy(rows, ({ sessionId }) => sessionId)
  const several = [...partitions].filter(([, ofSession]) => ofSession.length > 1)
  expect(several.map(([sessionId]) => sessionId).toSorted()).toEqual(moved)
  expect(rows).toHaveLength(AUDIENCE_SESSIONS + moved.length)
})

test('the difference is proven to the integer, and the sessions are named', () => {
  expect(report.defectsListed).toEqual([])
  expect(report).toMatchObject({ verdict: 'explained', defects: 0 })
  expect(report.moved).toEqual({ sessions: moved.length, listed: moved })
  expect(report.sessions.explained).toBeLessThanOrEqual(2 * moved.length)
  expect(report.sessions.equal).toBe(AUDIENCE_SESSIONS - moved.length)
  expect(reportText(report)).toContain(
    `in several partitions, live a session in each: ${moved.length}`,
  )
})

test('a number that is altered in a minute of theirs is a defect all the same', async () => {
  const ofMoved = (await machine.sessions()).find(({ sessionId }) => moved.includes(sessionId))
  const minuteStartMs = Math.floor((ofMoved?.parts[0]?.firstEventTimeMs ?? 0) / 60_000) * 60_000
  const range = { fromMs: minuteStartMs, toMs: minuteStartMs + 60_000, limit: 100 }
  const [row] = await machine.live.speed.readMinutes({ view: LIVE_VIEW, cut: 'total', ...range })
  if (row === undefined) throw new Error('the minute has a row')
  const { aggregates } = row
  const altered = { ...row, aggregates: { ...aggregates, events: aggregates.events + 1 } }
  await machine.live.speed.putMinutes([altered])
  expect(await machine.reconcile()).toMatchObject({
    verdict: 'defect',
    defects: 1,
    defectsListed: [{ cut: 'total', key: '[]', name: 'events' }],
  })
  await machine.live.speed.putMinutes([row])
})
