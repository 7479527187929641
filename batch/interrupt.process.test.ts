/** The batch under SIGTERM in the midst of a long statement: it ends, and keeps nobody else waiting. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openFolderObjectStore } from '../shared/objects/folder-object-store.ts'
import { ManualClock, systemClock } from '../shared/runtime/clock.ts'
import { EXIT } from './cli/command.ts'
import { LEASE_NAME } from './object-names.ts'
import { BatchMachine, PARTITIONS } from './testing/batch-machine.ts'
import { fillLog } from './testing/scenario.ts'

const SLOW_MAIN = join(import.meta.dirname, 'testing', 'slow-command', 'main.ts')
const MAIN = join(import.meta.dirname, 'cli', 'main.ts')

let machine: BatchMachine
const started: ChildProcess[] = []
beforeEach(async () => {
  const clock = new ManualClock(Date.parse('2026-03-01T00:00:00Z'))
  machine = await BatchMachine.open({ clock })
  await fillLog({ log: machine.ports.log, clock, partitions: PARTITIONS, seed: 3, turns: 4 })
  await machine.closeStores()
  await writeFile(join(machine.folder, 'format.json'), '{"format":1}\n')
})
afterEach(async () => {
  // One that did not end by itself would compute for days.
  for (const child of started.splice(0)) child.kill('SIGKILL')
  await machine.close()
})

function batchRun(main: string) {
  const child = spawn(process.execPath, [main, 'batch', 'run'], {
    env: {
      PATH: process.env['PATH'],
      BACKHAUL_DATA_DIR: machine.folder,
      BACKHAUL_PARTITIONS: `${PARTITIONS}`,
      BATCH_FACT_BUCKETS: '1',
      // Longer than the test may take: who waits for the lease to end by itself fails.
      BATCH_LEASE_MS: '3600000',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  started.push(child)
  const ended = Promise.all([once(child, 'close'), text(child.stderr)]).then(
    ([[code], errors]) => ({ code: code as number | null, errors }),
  )
  return { child, ended }
}

async function holderOfLease(): Promise<string | undefined> {
  const folder = join(machine.folder, 'objects')
  const objects = await openFolderObjectStore({ folder, clock: systemClock })
  const found = await objects.read(LEASE_NAME)
  await objects.close()
  return found && Buffer.from(found.bytes).toString()
}

test('it gives up the statement and the lease, and the next run goes on at once', async () => {
  const slow = batchRun(SLOW_MAIN)
  await Promise.race([
    once(slow.child.stdout, 'data'),
    slow.ended.then((end) => expect.fail(JSON.stringify(end))),
  ])
  expect(await holderOfLease()).toContain(`backhaul ${slow.child.pid}`)
  slow.child.kill('SIGTERM')
  expect(await slow.ended).toEqual({
    code: EXIT.interrupted,
    errors: 'interrupted; the same command goes on where this one ended\n',
  })
  expect(await holderOfLease()).toBeUndefined()
  const next = batchRun(MAIN)
  const said = text(next.child.stdout)
  expect(await next.ended).toEqual({ code: EXIT.done, errors: '' })
  expect(await said).toContain('run 1 is complete, which was cut off before')
})
