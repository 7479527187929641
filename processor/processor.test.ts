import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { decodeReject } from '../shared/log/reject-record.ts'
import { partitionOf } from '../shared/log/partitioner.ts'
import { TOPICS } from '../shared/log/topics.ts'
import { metricValue } from './testing/test-doubles.ts'
import {
  PARTITIONS,
  readView,
  sealer,
  TestMachine,
  totalOf,
  type MortalProcessor,
} from './testing/test-machine.ts'

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

let machine: TestMachine
const running: MortalProcessor[] = []

beforeEach(async () => {
  machine = await TestMachine.open()
})

afterEach(async () => {
  for (const processor of running.splice(0)) if (!processor.isDead) await processor.stop()
  await machine.close()
})

async function start(options?: Parameters<TestMachine['start']>[0]): Promise<MortalProcessor> {
  const processor = await machine.start(options)
  running.push(processor)
  return processor
}

async function readTopic(topic: string): Promise<Record<string, unknown>[]> {
  const values: Record<string, unknown>[] = []
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    const request = { fromOffset: 0, maxRecords: 1_000, maxBytes: 2 ** 20, waitMs: 0 }
    const { records } = await machine.ports.log.read(topic, partition, request)
    for (const { value } of records)
      values.push(JSON.parse(new TextDecoder().decode(value)) as Record<string, unknown>)
  }
  return values
}

