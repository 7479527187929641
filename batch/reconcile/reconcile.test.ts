import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { DecodedRecord } from '../../shared/log/record.ts'
import { acquireLease } from '../../shared/objects/lease.ts'
import { EMPTY_AGGREGATES } from '../../shared/qoe/merge.ts'
import { ArmedFailpoints } from '../../shared/runtime/failpoints.ts'
import type { MinuteRow } from '../../shared/speed/rows.ts'
import { readReconcileSummary } from '../../shared/warehouse/reconcile-summary.ts'
import { allTables } from '../../shared/warehouse/tables.ts'
import { LEASE_NAME } from '../object-names.ts'
import {
  AUDIENCE_SESSIONS,
  ComparedMachine,
  type AudienceRequest,
} from '../testing/compared-machine.ts'
import { DELAYED, LASTING, LateLog } from '../testing/late-log.ts'
import { LIVE_VIEW } from '../testing/live-side.ts'
import { reportText } from './report.ts'

/** A machine under load takes its time for a thousand durable appends. */
const BUILD_TIMEOUT_MS = 300_000

/** The minutes of what came before lie within those that are compared. */
const MINUTES_MS = 5 * 60_000

const opened: ComparedMachine[] = []
afterAll(async () => {
  for (const machine of opened) await machine.close()
})

type Alter = (record: DecodedRecord) => DecodedRecord

async function open(alter?: Alter): Promise<ComparedMachine> {
  const machine = await ComparedMachine.open(alter)
  opened.push(machine)
  return machine
}

/** A log of an audience, folded, and loaded by one run of the batch. */
async function build(request: Partial<AudienceRequest> = {}, alter?: Alter) {
  const machine = await open(alter)
  await machine.watch({ seed: 11, ...request })
  await machine.catchUp()
  return machine
}

