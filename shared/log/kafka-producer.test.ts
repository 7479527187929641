import { describe, expect, it } from 'vitest'
import { KafkaCluster } from '../kafka/cluster.ts'
import type { BrokerConnection, ProduceAnswer, ProduceBatch } from '../kafka/kafka-client.ts'
import {
  PRODUCE_REQUEST_MAX_BYTES,
  SHARED_PRODUCES_MAX,
  WAITING_APPENDS_MAX,
} from '../kafka/limits.ts'
import { ERROR } from '../kafka/protocol-errors.ts'
import { systemClock } from '../runtime/clock.ts'
import { createTelemetryBase } from '../runtime/telemetry.ts'
import { BrokerProducer } from './kafka-producer.ts'
import { createKafkaLogTelemetry } from './kafka-telemetry.ts'

/** A produce request on its way, to be answered by the test. */
interface Request {
  /** The connection it came over, by the order in which connections were opened. */
  readonly connection: number
  readonly batches: readonly ProduceBatch[]
  /** Answers every partition with offset 7, or with its error. */
  answer(errors?: Readonly<Record<number, number>>): void
  fail(): void
}

const record = (bytes = 10) => ({ key: undefined, value: new Uint8Array(bytes), headers: {} })

function setUp() {
  const requests: Request[] = []
  let connections = 0
  const connect = async () => {
    const connection = connections++
    const opened: Pick<BrokerConnection, 'isOpen' | 'produce' | 'close'> = {
      isOpen: true,
      produce: (batches) =>
        new Promise((resolve, reject) =>
          requests.push({
            connection,
            batches,
            answer: (errors = {}) => resolve(batches.map((batch) => answerOf(batch, errors))),
            fail: () => reject(new Error('the connection was lost')),
          }),
        ),
      close: async () => undefined,
    }
    return opened as BrokerConnection
  }
  const telemetry = createKafkaLogTelemetry(createTelemetryBase('silent'))
  const cluster = new KafkaCluster({
    client: { connect },
    bootstrap: ['broker:1'],
    clock: systemClock,
    observer: telemetry,
    callTimeoutMs: 1_000,
    requestTimeoutMs: () => 1_000,
  })
  const parts = { cluster, clock: systemClock, telemetry, produceTimeoutMs: 5_000 }
  const producer = new BrokerProducer({ host: 'broker', port: 1 }, parts)
  const partitionsOf = (index: number) =>
    requests[index]?.batches.map(({ partition }) => partition) ?? []
  const sent = async (count: number) => {
    await expect.poll(() => requests).toHaveLength(count)
  }
  return { requests, producer, partitionsOf, sent }
}

function answerOf(
  { topic, partition }: ProduceBatch,
  errors: Readonly<Record<number, number>>,
): ProduceAnswer {
  const errorCode = errors[partition] ?? ERROR.none
  const baseOffset = errorCode === ERROR.none ? 7 : -1
  return { topic, partition, errorCode, baseOffset, appendTimeMs: 1_000 }
}

