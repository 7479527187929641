/** A processor whose checkpoints are in a bucket. */
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { startGcs, type Gcs } from '../scripts/services/gcs.ts'
import { partitionOf } from '../shared/log/partitioner.ts'
import type { ObjectStore } from '../shared/objects/object-store.ts'
import { freshBucket, openBucket } from '../shared/objects/testing/gcs-bucket.ts'
import { CHECKPOINTS_KEPT } from './limits.ts'
import { PARTITIONS, TestMachine, type Ports } from './testing/test-machine.ts'

const SESSION = 's1'
const PARTITION = partitionOf(SESSION, PARTITIONS)

let gcs: Gcs
let machine: TestMachine
let objects: ObjectStore

beforeAll(async () => {
  gcs = await startGcs()
  machine = await TestMachine.open()
})
afterEach(() => gcs.proxy.heal())
afterAll(async () => {
  await objects.close()
  await machine.close()
  await gcs.stop()
})

it('goes on from the bucket after a kill, and saves again once the bucket answers', async () => {
  objects = await openBucket(gcs, await freshBucket(gcs))
  const wrap = (ports: Ports): Ports => ({ ...ports, objects })
  const send = (seq: number) =>
    machine.send({ sessionId: SESSION, events: [{ seq, type: 'heartbeat' }] })
  const first = await machine.start({ wrap })
  const checkpointIsBeyond = (processor: typeof first, offset: number) =>
    machine.until(
      () => (processor.status()[PARTITION]?.checkpointOffset ?? 0) > offset,
      'a checkpoint is saved',
    )
  for (const seq of [0, 1, 2]) {
    const { offset } = await send(seq)
    await checkpointIsBeyond(first, offset)
  }
  first.kill()
  await machine.closeStores()
  await machine.reopen()
  const second = await machine.start({ wrap })
  await machine.until(() => second.status()[PARTITION]?.state === 'running', 'it is running')
  gcs.proxy.inject({
    to: ({ method }) => method === 'POST',
    effect: { kind: 'refused', status: 503, reason: 'backendError' },
  })
  const { offset } = await send(3)
  await machine.until(
    () => (second.status()[PARTITION]?.nextOffset ?? 0) > offset,
    'the event is applied',
  )
  gcs.proxy.heal()
  await checkpointIsBeyond(second, offset)
  const saved = await objects.list('checkpoints/', { limit: 100 })
  const ofPartition = saved.filter(({ name }) => name.includes(`/p${PARTITION}/`))
  expect(ofPartition.length).toBeGreaterThan(0)
  expect(ofPartition.length).toBeLessThanOrEqual(CHECKPOINTS_KEPT)
  await second.stop()
})
