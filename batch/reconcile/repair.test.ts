import { afterAll, beforeAll, expect, test } from 'vitest'
import { acquireLease } from '../../shared/objects/lease.ts'
import { mergeMinuteRows, REPAIR_PARTITION } from '../../shared/speed/row-merge.ts'
import { readProgress } from '../../shared/speed/generations.ts'
import { paneLifeOf } from '../../shared/qoe/fold.ts'
import type { MinuteAggregates } from '../../shared/qoe/aggregates.ts'
import type { MinuteRow } from '../../shared/speed/rows.ts'
import { LEASE_NAME } from '../object-names.ts'
import { PARTITIONS } from '../testing/batch-machine.ts'
import { ComparedMachine } from '../testing/compared-machine.ts'
import { LIVE_VIEW } from '../testing/live-side.ts'

/** A machine under load takes its time for a thousand durable appends, and for the SQL. */
const DEADLINE_MS = 300_000
const POSITIONS_MAX = 1_000

let built: ComparedMachine
beforeAll(async () => {
  built = await ComparedMachine.open()
  await built.watch({ seed: 11, late: true })
  await built.catchUp()
}, DEADLINE_MS)
afterAll(() => built.close())

/** What readers take for the minute of the row. */
async function served({
  cut,
  key,
  minuteStartMs,
}: MinuteRow): Promise<MinuteAggregates | undefined> {
  const { speed } = built.live
  const progress = readProgress(
    await speed.readPartitions(LIVE_VIEW),
    PARTITIONS,
    paneLifeOf(built.parts.limits),
  )
  const range = { fromMs: minuteStartMs, toMs: minuteStartMs + 1 }
  const rows = await speed.readMinutes({ view: LIVE_VIEW, cut, ...range, limit: 10_000 })
  return mergeMinuteRows(rows, 'narrow', progress).get(minuteStartMs)?.get(key)
}

/** Sessions of which the live view set nothing aside, so that a repair changes nothing in them. */
async function wholeSessions() {
  const sessions = await built.sessions()
  return sessions.filter(({ quality }) => quality.late + quality.amended + quality.afterClose === 0)
}

test(
  'wrong and lost rows of minutes and sessions are rewritten, and serve what they were',
  { timeout: DEADLINE_MS },
  async () => {
    const { speed } = built.live
    const before = await built.reconcile()
    expect(before.verdict).toBe('explained')
    const minute = await built.watchedMinute('country')
    const right = await served(minute)
    const [wrong, lost] = await wholeSessions()
    if (wrong === undefined || lost === undefined) throw new Error('there are sessions')
    const positions = await speed.readPositions(lost, 0, POSITIONS_MAX)

    const { aggregates } = minute
    const altered = { ...aggregates, events: aggregates.events + 7 }
    await speed.putMinutes([{ ...minute, aggregates: altered }])
    const quality = { ...wrong.quality, lost: wrong.quality.lost + 1 }
    await speed.putSessions([{ ...wrong, quality }], [])
    await speed.deleteSession(LIVE_VIEW, lost.sessionId)

    const found = await built.reconcile({ repair: true })
    expect(found).toMatchObject({ verdict: 'defect', defects: 3 })
    expect(found.repaired).toEqual({ minutes: 1, sessions: 2, left: 0 })
    const after = await built.reconcile()
    expect(after.defectsListed).toEqual([])
    expect(after).toMatchObject({ verdict: 'explained', compared: before.compared })

    expect(await served(minute)).toEqual({ ...right, late: 0 })
    expect(await speed.readSession(LIVE_VIEW, wrong.sessionId)).toEqual([wrong])
    const [back] = await speed.readSession(LIVE_VIEW, lost.sessionId)
    const { stampUs, lastOffset, contextJson, quality: qualityBack, ...rest } = back ?? lost
    expect(lost).toMatchObject(rest)
    expect(JSON.parse(contextJson)).toEqual(JSON.parse(lost.contextJson))
    expect(qualityBack.repairs).toEqual({ ...lost.quality.repairs, context: 0 })
    // The fold's own row, should it come again, is not kept out.
    expect([stampUs <= lost.stampUs, lastOffset <= lost.lastOffset]).toEqual([true, true])
    const positionsBack = await speed.readPositions(lost, 0, POSITIONS_MAX)
    expect(positionsBack.flatMap((row) => row.positions)).toEqual(
      positions.flatMap((row) => row.positions),
    )
  },
)

