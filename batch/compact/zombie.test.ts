/**
 * A compaction that is stopped, loses its lease without noticing, and goes on beside what a newer one
 * has done: at each of its steps. The files and the ledger are those of one that was never disturbed.
 */
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { encodeTick } from '../../shared/log/record.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import { ManualClock } from '../../shared/runtime/clock.ts'
import {
  ArmedFailpoints,
  type FailpointName,
  noFailpoints,
} from '../../shared/runtime/failpoints.ts'
import { COMPACTION_NAME } from '../object-names.ts'
import { BatchMachine, configOf, PARTITIONS } from '../testing/batch-machine.ts'
import { runOfFiles } from '../testing/files-of-run.ts'
import { Gate, gated, type ObjectStop } from '../testing/gated-objects.ts'
import { compact, type CompactParts } from './compact.ts'

const DAY_MS = 86_400_000
const LEASE_MS = 60_000
const TIMEOUT_MS = 120_000

let root: string
let prepared: string
let nowMs: number
let gold: Awaited<ReturnType<typeof endOf>>

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'backhaul-zombie-'))
  prepared = join(root, 'prepared')
  const clock = new ManualClock(Date.parse('2026-03-20T12:00:00Z'))
  const machine = await BatchMachine.open({ folder: prepared, clock })
  // The first day is over in the log once something of the next is taken.
  for (const isNextDay of [false, false, true]) await takeTicks(machine, clock, isNextDay)
  nowMs = clock.nowMs()
  await machine.closeStores()
  await inCopy(async (machine) => {
    await compact(partsOf(machine, nowMs))
    gold = await endOf(machine)
  })
}, TIMEOUT_MS)
afterAll(() => rm(root, { recursive: true, force: true }))

async function takeTicks(machine: BatchMachine, clock: ManualClock, isNextDay: boolean) {
  if (isNextDay) await clock.advance(DAY_MS)
  for (let partition = 0; partition < PARTITIONS; partition += 1)
    await machine.ports.log.append(TOPICS.events, partition, [encodeTick(), encodeTick()])
  await runOfFiles({ ports: machine.ports, clock })
}

async function inCopy(
  work: (machine: BatchMachine, ofLedger: ArmedFailpoints, clock: ManualClock) => Promise<void>,
) {
  const folder = await mkdtemp(join(root, 'copy-'))
  await cp(prepared, folder, { recursive: true })
  const failpoints = new ArmedFailpoints()
  const clock = new ManualClock(nowMs)
  const machine = await BatchMachine.open({ folder, clock, failpoints })
  try {
    await work(machine, failpoints, clock)
  } finally {
    await machine.close()
  }
}

/** On a clock of its own, which stands: so it keeps believing that the lease is its own. */
function partsOf({ ports }: BatchMachine, atMs: number): CompactParts {
  const clock = new ManualClock(atMs)
  const config = configOf({ BATCH_LEASE_MS: `${LEASE_MS}` })
  return { ...ports, clock, config, failpoints: noFailpoints, holder: `at ${atMs}` }
}

/** Of raw files and what says where they are. */
async function endOf(machine: BatchMachine) {
  const ledger = await machine.query('SELECT * FROM ledger ORDER BY file, sha256')
  const listed = ledger.flatMap((row) => (row['superseded_by'] === null ? [row['file']] : []))
  return { listed, ledger, raw: await machine.rawFiles(), others: await machine.names('batch/') }
}

/** Where the zombie stops: at an object, or before it swaps the ledger's files. */
type Stop = ObjectStop | 'ledger'

const STOPS: readonly Stop[] = [
  ['create', COMPACTION_NAME, 1],
  ['create', 'raw/', 1],
  ['create', 'raw/', 2],
  'ledger',
  ['delete', 'raw/', 1],
  ['delete', 'raw/', 3],
  ['delete', COMPACTION_NAME, 1],
]

async function killedAt(machine: BatchMachine, atMs: number, name: FailpointName): Promise<void> {
  const failpoints = new ArmedFailpoints()
  failpoints.arm(name, () => Promise.reject(new Error('killed')))
  await expect(compact({ ...partsOf(machine, atMs), failpoints })).rejects.toThrow('killed')
}

/** Resolves when it stands before the step, with what lets it go on to its end. */
async function stoppedAt(
  machine: BatchMachine,
  atMs: number,
  stop: Stop,
  ofLedger: ArmedFailpoints,
) {
  const gate = new Gate()
  if (stop === 'ledger')
    ofLedger.arm('warehouse.afterFiles', () => {
      ofLedger.arm('warehouse.afterFiles', undefined)
      return gate.pass()
    })
  const { objects } = machine.ports
  const ofZombie = stop === 'ledger' ? objects : gated(objects, stop, gate)
  const parts = { ...partsOf(machine, atMs), objects: ofZombie }
  const zombie = compact(parts).then(() => 'done', String)
  await Promise.race([gate.stopped, zombie.then((end) => expect.fail(`ended: ${end}`))])
  return () => (gate.goOn(), zombie)
}

it('has something to join, of every partition', () => {
  expect(gold.raw.size).toBe(PARTITIONS * 2)
  expect(gold.ledger.length).toBeGreaterThan(PARTITIONS * 3)
})

/** Where it stops, and whether it goes on with one that was killed. */
const ZOMBIES = [
  ...STOPS.map((stop) => [String(stop), false, stop] as const),
  ...([['create', 'raw/', 1], 'ledger', ['delete', 'raw/', 1]] satisfies Stop[]).map(
    (stop: Stop) => [String(stop), true, stop] as const,
  ),
]

it.each(ZOMBIES)(
  'stopped before %s, after a killed one: %s, it changes nothing',
  (_, isAfterKilled, stop) =>
    inCopy(async (machine, ofLedger) => {
      if (isAfterKilled) await killedAt(machine, nowMs, 'compact.afterSomeFiles')
      const goOn = await stoppedAt(machine, nowMs + 2 * LEASE_MS, stop, ofLedger)
      await compact(partsOf(machine, nowMs + 4 * LEASE_MS))
      await goOn()
      // What it has left standing, the next one finishes.
      await compact(partsOf(machine, nowMs + 6 * LEASE_MS))
      const end = await endOf(machine)
      expect(end).toEqual(gold)
      expect([...end.raw.keys()]).toEqual(end.listed)
    }),
  TIMEOUT_MS,
)

it(
  'takes away no plan but its own',
  () =>
    inCopy(async (machine, ofLedger, clock) => {
      const stop = ['delete', COMPACTION_NAME, 1] as const
      const goOn = await stoppedAt(machine, nowMs, stop, ofLedger)
      await compact(partsOf(machine, nowMs + 2 * LEASE_MS))
      for (const isNextDay of [false, true]) await takeTicks(machine, clock, isNextDay)
      await killedAt(machine, clock.nowMs(), 'compact.afterPlan')
      await goOn()
      expect(await machine.names(COMPACTION_NAME)).toEqual([COMPACTION_NAME])
    }),
  TIMEOUT_MS,
)
