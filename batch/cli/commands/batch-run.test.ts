import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openLmdbEventLog } from '../../../shared/log/lmdb-event-log.ts'
import { TOPICS } from '../../../shared/log/topics.ts'
import { openFolderObjectStore } from '../../../shared/objects/folder-object-store.ts'
import { ManualClock } from '../../../shared/runtime/clock.ts'
import type { RunPlan } from '../../dry-run/plan-run.ts'
import { keepPart } from '../../parts.ts'
import type { RunReport } from '../../report.ts'
import { BatchMachine, PARTITIONS } from '../../testing/batch-machine.ts'
import { fillLog } from '../../testing/scenario.ts'
import { runCommandLine } from '../command-line.ts'
import { commands } from '../commands.ts'
import { silentProgress } from '../progress.ts'
import { isTooLarge, planText } from './run-plan.ts'

const START_MS = 1_772_323_200_000

let machine: BatchMachine
let clock: ManualClock

/** A machine whose first run was cut off after it had taken its cut; then the log went on. */
beforeEach(async () => {
  clock = new ManualClock(START_MS)
  machine = await BatchMachine.open({ clock })
  await fillLog({ log: machine.ports.log, clock, partitions: PARTITIONS, seed: 3, turns: 10 })
  const ended = new AbortController()
  const onStep = (step: string) => {
    if (step === 'flatten') ended.abort()
  }
  await machine
    .batch()
    .run({ signal: ended.signal, onStep })
    .catch((error: unknown) => {
      if (!ended.signal.aborted) throw error
    })
  await machine.closeStores()
  const log = await openLmdbEventLog({
    folder: join(machine.folder, 'log'),
    mapBytes: 2 ** 28,
    clock,
  })
  await fillLog({ log, clock, partitions: PARTITIONS, seed: 4, turns: 30 })
  await log.close()
  await clock.advance(1)
  await writeFile(join(machine.folder, 'format.json'), '{"format":1}\n')
})
afterEach(() => machine.close())

async function batchRun(...args: readonly string[]) {
  const output: string[] = []
  const code = await runCommandLine(['batch', 'run', ...args], {
    commands,
    environment: {
      BACKHAUL_DATA_DIR: machine.folder,
      BACKHAUL_PARTITIONS: `${PARTITIONS}`,
      BATCH_FACT_BUCKETS: '1',
      BATCH_RUN_RECORDS_MAX: '10',
    },
    readFile: () => '',
    clock,
    progress: silentProgress,
    signal: new AbortController().signal,
    output: (text) => output.push(text),
    errors: (text) => output.push(text),
  })
  return { code, output: output.join('\n') }
}

describe('after a run that was cut off', () => {
  test('one run goes on with it, and says that more came since', async () => {
    const { code, output } = await batchRun()
    expect(code).toBe(0)
    expect(output).toContain('run 1 is complete, which was cut off before; what came after 2026-')
    expect((await batchRun()).output).toContain('run 2 is complete\n')
  })

  test('--all goes on until what the log held is loaded, over the bounds of one run', async () => {
    const { code, output } = await batchRun('--all', '--json')
    expect(code).toBe(0)
    const { runs } = JSON.parse(output) as { runs: readonly { run: number }[] }
    expect(runs.length).toBeGreaterThan(2)
    expect((await batchRun()).output).toBe('nothing new since the last run')
  })
})

describe('a dry run', () => {
  const planned = async () => {
    const { code, output } = await batchRun('--dry-run', '--json')
    expect(code).toBe(0)
    return JSON.parse(output) as RunPlan
  }
  const done = async () => JSON.parse((await batchRun('--json')).output) as RunReport

  test('says what a run would take that was cut off, which then takes exactly that', async () => {
    const before = await objectsOf(machine.folder)
    const plan = await planned()
    expect(await objectsOf(machine.folder)).toEqual(before)
    expect(plan).toMatchObject({ run: 1, isBegun: true, isBusy: false, problems: [] })
    expect((await batchRun('--dry-run', '--settle-late')).code).toBe(2)
    const { run, topics } = await done()
    expect(run).toBe(1)
    expect(plan.records).toBe(sum(topics.map(({ counts }) => counts.records)))
    expect(plan.objects.rawFilesAtLeast).toBe(sum(topics.map(({ files }) => files)))
  })

  test('says what a new run would take, and that nobody bills files', async () => {
    await batchRun()
    const plan = await planned()
    expect(plan).toMatchObject({ run: 2, isBegun: false, days: { first: '2026-03-01' } })
    expect(plan).not.toHaveProperty('estimate')
    const { output } = await batchRun('--dry-run')
    expect(output).toContain(`run 2 would take up to ${plan.records} records of`)
    expect(output).toContain('nobody bills')
    expectTooLarge(plan)
    const { topics } = await done()
    expect(sum(topics.map(({ counts }) => counts.records))).toBe(plan.records)
    expect(sum(topics.map(({ files }) => files))).toBeGreaterThanOrEqual(
      plan.objects.rawFilesAtLeast,
    )
  })

  test('makes no table where no run has been', async () => {
    await rm(join(machine.folder, 'objects'), { recursive: true })
    expect(await planned()).toMatchObject({ run: 1, isBegun: false })
    expect(await objectsOf(machine.folder)).toEqual([])
  })
})

/** Of a statement that reads more than it may. */
function expectTooLarge(plan: RunPlan): void {
  const reads = { statements: 1, bytesRead: 3 * 2 ** 30, bytesReadAtOnce: 11 }
  const large = { ...plan, estimate: { ...reads, bytesBilledMax: 10 } }
  expect(isTooLarge(large)).toBe(true)
  expect(planText(large)).toContain('1 statement would read 3.0 GiB of tables')
  expect(planText(large)).toContain('raise BIGQUERY_MAXIMUM_MIB_BILLED')
  expect(isTooLarge({ ...plan, estimate: { ...reads, bytesBilledMax: 11 } })).toBe(false)
}

/** Every object with its generation. */
async function objectsOf(folder: string) {
  const objects = await openFolderObjectStore({ folder: join(folder, 'objects'), clock })
  const listed = await objects.list('', { limit: 10_000 })
  await objects.close()
  return listed
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

describe('when a partition could not be read', () => {
  test.each([
    { code: 75, line: [], whose: 'a run asks to be tried again' },
    { code: 0, line: ['--shard', '0/1', '--merge'], whose: 'a merge leaves it to the next job' },
  ])('$whose', async ({ code, line }) => {
    await batchRun()
    // Takes the cut, and has no range of it.
    expect((await batchRun('--shard', '49/50')).code).toBe(0)
    const objects = await openFolderObjectStore({ folder: join(machine.folder, 'objects'), clock })
    const problem = {
      topic: TOPICS.events,
      partition: 0,
      code: 'BATCH_PARTITION_UNREADABLE',
      message: 'no broker',
    }
    await keepPart(objects, { run: 2, range: 0, written: { problem, files: [] }, staging: [] })
    await objects.close()
    const done = await batchRun(...line)
    expect(done.output).toContain('run 2 is complete')
    expect(done.output).toContain('left out: playback.events/0: no broker')
    expect(done.code).toBe(code)
  })
})