describe('the producer of a broker', () => {
  it('sends what is asked for in one turn as one request', async () => {
    const { requests, producer, partitionsOf, sent } = setUp()
    const appends = [0, 1, 2].map((partition) => producer.append('t', partition, [record()]))
    await sent(1)
    expect(partitionsOf(0)).toEqual([0, 1, 2])
    requests[0]?.answer()
    expect(await Promise.all(appends)).toEqual(
      Array.from({ length: 3 }, () => ({ baseOffset: 7, appendTimeMs: 1_000 })),
    )
  })

  it('collects what comes while requests are on their way', async () => {
    const { requests, producer, partitionsOf, sent } = setUp()
    for (let index = 0; index < SHARED_PRODUCES_MAX; index += 1) {
      void producer.append('t', index, [record()])
      await sent(index + 1)
    }
    void producer.append('t', 10, [record()])
    await new Promise((resolve) => setTimeout(resolve, 20))
    void producer.append('t', 11, [record()])
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(requests).toHaveLength(SHARED_PRODUCES_MAX)
    requests[0]?.answer()
    await sent(SHARED_PRODUCES_MAX + 1)
    expect(partitionsOf(SHARED_PRODUCES_MAX)).toEqual([10, 11])
  })

  it('has one append of a lane on its way, in the order of the calls', async () => {
    const { requests, producer, sent } = setUp()
    const first = producer.append('t', 0, [record()])
    void producer.append('t', 0, [record(), record()])
    await sent(1)
    expect(requests[0]?.batches[0]?.records).toHaveLength(1)
    requests[0]?.answer()
    await first
    await sent(2)
    expect(requests[1]?.batches[0]?.records).toHaveLength(2)
  })

  it('judges each lane by its own part of the answer', async () => {
    const { requests, producer, sent } = setUp()
    const appends = [0, 1, 2, 3].map((partition) => producer.append('t', partition, [record()]))
    await sent(1)
    requests[0]?.answer({
      1: ERROR.notEnoughReplicas,
      2: ERROR.messageTooLarge,
      3: ERROR.notLeaderOrFollower,
    })
    const [whole, refused, tooLarge, elsewhere] = await Promise.allSettled(appends)
    expect(whole).toMatchObject({ value: { baseOffset: 7 } })
    expect(refused).toMatchObject({ reason: { code: 'LOG_UNAVAILABLE' } })
    expect(tooLarge).toMatchObject({ reason: { code: 'LOG_RECORD_TOO_LARGE' } })
    expect(elsewhere).toEqual({ status: 'fulfilled', value: undefined })
  })

  it('takes a part that is missing, or that has no offset, for a failure', async () => {
    const { requests, producer, sent } = setUp()
    const append = producer.append('t', 0, [record()])
    await sent(1)
    requests[0]?.answer({ 0: -1 })
    await expect(append).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' })
  })

  it('fails all lanes of a request whose answer is lost, and shares again', async () => {
    const { requests, producer, partitionsOf, sent } = setUp()
    const lost = [0, 1].map((partition) => producer.append('t', partition, [record()]))
    await sent(1)
    requests[0]?.fail()
    for (const append of lost)
      await expect(append).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' })
    for (const partition of [0, 1]) void producer.append('t', partition, [record()])
    await sent(2)
    expect(partitionsOf(1)).toEqual([0, 1])
  })

  it('sends a lane apart, over another connection, after its partition was refused', async () => {
    const { requests, producer, partitionsOf, sent } = setUp()
    const round = () =>
      [0, 1].map((partition) => producer.append('t', partition, [record()]).catch(() => undefined))
    const first = round()
    await sent(1)
    requests[0]?.answer({ 1: ERROR.requestTimedOut })
    await Promise.all(first)
    expect(producer.loneLanes).toBe(1)
    const second = round()
    await sent(3)
    expect(new Set([...partitionsOf(1), ...partitionsOf(2)])).toEqual(new Set([0, 1]))
    const lone = requests.find(({ batches }) => batches[0]?.partition === 1 && batches.length === 1)
    expect(lone?.connection).not.toBe(requests[0]?.connection)
    requests[1]?.answer()
    requests[2]?.answer()
    await Promise.all(second)
    expect(producer.loneLanes).toBe(0)
    void round()
    await sent(4)
    expect(partitionsOf(3)).toEqual([0, 1])
  })

  it('puts no more into a request than fits, but always one append', async () => {
    const { producer, partitionsOf, sent } = setUp()
    for (const partition of [0, 1])
      void producer.append('t', partition, [record(PRODUCE_REQUEST_MAX_BYTES)])
    await sent(2)
    expect([partitionsOf(0), partitionsOf(1)]).toEqual([[0], [1]])
  })

  it('refuses appends beyond those that may wait', async () => {
    const { producer } = setUp()
    for (let index = 0; index < WAITING_APPENDS_MAX; index += 1)
      void producer.append('t', 0, [record(1)]).catch(() => undefined)
    expect(producer.waitingAppends).toBe(WAITING_APPENDS_MAX)
    await expect(producer.append('t', 1, [record()])).rejects.toMatchObject({
      code: 'LOG_UNAVAILABLE',
    })
  })
})