describe('a processor', () => {
  it('turns frames into minutes, sessions, positions and progress', async () => {
    const processor = await start()
    await machine.send({ sessionId: 's1', events: [{ seq: 0, type: 'playbackRequest' }] })
    await machine.pass(400)
    await machine.send({ sessionId: 's1', events: [{ seq: 1, type: 'playbackStart' }] })
    await machine.pass(2_000)
    await machine.send({
      sessionId: 's1',
      events: [
        { seq: 1, type: 'playbackStart' },
        { seq: 2, type: 'playbackFinish' },
      ],
    })
    await machine.send({
      sessionId: 's2',
      cdn: 'b',
      events: [{ seq: 0, type: 'playbackFail', code: 'E1' }],
    })
    await machine.settled(processor)
    const view = await readView(machine.ports.speed, processor.view, ['s1', 's2'])
    expect(totalOf(view, 'attempts')).toBe(2)
    expect(totalOf(view, 'plays')).toBe(1)
    expect(totalOf(view, 'vsf')).toBe(1)
    expect(totalOf(view, 'events')).toBe(4)
    expect(totalOf(view, 'duplicates')).toBe(1)
    expect(totalOf(view, 'playingMs')).toBe(2_000)
    expect(view.sessions.map(({ parts }) => parts[0]?.state)).toEqual(['ended', 'failed'])
    expect(view.sessions[0]?.parts[0]).toMatchObject({ startupMs: 400, playingMs: 2_000 })
    expect(view.positions.map(({ positions }) => positions.length)).toEqual([3, 1])
  })

  it('lets time pass in idle partitions, closes sessions and sends them on', async () => {
    const processor = await start()
    await machine.send({
      sessionId: 's1',
      events: [
        { seq: 0, type: 'playbackStart' },
        { seq: 2, type: 'heartbeat', inMs: 5 },
      ],
    })
    await machine.until(
      async () => (await readTopic(TOPICS.sessions)).length === 1,
      'the session is closed',
    )
    const [closed] = await readTopic(TOPICS.sessions)
    expect(closed).toMatchObject({ sessionId: 's1', closed: true, quality: { lost: 1 } })
    const ticks = await metricValue(processor.telemetry, 'processor_ticks_appended_total', {
      partition: 0,
    })
    expect(ticks).toBeGreaterThanOrEqual(1)
    await machine.until(
      () => processor.inspectSession('s1') === undefined,
      'the session has left the state',
    )
  })

  it('shows the trace context of a session where it is looked for, when it is asked to', async () => {
    const headers = { traceparent: TRACEPARENT }
    const seen = async (settings: Readonly<Record<string, string>>) => {
      const processor = await start({ settings })
      await machine.until(() => processor.inspectSession('traced') !== undefined, 'it is folded')
      const held = processor.inspectSession('traced')
      await processor.stop()
      return held
    }
    await machine.send({ sessionId: 'traced', headers, events: [{ seq: 0, type: 'heartbeat' }] })
    const plain = await seen({})
    expect(plain).not.toHaveProperty('traceparent')
    await machine.send({ sessionId: 'traced', headers, events: [{ seq: 1, type: 'heartbeat' }] })
    await machine.send({ sessionId: 'traced', events: [{ seq: 2, type: 'heartbeat' }] })
    const processor = await start({ settings: { PROCESSOR_TRACE_CONTEXT: 'true' } })
    await machine.settled(processor)
    expect(processor.inspectSession('traced')).toMatchObject(headers)
    expect(processor.inspectSession('another')).toBeUndefined()
  })

  it('records what it does not apply in the exceptions, by identity', async () => {
    const processor = await start()
    await machine.send({ sessionId: 's1', events: [{ seq: 0, type: 'playbackStart' }] })
    await machine.pass(8_000)
    const late = await machine.send({
      sessionId: 's2',
      events: [{ seq: 0, type: 'heartbeat', inMs: -60_000 }],
    })
    await machine.until(
      async () => (await readTopic(TOPICS.exceptions)).length === 1,
      'the exception is durable',
    )
    expect(await readTopic(TOPICS.exceptions)).toEqual([
      { sessionId: 's2', seq: 0, ...late, reason: 'late', type: 'heartbeat', forgotten: false },
    ])
    expect(processor.status().map(({ state }) => state)).toEqual(['running', 'running'])
  })

  it('keeps poison sealed in the reject topic and goes on with its neighbours', async () => {
    const processor = await start()
    const partition = partitionOf('s1', PARTITIONS)
    const poison = { key: 's1', value: Buffer.from('{oops'), headers: { schema: 'playback.v1' } }
    const { baseOffset } = await machine.ports.log.append(TOPICS.events, partition, [poison])
    await machine.send({ sessionId: 's1', events: [{ seq: 0, type: 'playbackStart' }] })
    await machine.settled(processor)
    const rejects = await readTopic(TOPICS.rejects)
    expect(rejects).toHaveLength(1)
    const reject = decodeReject(Buffer.from(JSON.stringify(rejects[0])))
    expect(reject).toMatchObject({ stage: 'processor', source: { partition, offset: baseOffset } })
    expect(Buffer.from(sealer.open(reject.sealed)).toString()).toBe('{oops')
    const view = await readView(machine.ports.speed, processor.view, ['s1'])
    expect(totalOf(view, 'plays')).toBe(1)
  })

  it('accounts for every event it read, whatever became of it', async () => {
    const processor = await start()
    const sessionId = 's1'
    await machine.send({ sessionId, events: [{ seq: 0, type: 'playbackStart' }] })
    await machine.send({ sessionId, events: [{ seq: 0, type: 'playbackStart' }] })
    await machine.send({ sessionId, events: [{ seq: 5, type: 'heartbeat' }] })
    const partition = partitionOf(sessionId, PARTITIONS)
    await machine.until(async () => {
      const read = await metricValue(processor.telemetry, 'processor_fold_events', {
        partition,
        outcome: 'read',
      })
      return read === 3
    }, 'three events are read')
    const of = async (outcome: string) =>
      (await metricValue(processor.telemetry, 'processor_fold_events', { partition, outcome })) ?? 0
    expect(await of('applied')).toBe(1)
    expect(await of('duplicate')).toBe(1)
    expect(await of('buffered')).toBe(1)
    const outcomes = ['applied', 'duplicate', 'late', 'amended', 'afterClose', 'capped', 'poison']
    const counts = await Promise.all([...outcomes, 'buffered'].map(of))
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(await of('read'))
  })

  it('leaves nothing unwritten and a checkpoint of the end when it stops', async () => {
    const processor = await start()
    await machine.send({ sessionId: 's1', events: [{ seq: 0, type: 'playbackStart' }] })
    await machine.until(
      () => processor.inspectSession('s1') !== undefined,
      'the session is in the state',
    )
    await processor.stop()
    const view = await readView(machine.ports.speed, processor.view, ['s1'])
    expect(totalOf(view, 'plays')).toBe(1)
    expect(view.sessions).toHaveLength(1)
    const partition = partitionOf('s1', PARTITIONS)
    const end = await machine.endOffset(partition)
    const group = `backhaul-processor.${processor.view}`
    expect(await machine.ports.log.committedOffset(group, TOPICS.events, partition)).toBe(end)
  })
})