test(
  'a session that is in no log is removed, and others of its id come back',
  { timeout: DEADLINE_MS },
  async () => {
    const { speed } = built.live
    const [known] = await wholeSessions()
    if (known === undefined) throw new Error('there is a session')
    await speed.putSessions(
      [
        { ...known, sessionId: 'invented' },
        { ...known, incarnation: known.incarnation + 1 },
      ],
      [],
    )
    const found = await built.reconcile({ repair: true })
    expect(found.sessions.defects).toBe(2)
    expect(found.defectsListed).toMatchObject([{ history: 'absent' }, { history: 'absent' }])
    expect((await built.reconcile()).defectsListed).toEqual([])
    expect(await speed.readSession(LIVE_VIEW, 'invented')).toEqual([])
    const [back, ...more] = await speed.readSession(LIVE_VIEW, known.sessionId)
    expect(more).toEqual([])
    expect(back?.parts).toEqual(known.parts)
  },
)

test(
  'a session that is in no log is left while something of its id came after the cut',
  { timeout: DEADLINE_MS },
  async () => {
    const { speed } = built.live
    const [known] = await wholeSessions()
    if (known === undefined) throw new Error('there is a session')
    const invented = { ...known, incarnation: known.incarnation + 1 }
    const newer = { ...known, incarnation: 1_000_000, lastOffset: 1_000_000 }
    await speed.putSessions([invented, newer], [])
    const found = await built.reconcile({ repair: true })
    expect(found.sessions.defects).toBe(1)
    expect(found.repaired).toEqual({ minutes: 0, sessions: 0, left: 1 })
    const rows = await speed.readSession(LIVE_VIEW, known.sessionId)
    expect(rows.map(({ incarnation }) => incarnation).toSorted((a, b) => a - b)).toEqual([
      known.incarnation,
      invented.incarnation,
      newer.incarnation,
    ])

    await speed.deleteSession(LIVE_VIEW, known.sessionId)
    await speed.putSessions([known], [])
  },
)

test(
  'repaired minutes bear the topic epoch of the log as it is now',
  { timeout: DEADLINE_MS },
  async () => {
    const { speed } = built.live
    const minute = await built.watchedMinute('total', ({ partition }) => partition !== -1)
    const rows = await speed.readPartitions(LIVE_VIEW)
    // As after the topic was created anew: its rows count beside those of the epoch before.
    await speed.putPartitions(rows.map((row) => ({ ...row, topicEpoch: 3 })))
    await speed.putMinutes([{ ...minute, topicEpoch: 3 }])
    await built.reconcile({ repair: true })
    expect((await built.reconcile()).defectsListed).toEqual([])
    const repaired = await speed.readMinutes({
      view: LIVE_VIEW,
      cut: 'total',
      fromMs: minute.minuteStartMs,
      toMs: minute.minuteStartMs + 1,
      limit: 100,
    })
    const epochs = repaired.filter(({ partition }) => partition === REPAIR_PARTITION)
    expect(epochs.map(({ topicEpoch }) => topicEpoch)).toEqual([3])
  },
)

test(
  'what the live view has set aside stays out of a repaired row, and goes on to explain it',
  { timeout: DEADLINE_MS },
  async () => {
    const { speed } = built.live
    const before = await built.reconcile()
    const sessions = await built.sessions()
    const [session] = sessions.toSorted((a, b) => b.quality.afterClose - a.quality.afterClose)
    const lastMs = session?.parts.at(-1)?.lastEventTimeMs
    if (session === undefined || lastMs === undefined) throw new Error('there is a session')
    const minute = await built.watchedMinute(
      'total',
      ({ minuteStartMs }) => minuteStartMs === lastMs - (lastMs % 60_000),
    )
    const right = await served(minute)
    const { aggregates } = minute
    const altered = { ...aggregates, events: aggregates.events + 7 }
    await speed.putMinutes([{ ...minute, aggregates: altered }])
    const quality = { ...session.quality, lost: session.quality.lost + 1 }
    await speed.putSessions([{ ...session, quality }], [])

    const found = await built.reconcile({ repair: true })
    expect(found.repaired).toEqual({ minutes: 1, sessions: 1, left: 0 })
    const line = found.defectsListed.find(({ name }) => name === 'events')
    expect(Number(line?.expected)).toBeLessThan(Number(line?.history))
    expect(await served(minute)).toEqual({ ...right, late: 0 })
    expect(await speed.readSession(LIVE_VIEW, session.sessionId)).toEqual([session])
    const { verdict, defects, explained } = await built.reconcile()
    expect({ verdict, defects, explained }).toEqual({
      verdict: 'explained',
      defects: 0,
      explained: before.explained,
    })
  },
)

test(
  'a repair is refused while a run or another repair is under way; a comparison is not',
  { timeout: DEADLINE_MS },
  async () => {
    const { objects, clock } = built.parts
    const lease = await acquireLease(objects, {
      name: LEASE_NAME,
      holder: 'a run of the batch',
      durationMs: 60_000,
      clock,
    })
    try {
      await expect(built.reconcile({ repair: true })).rejects.toThrow('a run of the batch')
      expect((await built.reconcile()).verdict).toBe('explained')
    } finally {
      await lease.release()
    }
    await built.reconcile({ repair: true })
    expect(await built.machine.names('leases/')).toEqual([])
  },
)
