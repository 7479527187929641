/**
 * What the batch does between runs, under SIGKILL: at every step of settling late copies, of joining
 * small files and of rebuilding past days a real process is killed, twice in a row unless nothing is left to
 * do. The one after that ends with the objects, byte by byte, and the rows of one that was never disturbed.
 */
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ManualClock } from '../shared/runtime/clock.ts'
import type { FailpointName } from '../shared/runtime/failpoints.ts'
import { type AlteredRows, alterRows } from './testing/alter-rows.ts'
import { BatchMachine, PARTITIONS } from './testing/batch-machine.ts'
import { runToItsEnd } from './testing/kill-at.ts'
import { LateLog } from './testing/late-log.ts'
import { MonthLog } from './testing/month-log.ts'
import { fillLog } from './testing/scenario.ts'

const SCRIPT = join(import.meta.dirname, 'testing', 'upkeep-to-the-kill.ts')
/** A killed process keeps its lease for a minute of its clock: the next one starts later than that. */
const BETWEEN_TRIES_MS = 120_000
const DAY_MS = 86_400_000
const TIMEOUT_MS = 300_000

/** Where it is killed, and at which passing, at each try. */
type Kill = readonly [FailpointName, readonly number[]]

const LATE_KILLS: readonly Kill[] = [
  ['batch.afterLateInserts', [1, 1]],
  ['batch.afterLateFacts', [1, 1]],
  ['batch.afterLateSettled', [1]],
]
const COMPACT_KILLS: readonly Kill[] = [
  ['compact.afterPlan', [1]],
  ['compact.afterSomeFiles', [2, 1]],
  ['compact.afterLedger', [1]],
  ['compact.afterSomeDeletions', [2]],
]
const BACKFILL_KILLS: readonly Kill[] = [
  // In the rows of the first run, and of the second.
  ['batch.afterSomeInserts', [2, 3]],
  ['batch.afterSomeFacts', [1, 2]],
]
/** What the first run has loaded, and what was computed of it and of all sessions. */
const LOST: readonly AlteredRows[] = [
  { table: 'events', where: 'run = 1' },
  { table: 'event_copies', where: 'run = 1' },
  { table: 'sessions' },
  { table: 'qoe_minute', where: 'run = 1' },
]

let root: string
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'backhaul-upkeep-kill-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))

/** A folder that is prepared once, and copied for every kill. */
class Upkeep {
  readonly #name: string
  readonly #folder: string
  #nowMs = 0

  constructor(name: 'settle-late' | 'compact' | 'backfill') {
    this.#name = name
    this.#folder = join(root, name)
  }

  async prepare(work: (machine: BatchMachine, clock: ManualClock) => Promise<void>) {
    const clock = new ManualClock(Date.parse('2026-03-20T12:00:00Z'))
    const machine = await BatchMachine.open({ folder: this.#folder, clock })
    await work(machine, clock)
    await machine.closeStores()
    this.#nowMs = clock.nowMs()
  }

  /** What is there before, and after all tries, and which of them were killed. */
  async endOf(kills: Kill | [] = []) {
    const folder = await mkdtemp(`${this.#folder}-`)
    await cp(this.#folder, folder, { recursive: true })
    const before = await this.#contentOf(folder)
    const [name = '', passings = []] = kills
    const killed: boolean[] = []
    for (const [n, passing] of passings.entries())
      killed.push((await this.#try(folder, n, [name, `${passing}`])).killed)
    killed.push((await this.#try(folder, passings.length)).killed)
    const after = await this.#contentOf(folder)
    await rm(folder, { recursive: true, force: true })
    return { before, after, killed }
  }

  /** In a process of its own. */
  #try(folder: string, n: number, kill: readonly string[] = []) {
    const nowMs = this.#nowMs + n * BETWEEN_TRIES_MS
    return runToItsEnd([SCRIPT, this.#name, folder, String(nowMs), ...kill])
  }

  /** Of the warehouse's files and the lease nobody asks. */
  async #contentOf(folder: string) {
    const clock = new ManualClock(this.#nowMs + 100 * BETWEEN_TRIES_MS)
    const machine = await BatchMachine.open({ folder, clock })
    const names = (await machine.names('')).filter((name) => !/^(?:warehouse|leases)\//.test(name))
    const content = { names, raw: await machine.rawFiles(), tables: await machine.tables() }
    await machine.closeStores()
    return content
  }
}

type End = Awaited<ReturnType<Upkeep['endOf']>>

/** All tries but the last were killed. */
async function expectSame(upkeep: Upkeep, gold: End, kill: Kill): Promise<void> {
  const { killed, after } = await upkeep.endOf(kill)
  expect(killed).toEqual([...kill[1].map(() => true), false])
  expect(after.names).toEqual(gold.after.names)
  expect(after.raw).toEqual(gold.after.raw)
  for (const [table, rows] of Object.entries(gold.after.tables))
    expect(after.tables[table], table).toEqual(rows)
}

describe('late copies that are settled', { timeout: TIMEOUT_MS }, () => {
  let upkeep: Upkeep
  let gold: End
  beforeAll(async () => {
    upkeep = new Upkeep('settle-late')
    await upkeep.prepare(async (machine, clock) => {
      const log = new LateLog(machine.ports.log, clock)
      await log.goOn()
      await machine.run()
      await log.follow()
    })
    gold = await upkeep.endOf()
  }, TIMEOUT_MS)

  it('undisturbed, leave nothing that waits', () => {
    expect(gold.before.tables['late_events']?.length).toBeGreaterThan(0)
    expect(gold.after.tables['late_events']).toEqual([])
  })

  it.each(LATE_KILLS)('killed at %s', (...kill) => expectSame(upkeep, gold, kill))
})

describe('small files that are joined', { timeout: TIMEOUT_MS }, () => {
  let upkeep: Upkeep
  let gold: End
  beforeAll(async () => {
    upkeep = new Upkeep('compact')
    await upkeep.prepare(async (machine, clock) => {
      const { log } = machine.ports
      for (let seed = 1; seed <= 2; seed += 1) {
        await fillLog({ log, clock, partitions: PARTITIONS, seed, turns: 6 })
        // The first day is over in the log once something of the next is taken.
        if (seed === 1) await clock.advance(DAY_MS)
        await machine.run()
      }
    })
    gold = await upkeep.endOf()
  }, TIMEOUT_MS)

  it('undisturbed, are fewer', () => {
    expect(gold.after.raw.size).toBeLessThan(gold.before.raw.size)
  })

  it.each(COMPACT_KILLS)('killed at %s', (...kill) => expectSame(upkeep, gold, kill))
})

describe('past days that are rebuilt', { timeout: TIMEOUT_MS }, () => {
  let upkeep: Upkeep
  let gold: End
  beforeAll(async () => {
    upkeep = new Upkeep('backfill')
    await upkeep.prepare(async (machine, clock) => {
      const log = new MonthLog(machine.ports.log, clock)
      await log.appendDay(1)
      await machine.run()
      await log.appendDay(2)
      await log.end()
      await machine.run()
      for (const rows of LOST) await alterRows(machine.ports.warehouse, rows)
    })
    gold = await upkeep.endOf()
  }, TIMEOUT_MS)

  it('undisturbed, bring back what was lost', () => {
    for (const { table } of LOST)
      expect(gold.after.tables[table]?.length, table).toBeGreaterThan(
        gold.before.tables[table]?.length ?? 0,
      )
  })

  it.each(BACKFILL_KILLS)('killed at %s', (...kill) => expectSame(upkeep, gold, kill))
})
