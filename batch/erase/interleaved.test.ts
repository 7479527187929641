/**
 * An erasure with other work of the batch between its steps: a run after it was cut off, and a compaction
 * that does not know that its lease is over.
 */
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { ManualClock } from '../../shared/runtime/clock.ts'
import { ArmedFailpoints, noFailpoints } from '../../shared/runtime/failpoints.ts'
import { compact } from '../compact/compact.ts'
import { COMPACTION_NAME } from '../object-names.ts'
import { over } from '../testing/altered-port.ts'
import { configOf, PARTITIONS } from '../testing/batch-machine.ts'
import {
  closeEraseMachine as close,
  ERASED,
  type EraseMachine as Opened,
  erasePartsOf as partsOf,
  everything,
  NEW,
  OLD,
  openEraseMachine as open,
  VIEWER,
  watch,
  watchLate,
} from '../testing/erase-machine.ts'
import { Gate, gated } from '../testing/gated-objects.ts'
import { fillLog } from '../testing/scenario.ts'
import { eraseViewer } from './erase.ts'

const DELAY_MS = 21 * 86_400_000
const LEASE_MS = 60_000
/** Of the viewer as well: its frame is logged long after it came. */
const LATE = 'seen-late'

let root: string
let prepared: string
let nowMs: number
let opened: Opened

/** Two runs on a day, and one three weeks later, which holds back what came on that day. */
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'backhaul-interleaved-'))
  prepared = join(root, 'prepared')
  const before = await open(prepared, Date.parse('2026-03-01T02:00:00Z'))
  const { machine, clock } = before
  for (let seq = 0; seq < 2; seq += 1) {
    await watch(before, seq)
    await fillLog({ log: machine.ports.log, clock, partitions: PARTITIONS, seed: seq, turns: 2 })
    await machine.run()
  }
  await close(before)
  const later = await open(prepared, clock.nowMs() + DELAY_MS)
  await watchLate(later, LATE, DELAY_MS)
  await watch(later, 2)
  await later.machine.run()
  nowMs = later.clock.nowMs()
  await close(later)
})
afterAll(() => rm(root, { recursive: true, force: true }))

beforeEach(async () => {
  const folder = await mkdtemp(join(root, 'copy-'))
  await cp(prepared, folder, { recursive: true })
  opened = await open(folder, nowMs)
})
afterEach(() => close(opened))

async function expectForgotten(): Promise<void> {
  const text = await everything(opened)
  for (const gone of [NEW, OLD, ...ERASED, LATE]) expect(text.includes(gone), gone).toBe(false)
  expect(text.includes('kept')).toBe(true)
  const { machine } = opened
  const present = await machine.query('SELECT file FROM ledger WHERE superseded_by IS NULL')
  expect(present.map(({ file }) => String(file)).toSorted()).toEqual(await machine.names('raw/'))
}

it('takes copies that wait before the events that a run would settle them into', async () => {
  const { machine } = opened
  const waiting = `SELECT session_id FROM late_events WHERE session_id = '${LATE}'`
  expect(await machine.query(waiting)).toHaveLength(1)
  const { warehouse } = machine.ports
  let isCutOff = false
  const killing = over(warehouse, {
    open: async () => {
      const session = await warehouse.open()
      return over(session, {
        replaceRows: async (request) => {
          const done = await session.replaceRows(request)
          if (request.table !== 'events') return done
          isCutOff = true
          throw new Error('killed')
        },
      })
    },
  })
  await expect(eraseViewer({ ...partsOf(opened), warehouse: killing }, VIEWER)).rejects.toThrow(
    'killed',
  )
  expect(isCutOff).toBe(true)
  await machine.batch().run({ settleLate: true })
  await eraseViewer(partsOf(opened), VIEWER)
  await expectForgotten()
})

it.each([
  { how: 'is through with its files', isThrough: true, end: /^done$/ },
  { how: 'has written some of its files', isThrough: false, end: /BATCH_OBJECT_MISSING/ },
])('plans anew when a compaction was at work meanwhile that $how', async ({ isThrough, end }) => {
  const { objects } = opened.machine.ports
  const [beforePlan, afterFiles] = [new Gate(), new Gate()]
  const failpoints = new ArmedFailpoints()
  if (!isThrough) failpoints.arm('compact.afterSomeFiles', () => afterFiles.pass())
  const zombie = compact({
    ...opened.machine.ports,
    objects: gated(objects, ['create', COMPACTION_NAME, 1], beforePlan),
    // It stands, so that the lease seems to be held.
    clock: new ManualClock(nowMs),
    config: configOf({ BATCH_LEASE_MS: `${LEASE_MS}` }),
    failpoints,
    holder: 'zombie',
  }).then(() => 'done', String)
  await beforePlan.stopped
  await opened.clock.advance(2 * LEASE_MS)
  let plans = 0
  const meanwhile = over(objects, {
    create: async (name, bytes) => {
      if (name.endsWith('-plan.json') && (plans += 1) === 1) {
        beforePlan.goOn()
        await Promise.race([zombie, afterFiles.stopped])
      }
      return objects.create(name, bytes)
    },
  })
  await eraseViewer({ ...partsOf(opened, noFailpoints), objects: meanwhile }, VIEWER)
  afterFiles.goOn()
  expect(await zombie).toMatch(end)
  expect(plans).toBe(2)
  await expectForgotten()
  expect(await opened.machine.names(COMPACTION_NAME)).toEqual([])
})
