import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { logErrors } from '../shared/log/log-errors.ts'
import { partitionOf } from '../shared/log/partitioner.ts'
import { TOPICS } from '../shared/log/topics.ts'
import { createCheckpointStore } from '../shared/objects/checkpoint-store.ts'
import { CHECKPOINT_FORMAT } from './checkpoint-migrations.ts'
import { CHECKPOINTS_KEPT } from './limits.ts'
import { checkpointName, ownerObjectName } from './ownership.ts'
import { metricValue } from './testing/test-doubles.ts'
import {
  over,
  PARTITIONS,
  readView,
  TestMachine,
  totalOf,
  type MortalProcessor,
  type Ports,
} from './testing/test-machine.ts'

const SESSION = 's1'
const PARTITION = partitionOf(SESSION, PARTITIONS)
const OTHER = 1 - PARTITION

let machine: TestMachine
afterEach(() => machine.close())

const send = (seq: number) =>
  machine.send({ sessionId: SESSION, events: [{ seq, type: 'heartbeat' }] })

function identityOf(processor: MortalProcessor, topicEpoch = 0) {
  return { view: processor.view, topicEpoch, partition: PARTITION }
}

async function checkpointsOf(processor: MortalProcessor, generation = 1) {
  const prefix = `checkpoints/${checkpointName(identityOf(processor), generation)}/`
  return machine.ports.objects.list(prefix, { limit: 100 })
}

/** Replaces an object’s bytes by `edit` of them. */
async function edit(name: string, change: (bytes: Uint8Array) => Uint8Array): Promise<void> {
  const { objects } = machine.ports
  const stored = await objects.read(name)
  if (stored === undefined) throw new Error(`${name} to edit`)
  await objects.replace(name, change(stored.bytes), stored.info.generation)
}

const flipLastByte = (bytes: Uint8Array) =>
  bytes.map((byte, index) => (index === bytes.length - 1 ? byte ^ 0xff : byte))

/** At least two checkpoints of the session’s partition, then SIGKILL. */
async function leaveCheckpoints(): Promise<MortalProcessor> {
  machine = await TestMachine.open()
  const processor = await machine.start()
  for (const seq of [0, 1, 2]) {
    const { offset } = await send(seq)
    await machine.until(
      () => (processor.status()[PARTITION]?.checkpointOffset ?? 0) > offset,
      'a checkpoint is saved',
    )
  }
  await machine.settled(processor)
  processor.kill()
  await machine.closeStores()
  await machine.reopen()
  return processor
}

function statusOf(processor: MortalProcessor, partition = PARTITION) {
  return processor.status().find((status) => status.partition === partition)
}

async function untilState(processor: MortalProcessor, state: string, partition = PARTITION) {
  await machine.until(() => statusOf(processor, partition)?.state === state, `it is ${state}`)
}

async function eventsOf(processor: MortalProcessor): Promise<number> {
  return totalOf(await readView(machine.ports.speed, processor.view, []), 'events')
}