describe('of one log', () => {
  let built: ComparedMachine
  beforeAll(async () => (built = await build()), BUILD_TIMEOUT_MS)

  test('live and history are equal to the integer', async () => {
    const report = await built.reconcile()
    expect(report.defectsListed).toEqual([])
    expect(report).toMatchObject({ verdict: 'equal', defects: 0, explained: 0, run: 1 })
    expect(report.minutes.compared).toBeGreaterThan(300)
    expect(report.sessions.compared).toBe(AUDIENCE_SESSIONS)
    const summary = await readReconcileSummary(built.machine.ports.objects)
    expect(summary).toMatchObject({ verdict: 'equal', compared: report.compared })
  })

  test('an altered number is named by its key, its value and what it should be', async () => {
    const row = await built.watchedMinute('cdn')
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

  describe('of which a number of the history is altered', () => {
    let row: MinuteRow
    let restore: () => Promise<void>
    beforeAll(async () => {
      row = await built.watchedMinute('cdn')
      restore = await built.alterHistory(row)
    })
    afterAll(() => restore())

    test('the history is told to be the wrong side, with what it should be', async () => {
      const report = await built.reconcile()
      const { watchedMs } = row.aggregates
      expect(report).toMatchObject({ verdict: 'defect', defects: 1 })
      expect(report.defectsListed).toEqual([
        {
          kind: 'minute',
          cut: 'cdn',
          key: row.key,
          minute: new Date(row.minuteStartMs).toISOString(),
          name: 'watchedMs',
          live: `${watchedMs}`,
          history: `${watchedMs + 1}`,
          expected: `${watchedMs}`,
          wrong: 'history',
        },
      ])
      const told = `${watchedMs + 1} in history, where it should be ${watchedMs}: backfill the day`
      expect(reportText(report)).toContain(told)
    })

    test('a repair leaves the live row as it is', async () => {
      const report = await built.reconcile({ repair: true })
      expect(report.repaired).toEqual({ minutes: 0, sessions: 0, left: 1 })
      expect(await built.watchedMinute('cdn')).toEqual(row)
    })

    test('nothing is said of it while somebody writes the history', async () => {
      const { clock, parts } = built
      const of = { name: LEASE_NAME, holder: 'another', durationMs: 60_000, clock }
      const lease = await acquireLease(parts.objects, of)
      const report = await built.reconcile()
      await lease.release()
      expect(report).toMatchObject({ verdict: 'explained', defects: 0 })
    })
  })

  test('a row that counts twice is found', async () => {
    const row = await built.watchedMinute('total')
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

  test('a session is compared whole, wherever it ends within its minute', async () => {
    const sessions = await built.sessions()
    const last = Math.max(...sessions.map(({ lastLoggedAtMs }) => lastLoggedAtMs))
    const report = await built.reconcile({ fromMs: last, toMs: last + 1 })
    expect(report.minutes.compared + report.minutes.pending).toBe(0)
    expect(report.sessions).toMatchObject({ compared: 1, equal: 1 })
  })

  test('what changed after the cut is pending, and never a difference', async () => {
    await built.watch({ seed: 12 })
    await built.live.catchUp()
    const report = await built.reconcile({ toMs: built.clock.nowMs() })
    expect(report.defectsListed).toEqual([])
    expect(report.pending).toBeGreaterThan(0)
  })
})

test(
  'the sessions whose last events came just before the cut are compared, too',
  async () => {
    const machine = await open()
    const frames = machine.audience({ seed: 11 })
    await machine.append(frames.slice(0, frames.length / 2))
    await machine.catchUp()
    const { sessions } = await machine.reconcile()
    expect(sessions.compared + sessions.pending).toBe((await machine.sessions()).length)
    expect(sessions.equal).toBe(sessions.compared)
  },
  BUILD_TIMEOUT_MS,
)

describe('of which the live view set something aside', () => {
  let built: ComparedMachine
  beforeAll(async () => (built = await build({ late: true })), BUILD_TIMEOUT_MS)

  /** Whether the live view set something of it aside decides which of them is taken. */
  async function session(isExplained: boolean) {
    const sessions = await built.sessions()
    const found = sessions.find(
      ({ quality: { late, amended, afterClose } }) =>
        late + amended + afterClose > 0 === isExplained,
    )
    if (found === undefined) throw new Error('there is such a session')
    return found
  }

  test('that is proven to be the whole difference', async () => {
    const report = await built.reconcile()
    expect(report.defectsListed).toEqual([])
    expect(report.verdict).toBe('explained')
    expect(report.exceptions['late']).toBeGreaterThan(0)
    expect(report.explained).toBeGreaterThan(0)
    expect(report.erased).toBe(0)
  })

  test.for([
    { isExplained: true, name: 'of which something was set aside' },
    { isExplained: false, name: 'of which nothing was set aside' },
  ])(
    'a row of the history is told to be wrong that was altered in a session $name',
    async ({ isExplained }) => {
      const before = await built.reconcile()
      const live = await session(isExplained)
      const restore = await built.alterSession(live)
      const report = await built.reconcile({ repair: true })
      await restore()
      expect(report).toMatchObject({ verdict: 'defect', defects: 1 })
      expect(report.repaired).toEqual({ minutes: 0, sessions: 0, left: 1 })
      const [line] = report.defectsListed
      const history = Number(line?.history)
      expect(report.defectsListed).toEqual([
        {
          kind: 'session',
          key: `${live.sessionId}#${live.incarnation}`,
          name: 'part 0 watchedMs',
          live: `${live.parts[0]?.watchedMs}`,
          history: `${history}`,
          expected: `${history - 1}`,
          wrong: 'history',
        },
      ])
      expect(reportText(report)).toContain(`where it should be ${history - 1}: backfill the day`)
      expect(await built.reconcile()).toMatchObject({
        verdict: 'explained',
        explained: before.explained,
      })
    },
  )
})

test(
  'an event that the live view dropped is found in its session and its minutes',
  async () => {
    let dropped: string | undefined
    const machine = await build({}, (record) => {
      const isOne = record.kind === 'frame' && record.offset >= 40 && record.events.length > 1
      if (dropped !== undefined || !isOne) return record
      dropped = record.context.sessionId
      return { ...record, events: record.events.slice(1) }
    })
    expect(dropped).toBeDefined()
    const report = await machine.reconcile()
    expect(report).toMatchObject({ verdict: 'defect', sessions: { defects: 1 } })
    expect(report.minutes.defects).toBeGreaterThan(0)
    const [minutes, sessions] = ['minute', 'session'].map((kind) =>
      report.defectsListed.filter((line) => line.kind === kind),
    )
    expect(new Set(sessions?.map(({ key }) => key.split('#')[0]))).toEqual(new Set([dropped]))
    // The event is missing from the live rows of its minute in every cut.
    const total = minutes?.find(({ cut, name }) => cut === 'total' && name === 'events')
    expect(Number(total?.live)).toBe(Number(total?.expected) - 1)
  },
  BUILD_TIMEOUT_MS,
)

test('before the first run there is nothing to compare', async () => {
  const machine = await open()
  await machine.machine.ports.warehouse.ensureTables(allTables)
  await expect(machine.reconcile()).rejects.toThrow('BATCH_RECONCILE_NO_RUN')
})

test(
  'sessions of which copies wait are pending, and what they add to minutes is proven; then all is equal',
  async () => {
    const machine = await open()
    const log = new LateLog(machine.machine.ports.log, machine.clock)
    await log.begin()
    await machine.catchUp()
    await log.goOn()
    await log.pass(MINUTES_MS)
    await machine.catchUp()
    const waiting = await machine.reconcile()
    expect(waiting.defectsListed).toEqual([])
    expect(waiting.late).toEqual({ copies: 10, sessions: 2, listed: [DELAYED, LASTING] })
    expect(waiting).toMatchObject({ verdict: 'explained', sessions: { explained: 0 } })
    expect(waiting.minutes.explained).toBeGreaterThan(0)
    expect(waiting.sessions.pending).toBeGreaterThanOrEqual(2)
    expect(reportText(waiting)).toContain(`10 copies in late_events of 2 sessions: ${DELAYED}`)
    await cutOffSettling(machine)
    const cutOff = await machine.reconcile({ repair: true })
    expect(cutOff.defectsListed).toEqual([])
    expect(cutOff.late).toEqual(waiting.late)
    await machine.machine.batch().run({ settleLate: true })
    const settled = await machine.reconcile()
    expect(settled.defectsListed).toEqual([])
    expect(settled).toMatchObject({ defects: 0, late: { copies: 0, sessions: 0, listed: [] } })
    expect(settled.sessions.compared).toBe(waiting.sessions.compared + 2)
  },
  BUILD_TIMEOUT_MS,
)

/** Copies are in `events`, and nothing has been computed of them. */
async function cutOffSettling({ machine }: ComparedMachine): Promise<void> {
  const failpoints = new ArmedFailpoints()
  failpoints.arm('batch.afterLateInserts', () => {
    throw new Error('cut off')
  })
  await expect(machine.batch({ failpoints }).run({ settleLate: true })).rejects.toThrow('cut off')
}
