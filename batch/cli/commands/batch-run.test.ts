import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openLmdbEventLog } from '../../../shared/log/lmdb-event-log.ts'
import { ManualClock } from '../../../shared/runtime/clock.ts'
import { BatchMachine, PARTITIONS } from '../../testing/batch-machine.ts'
import { fillLog } from '../../testing/scenario.ts'
import { runCommandLine } from '../command-line.ts'
import { commands } from '../commands.ts'
import { silentProgress } from '../progress.ts'

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