describe('recovery from checkpoints', () => {
  it('goes on from the last, under the same generation', async () => {
    await leaveCheckpoints()
    const processor = await machine.start()
    await untilState(processor, 'running')
    expect(processor.inspectSession(SESSION)).toBeDefined()
    expect(statusOf(processor)?.generation).toBe(1)
    await send(3)
    await machine.settled(processor)
    await processor.stop()
    expect(await eventsOf(processor)).toBe(4)
    expect(await checkpointsOf(processor)).toHaveLength(CHECKPOINTS_KEPT)
  })

  it('uses the previous one when the last is damaged, and counts that', async () => {
    const before = await leaveCheckpoints()
    const last = (await checkpointsOf(before)).at(-1)
    await edit(last?.name ?? '', flipLastByte)
    const processor = await machine.start()
    await untilState(processor, 'running')
    const labels = { partition: PARTITION }
    expect(
      await metricValue(processor.telemetry, 'processor_checkpoints_damaged_total', labels),
    ).toBe(1)
    expect(statusOf(processor)?.generation).toBe(1)
    await processor.stop()
    expect(await eventsOf(processor)).toBe(3)
  })

  it('without any builds anew under the next generation, beside the rows of the last', async () => {
    const before = await leaveCheckpoints()
    for (const { name } of await checkpointsOf(before)) await edit(name, flipLastByte)
    const processor = await machine.start()
    await untilState(processor, 'running')
    expect(statusOf(processor)?.generation).toBe(2)
    await machine.settled(processor)
    const rows = await machine.ports.speed.readPartitions(processor.view)
    const generations = rows.filter(({ partition }) => partition === PARTITION)
    expect(new Set(generations.map(({ generation }) => generation))).toEqual(new Set([1, 2]))
    expect(generations.map(({ generationStartMs }) => generationStartMs)).toEqual([0, 0])
    expect(statusOf(processor, OTHER)?.generation).toBe(1)
    const labels = { partition: PARTITION }
    expect(await metricValue(processor.telemetry, 'processor_rebuilds_total', labels)).toBe(1)
    await processor.stop()
    expect(await checkpointsOf(before, 1)).not.toEqual([])
  })

  it('never uses a generation again that has rows, even when all objects are lost', async () => {
    await leaveCheckpoints()
    await machine.closeStores()
    await rm(join(machine.folder, 'objects'), { recursive: true })
    await machine.reopen()
    const processor = await machine.start()
    await untilState(processor, 'running')
    expect(statusOf(processor)?.generation).toBe(2)
    await processor.stop()
  })

  it('labels a generation that was built from a log without its beginning', async () => {
    machine = await TestMachine.open({ retentionMs: 60_000 })
    for (const seq of [0, 1]) await send(seq)
    await machine.clock.advance(120_000)
    const first = await send(2)
    await machine.ports.log.applyRetention()
    const { start } = await machine.ports.log.offsets(TOPICS.events, PARTITION)
    expect(start).toBe(first.offset)
    const loggedAtMs = machine.clock.nowMs()
    const processor = await machine.start()
    await machine.settled(processor)
    const rows = await machine.ports.speed.readPartitions(processor.view)
    const row = rows.find(({ partition }) => partition === PARTITION)
    expect(row).toMatchObject({ generation: 1, generationStartMs: loggedAtMs })
    await processor.stop()
  })

  it('finds its generation again after a crash before the first periodic checkpoint', async () => {
    machine = await TestMachine.open()
    await send(0)
    const killed = await machine.start({ killAt: { name: 'processor.afterFold', times: 1 } })
    await machine.until(() => killed.isDead, 'it is dead')
    await machine.closeStores()
    await machine.reopen()
    const processor = await machine.start()
    await untilState(processor, 'running')
    expect(statusOf(processor)?.generation).toBe(1)
    await processor.stop()
    expect(await eventsOf(processor)).toBe(1)
  })

  it('sends outputs that were pending in the checkpoint', async () => {
    machine = await TestMachine.open()
    const withoutExceptions = ({ log, speed, objects }: Ports): Ports => {
      const append: Ports['log']['append'] = (topic, partition, records) =>
        topic === TOPICS.exceptions
          ? Promise.reject(logErrors.create('LOG_UNAVAILABLE'))
          : log.append(topic, partition, records)
      return { log: over(log, { append }), speed, objects }
    }
    const killed = await machine.start({ wrap: withoutExceptions })
    await machine.pass(500)
    const late = { seq: 0, type: 'heartbeat', inMs: -60_000 }
    const { offset } = await machine.send({ sessionId: SESSION, events: [late] })
    await machine.until(
      () => (statusOf(killed)?.checkpointOffset ?? 0) > offset,
      'it is in a checkpoint',
    )
    killed.kill()
    await machine.closeStores()
    await machine.reopen()
    const end = async () => (await machine.ports.log.offsets(TOPICS.exceptions, PARTITION)).end
    expect(await end()).toBe(0)
    const processor = await machine.start()
    await machine.until(async () => (await end()) === 1, 'the exception is durable')
    await processor.stop()
  })
})

