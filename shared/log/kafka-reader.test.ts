import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { KafkaCluster } from '../kafka/cluster.ts'
import type { BrokerConnection, FetchAnswer, FetchPosition } from '../kafka/kafka-client.ts'
import {
  FETCH_PARTITION_MAX_BYTES,
  LEADER_RETRIES_MAX,
  READ_AHEAD_MAX_BYTES,
  WAITING_READS_MAX,
} from '../kafka/limits.ts'
import { ERROR } from '../kafka/protocol-errors.ts'
import { systemClock } from '../runtime/clock.ts'
import { createTelemetryBase } from '../runtime/telemetry.ts'
import type { ReadRequest } from './event-log.ts'
import { KafkaReader } from './kafka-reader.ts'
import { createKafkaLogTelemetry } from './kafka-telemetry.ts'

type Answer = (wanted: FetchPosition, index: number, request: number) => Partial<FetchAnswer>

const END = 100
const ALL: ReadRequest = { fromOffset: 0, maxRecords: 1_000, maxBytes: 1 << 20, waitMs: 0 }

/** A broker that leads 10,000 partitions, each of `END` records, and answers fetches by `answer`. */
function setUp(answer: Answer = () => ({})) {
  const requests: (readonly FetchPosition[])[] = []
  const connection: Pick<
    BrokerConnection,
    'isOpen' | 'metadata' | 'fetch' | 'listOffset' | 'close'
  > = {
    isOpen: true,
    metadata: async (names) => ({
      brokers: [{ nodeId: 1, host: 'broker', port: 1 }],
      controllerId: 1,
      topics: names.map((name) => ({
        name,
        errorCode: ERROR.none,
        topicId: 'id',
        leaders: Array.from({ length: 10_000 }, () => 1),
      })),
    }),
    fetch: async (wanted, { maxWaitMs }) => {
      if (maxWaitMs > 0) await sleep(10)
      const request = requests.push(wanted)
      return wanted.map((position, index) => ({
        topic: position.topic,
        partition: position.partition,
        errorCode: ERROR.none,
        endOffset: END,
        records: [],
        ...answer(position, index, request),
      }))
    },
    listOffset: async ({ at }) => ({ errorCode: ERROR.none, offset: at === 'start' ? 0 : END }),
    close: async () => undefined,
  }
  const telemetry = createKafkaLogTelemetry(createTelemetryBase('silent'))
  const cluster = new KafkaCluster({
    client: { connect: async () => connection as BrokerConnection },
    bootstrap: ['broker:1'],
    clock: systemClock,
    observer: telemetry,
    callTimeoutMs: 1_000,
    requestTimeoutMs: () => 1_000,
  })
  return { reader: new KafkaReader({ cluster, clock: systemClock, telemetry }), requests }
}

/** A batch of `count` records of `bytes` each; brokers send it whole. */
function batch(from: number, count: number, bytes = 10): Partial<FetchAnswer> {
  const records = Array.from({ length: count }, (_, index) => ({
    offset: from + index,
    timestampMs: 1,
    key: null,
    value: Buffer.alloc(bytes),
    headers: [],
  }))
  return { records }
}

