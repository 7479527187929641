/** The batch with its objects in a bucket: the same files and tables as in a folder, whatever befalls it. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startGcs, type Gcs } from '../scripts/services/gcs.ts'
import { bucketEnvironment, freshBucket, openBucket } from '../shared/objects/testing/gcs-bucket.ts'
import { ManualClock } from '../shared/runtime/clock.ts'
import { openDuckDbWarehouse } from '../shared/warehouse/duckdb-warehouse.ts'
import {
  BatchMachine,
  PARTITIONS,
  rawFilesOf,
  tablesOf,
  type Ports,
} from './testing/batch-machine.ts'
import { CommandsOn, expectRefusal } from './testing/commands-on.ts'
import { fillLog } from './testing/scenario.ts'

let gcs: Gcs
let bucket: string
let clock: ManualClock
let machine: BatchMachine
let inBucket: Pick<Ports, 'objects' | 'warehouse'>

beforeAll(async () => {
  gcs = await startGcs()
  bucket = await freshBucket(gcs)
  clock = new ManualClock(1_772_323_200_000)
  machine = await BatchMachine.open({ clock })
  await fillLog({ log: machine.ports.log, clock, partitions: PARTITIONS, seed: 3, turns: 20 })
  const objects = await openBucket(gcs, bucket)
  const warehouse = await openDuckDbWarehouse({
    store: objects,
    temporaryFolder: join(machine.folder, 'temporary'),
    memoryMaxBytes: 512 * 2 ** 20,
    threads: 1,
    clock,
  })
  inBucket = { objects, warehouse }
})
afterAll(async () => {
  await inBucket.warehouse.close()
  await inBucket.objects.close()
  await machine.close()
  await gcs.stop()
})

/** A batch on the machine's log whose objects are in the bucket. */
const batchOf = (holder: string) =>
  machine.batch({ holder, wrap: ({ log }) => ({ log, ...inBucket }) })

it('ends with the files and tables of a folder, though the bucket fails now and then, and for long', async () => {
  // A bucket that is gone in the middle of a run ends the run.
  const cutOff = batchOf('first').run({
    onStep: (step) => {
      if (step === 'flatten')
        gcs.proxy.inject({ effect: { kind: 'refused', status: 503, reason: 'backendError' } })
    },
  })
  await expect(cutOff).rejects.toMatchObject({ code: 'OBJECT_UNAVAILABLE' })
  gcs.proxy.heal()
  // That run could not give its lease up: it keeps others out until it ends by itself.
  await expect(batchOf('second').run()).rejects.toMatchObject({ code: 'LEASE_HELD' })
  await clock.advance(60_000)

  let writes = 0
  let reads = 0
  gcs.proxy.inject({
    to: ({ method }) => method === 'POST' && (writes += 1) % 4 === 1,
    effect: { kind: 'answerLost' },
  })
  gcs.proxy.inject({
    to: ({ method }) => method === 'GET' && (reads += 1) % 20 === 0,
    effect: { kind: 'refused', status: 503, reason: 'backendError' },
  })
  await batchOf('second').run()
  gcs.proxy.heal()
  expect(Math.min(writes, reads)).toBeGreaterThan(20)

  await machine.run()
  expect(await rawFilesOf(inBucket.objects)).toEqual(await machine.rawFiles())
  expect(await tablesOf(inBucket.warehouse)).toEqual(await machine.tables())
})

it('is what commands find by their settings', async () => {
  await writeFile(join(machine.folder, 'format.json'), '{"format":1}\n')
  const commands = new CommandsOn(machine.folder, clock, bucketEnvironment(gcs, bucket))
  expect(await commands.run('verify')).toMatchObject({ code: 0 })
  const [lost] = await inBucket.objects.list('raw/', { limit: 1 })
  await inBucket.objects.delete(lost?.name ?? '')
  const { code, output } = await commands.run('verify')
  expect(code).toBe(1)
  expect(output).toContain(lost?.name)
  const missing = await commands.run('verify', { GCS_BUCKET: 'never-made' })
  expectRefusal(missing, 1, 'OBJECT_BUCKET_MISSING')
})

it('is set up by a command, which says what the server did not keep', async () => {
  const commands = new CommandsOn(machine.folder, clock, bucketEnvironment(gcs, bucket))
  const dry = await commands.run('init gcp --dry-run')
  expect(dry).toMatchObject({ code: 0 })
  expect(dry.output).toContain('raw files to the class ARCHIVE after 7 days: would be changed')
  // The server of the tests drops rules of lifecycle without a word.
  const done = await commands.run('init gcp')
  expect(done).toMatchObject({ code: 1 })
  expect(done.output).toContain('raw files to the class ARCHIVE after 7 days: NOT KEPT')
  const made = await commands.run('init gcp --project local', { GCS_BUCKET: 'made-by-init' })
  expect(made.output).toMatch(/^gs:\/\/made-by-init: bucket in US.*: created$/m)
  expect(await commands.run('verify', { GCS_BUCKET: 'made-by-init' })).toMatchObject({ code: 0 })
})