describe('a processor refuses', () => {
  it('to start on a topic that was created anew, until the epoch is raised', async () => {
    await leaveCheckpoints()
    await machine.closeStores()
    await machine.reopen('another-log')
    await send(0)
    await expect(machine.start()).rejects.toThrow('PROCESSOR_TOPIC_RECREATED')
    const processor = await machine.start({ settings: { PROCESSOR_TOPIC_EPOCH: '1' } })
    await machine.until(async () => {
      const rows = await machine.ports.speed.readPartitions(processor.view)
      return rows.some(({ topicEpoch }) => topicEpoch === 1)
    }, 'rows of the next epoch stand beside')
    await processor.stop()
  })

  it('checkpoints of another topic, even if nothing else tells it from the old one', async () => {
    await leaveCheckpoints()
    await machine.ports.objects.delete('processor/topics/e0')
    await machine.closeStores()
    await machine.reopen('another-log')
    const processor = await machine.start()
    await untilState(processor, 'failed')
    expect(statusOf(processor)?.failureCode).toBe('PROCESSOR_TOPIC_RECREATED')
    await processor.stop()
  })

  it('a topic that another took the name of since it started, however long that one is', async () => {
    const before = await leaveCheckpoints()
    const ownerName = ownerObjectName(identityOf(before))
    const owner = await machine.ports.objects.read(ownerName)
    const read = new Set<string>()
    const wrap = ({ log, speed, objects }: Ports): Ports => {
      let asked = 0
      const describeTopic: Ports['log']['describeTopic'] = async (topic) => {
        const described = await log.describeTopic(topic)
        if (topic === TOPICS.events) asked += 1
        return topic === TOPICS.events && asked > 1 ? { ...described, topicId: 'new' } : described
      }
      const noted: Ports['log']['read'] = (topic, partition, request) => {
        read.add(topic)
        return log.read(topic, partition, request)
      }
      return { log: over(log, { describeTopic, read: noted }), speed, objects }
    }
    const processor = await machine.start({ wrap })
    await untilState(processor, 'failed')
    expect(statusOf(processor)?.failureCode).toBe('PROCESSOR_TOPIC_RECREATED')
    expect(read).not.toContain(TOPICS.events)
    expect(await machine.ports.objects.read(ownerName)).toEqual(owner)
    await processor.stop()
  })

  it('to start after a later release', async () => {
    const before = await leaveCheckpoints()
    const newer = { checkpointFormat: CHECKPOINT_FORMAT + 1, ownerEpoch: 9, generation: 1 }
    await edit(ownerObjectName(identityOf(before)), () => Buffer.from(JSON.stringify(newer)))
    await expect(machine.start()).rejects.toThrow('PROCESSOR_CHECKPOINT_NEWER')
  })

  it('to start on a topic with another number of partitions', async () => {
    machine = await TestMachine.open()
    const describeTopic: Ports['log']['describeTopic'] = async () => ({
      topicId: 't',
      partitions: 7,
    })
    const wrap = ({ log, speed, objects }: Ports): Ports => ({
      log: over(log, { describeTopic }),
      speed,
      objects,
    })
    await expect(machine.start({ wrap })).rejects.toThrow(
      /PROCESSOR_PARTITIONS_DIFFER.*2 partitions.*7/,
    )
  })

  it('a checkpoint with a sound hash that is of another partition', async () => {
    const before = await leaveCheckpoints()
    const { objects } = machine.ports
    const moved = `checkpoints/${checkpointName({ ...identityOf(before), partition: OTHER }, 1)}/`
    for (const { name } of await objects.list(moved, { limit: 10 })) await objects.delete(name)
    await machine.closeStores()
    await machine.reopen()
    const store = createCheckpointStore(machine.ports.objects, { keep: 2 })
    const stored = await store.loadLatest(checkpointName(identityOf(before), 1))
    if (stored === undefined) throw new Error('a checkpoint')
    await store.save({
      name: checkpointName({ ...identityOf(before), partition: OTHER }, 1),
      offset: stored.offset,
      chunks: [stored.bytes],
    })
    const processor = await machine.start()
    await untilState(processor, 'failed', OTHER)
    expect(statusOf(processor, OTHER)?.failureCode).toBe('PROCESSOR_CHECKPOINT_INVALID')
    await untilState(processor, 'running', PARTITION)
    await processor.stop()
  })
})

describe('a partition whose records expired before they were processed', () => {
  it('stops with the range, reads nothing, and leaves the others running', async () => {
    machine = await TestMachine.open({ retentionMs: 60_000 })
    const settings = { PROCESSOR_TICKS: 'false' }
    const before = await machine.start({ settings })
    await send(0)
    await machine.until(() => before.inspectSession(SESSION) !== undefined, 'it is folded')
    await before.stop()
    const needed = await machine.endOffset(PARTITION)
    for (const seq of [1, 2, 3]) await send(seq)
    await machine.clock.advance(120_000)
    await send(4)
    await machine.ports.log.applyRetention()
    const { start } = await machine.ports.log.offsets(TOPICS.events, PARTITION)
    expect(start).toBe(needed + 3)

    const reads: number[] = []
    const wrap = ({ log, speed, objects }: Ports): Ports => {
      const read: Ports['log']['read'] = (topic, partition, request) => {
        reads.push(partition)
        return log.read(topic, partition, request)
      }
      return { log: over(log, { read }), speed, objects }
    }
    const processor = await machine.start({ wrap, settings })
    await untilState(processor, 'failed')
    await untilState(processor, 'running', OTHER)
    expect(statusOf(processor)?.failureCode).toBe('PROCESSOR_DATA_LOSS')
    expect(reads).not.toContain(PARTITION)
    const labels = { partition: PARTITION }
    expect(await metricValue(processor.telemetry, 'processor_data_loss_records', labels)).toBe(3)
    await processor.stop()
  })
})