describe('the reader', () => {
  it('asks for all partitions of a broker that are read in one turn at once', async () => {
    const { reader, requests } = setUp(() => batch(0, 1))
    await Promise.all([0, 1, 2].map((partition) => reader.read('t', partition, ALL)))
    expect(requests.map((wanted) => wanted.map(({ partition }) => partition))).toEqual([[0, 1, 2]])
  })

  it('begins at the offset asked for, though the batch begins before', async () => {
    const { reader } = setUp(() => batch(0, 10))
    const { records } = await reader.read('t', 0, { ...ALL, fromOffset: 4 })
    expect(records.map(({ offset }) => offset)).toEqual([4, 5, 6, 7, 8, 9])
  })

  it('keeps what a batch has beyond the bounds for the read that goes on there', async () => {
    const { reader, requests } = setUp(() => batch(0, 10))
    const offsets: number[] = []
    for (const fromOffset of [0, 4, 8]) {
      const { records } = await reader.read('t', 0, { ...ALL, fromOffset, maxRecords: 4 })
      offsets.push(...records.map(({ offset }) => offset))
    }
    expect(offsets).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(requests).toHaveLength(1)
  })

  it('fetches again for a read that goes on elsewhere', async () => {
    const { reader, requests } = setUp(({ offset }) => batch(offset, 10))
    await reader.read('t', 0, { ...ALL, maxRecords: 4 })
    const { records } = await reader.read('t', 0, { ...ALL, fromOffset: 2, maxRecords: 1 })
    expect(records.map(({ offset }) => offset)).toEqual([2])
    expect(requests).toHaveLength(2)
  })

  it('asks for less where batches compress well', async () => {
    const { reader, requests } = setUp(() => batch(0, 4, FETCH_PARTITION_MAX_BYTES))
    await reader.read('t', 0, ALL)
    await reader.read('t', 1, ALL)
    const asked = requests.map((wanted) => wanted[0]?.maxBytes)
    expect(asked).toEqual([FETCH_PARTITION_MAX_BYTES, FETCH_PARTITION_MAX_BYTES / 4])
  })

  it('forgets the oldest of what it keeps beyond the bytes it may', async () => {
    const bytes = READ_AHEAD_MAX_BYTES / 4
    const { reader, requests } = setUp(({ offset }) => batch(offset, 4, bytes))
    const one = { ...ALL, maxRecords: 1, maxBytes: 1 }
    await reader.read('t', 0, one)
    await reader.read('t', 1, one)
    await reader.read('t', 1, { ...one, fromOffset: 1 })
    expect(requests).toHaveLength(2)
    await reader.read('t', 0, { ...one, fromOffset: 1 })
    expect(requests).toHaveLength(3)
  })

  it('asks first the next time for a partition that the others left no room for', async () => {
    const { reader, requests } = setUp((_, index) => (index === 0 ? batch(0, 1) : {}))
    const reads = await Promise.all([0, 1].map((partition) => reader.read('t', partition, ALL)))
    expect(reads.map(({ records }) => records.length)).toEqual([1, 1])
    expect(requests.map((wanted) => wanted.map(({ partition }) => partition))).toEqual([
      [0, 1],
      [1],
    ])
  })

  it('asks for no more of a partition than a fetch may bring', async () => {
    const { reader, requests } = setUp(() => batch(0, 1))
    await reader.read('t', 0, { ...ALL, maxBytes: 1 << 30 })
    expect(requests[0]?.[0]?.maxBytes).toBe(FETCH_PARTITION_MAX_BYTES)
  })

  it('looks the leader up again while brokers say that they do not lead', async () => {
    const { reader, requests } = setUp((_, __, request) =>
      request < LEADER_RETRIES_MAX ? { errorCode: ERROR.notLeaderOrFollower } : batch(0, 1),
    )
    expect((await reader.read('t', 0, ALL)).records).toHaveLength(1)
    expect(requests).toHaveLength(LEADER_RETRIES_MAX)
    const { reader: lost } = setUp(() => ({ errorCode: ERROR.notLeaderOrFollower }))
    await expect(lost.read('t', 0, ALL)).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' })
  })

  it('says the range when the offset is out of it', async () => {
    const { reader } = setUp(() => ({ errorCode: ERROR.offsetOutOfRange }))
    const read = reader.read('t', 0, { ...ALL, fromOffset: 500 })
    await expect(read).rejects.toMatchObject({ code: 'LOG_OFFSET_OUT_OF_RANGE' })
    await expect(read).rejects.toThrow(`from 0 to ${END} in partition 0, received 500`)
  })

  it('finds records at positions batch by batch', async () => {
    const { reader, requests } = setUp(({ offset }) => batch(offset - (offset % 10), 10))
    const found = await reader.readAt('t', 0, [3, 25, 7, 99, 4_000])
    expect([...found.keys()].toSorted((a, b) => a - b)).toEqual([3, 7, 25, 99])
    expect(requests).toHaveLength(3)
  })

  it('refuses reads beyond those that may wait', async () => {
    const { reader } = setUp(({ offset }) => ({ endOffset: offset }))
    const waits = { ...ALL, waitMs: 60_000 }
    const reads = Array.from({ length: WAITING_READS_MAX }, (_, partition) =>
      reader.read('t', partition, waits),
    )
    await expect.poll(() => reader.waitingReads).toBe(WAITING_READS_MAX)
    const refused = reader.read('t', WAITING_READS_MAX, waits)
    await expect(refused).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' })
    reader.close()
    for (const { records } of await Promise.all(reads)) expect(records).toEqual([])
  })
})
