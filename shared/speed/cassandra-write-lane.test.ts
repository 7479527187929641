import { beforeEach, describe, expect, it } from 'vitest'
import { ManualClock } from '../runtime/clock.ts'
import {
  BATCH_MAX_BYTES,
  BATCH_MAX_ROWS,
  WAITING_STATEMENTS_MAX,
  WAITING_WRITES_MAX_BYTES,
} from './cassandra-limits.ts'
import { WriteLane, type RowWrite } from './cassandra-write-lane.ts'

const rowOf = (partition: string, bytes = 100): RowWrite => ({
  partition,
  query: 'INSERT',
  params: [],
  bytes,
})
const rowsOf = (partition: string, count: number, bytes?: number): RowWrite[] =>
  Array.from({ length: count }, () => rowOf(partition, bytes))

describe('a lane of writes', () => {
  /** Batches that were sent and not answered. */
  let sent: { readonly writes: readonly RowWrite[]; readonly done: PromiseWithResolvers<void> }[]
  let refusals: number
  let clock: ManualClock
  let lane: WriteLane

  const answer = async (error?: Error): Promise<void> => {
    const [first] = sent.splice(0, 1)
    if (error === undefined) first?.done.resolve()
    else first?.done.reject(error)
    await new Promise(setImmediate)
  }
  const sizes = () => sent.map(({ writes }) => writes.length)

  beforeEach(() => {
    sent = []
    refusals = 0
    clock = new ManualClock()
    lane = laneThatLingers(0)
  })

  const laneThatLingers = (lingerMs: number) =>
    new WriteLane({
      inFlightMax: 2,
      lingerMs,
      clock,
      onRefused: () => (refusals += 1),
      send(writes) {
        const done = Promise.withResolvers<void>()
        sent.push({ writes, done })
        return done.promise
      },
    })

  it('puts rows of one partition into one batch, up to its rows and its bytes', async () => {
    const half = BATCH_MAX_BYTES / 2
    const writing = lane.write([
      ...rowsOf('a', BATCH_MAX_ROWS + 1),
      ...rowsOf('b', 3, half),
      rowOf('c', 2 * BATCH_MAX_BYTES),
    ])
    const all: number[] = []
    while (sent.length > 0) {
      all.push(sizes()[0] ?? 0)
      await answer()
    }
    await writing
    expect(all).toEqual([BATCH_MAX_ROWS, 2, 1, 1, 1])
  })

  it('lets a batch wait for further rows of its partition, and not when it is full', async () => {
    lane = laneThatLingers(20)
    const calls = [lane.write([rowOf('a')])]
    await clock.advance(15)
    calls.push(lane.write([rowOf('a'), ...rowsOf('b', BATCH_MAX_ROWS), rowOf('c')]))
    expect(sizes()).toEqual([BATCH_MAX_ROWS])
    expect(lane.standing).toEqual({ inFlight: 1, waiting: 2, waitingBytes: 300 })
    await clock.advance(4)
    expect(sizes()).toEqual([BATCH_MAX_ROWS])
    await clock.advance(1)
    expect(sizes()).toEqual([BATCH_MAX_ROWS, 2])
    await clock.advance(15)
    await answer()
    expect(sizes()).toEqual([2, 1])
    await answer()
    await answer()
    await Promise.all(calls)
  })

  it('lets a batch that has waited gather rows as long as there is no room on the way', async () => {
    lane = laneThatLingers(20)
    const calls = [lane.write(rowsOf('x', BATCH_MAX_ROWS)), lane.write(rowsOf('y', BATCH_MAX_ROWS))]
    for (let call = 0; call < 3; call++) {
      calls.push(lane.write([rowOf('a')]))
      await clock.advance(50)
    }
    await answer()
    expect(sizes()).toEqual([BATCH_MAX_ROWS, 3])
    await answer()
    await answer()
    await Promise.all(calls)
  })

  it('sends a batch of one row before full ones that were begun later, however many wait', async () => {
    lane = laneThatLingers(20)
    const full = () => lane.write(rowsOf('x', BATCH_MAX_ROWS))
    const calls = [full(), full(), full(), full()]
    await clock.advance(1)
    calls.push(lane.write([rowOf('a')]))
    await clock.advance(1)
    const order: number[] = []
    for (let answers = 0; answers < 6; answers++) {
      calls.push(full())
      await clock.advance(10)
      order.push(sizes()[0] ?? 0)
      await answer()
    }
    expect(order).toEqual([...Array<number>(4).fill(BATCH_MAX_ROWS), 1, BATCH_MAX_ROWS])
    while (sent.length > 0) await answer()
    await Promise.all(calls)
  })

  it('gathers what waits, whichever call it came with', async () => {
    const calls = [lane.write([rowOf('x')]), lane.write([rowOf('y')])]
    for (let call = 0; call < 5; call++) calls.push(lane.write([rowOf('a'), rowOf('b')]))
    expect(lane.standing).toEqual({ inFlight: 2, waiting: 2, waitingBytes: 1_000 })
    await answer()
    await answer()
    expect(sizes()).toEqual([5, 5])
    await answer()
    await answer()
    await Promise.all(calls)
    expect(lane.standing).toEqual({ inFlight: 0, waiting: 0, waitingBytes: 0 })
  })

  it('never has more batches on their way than it may', async () => {
    const writing = lane.write(Array.from({ length: 9 }, (_, index) => rowOf(`${index}`)))
    for (let left = 9; left > 0; left--) {
      expect(sent).toHaveLength(Math.min(2, left))
      await answer()
    }
    await writing
  })

  it('tells a failure to the calls whose rows the batch held, when all their rows have ended', async () => {
    const failing = lane.write([rowOf('a'), rowOf('b')])
    const other = lane.write([rowOf('c')])
    let ended = false
    const told = failing.catch((error: unknown) => {
      ended = true
      return error
    })
    await answer(new Error('no answer'))
    expect(ended).toBe(false)
    await answer()
    expect(await told).toMatchObject({ message: 'no answer' })
    await answer()
    await other
  })

  it('refuses a call when too many bytes or statements wait', async () => {
    const held = [lane.write(rowsOf('x', 1)), lane.write(rowsOf('y', 1))]
    const half = WAITING_WRITES_MAX_BYTES / 2
    held.push(lane.write(rowsOf('a', 1, half)), lane.write(rowsOf('b', 1, half)))
    const refused = { code: 'SPEED_UNAVAILABLE', spec: { retryable: true } }
    await expect(lane.write([rowOf('c')])).rejects.toMatchObject(refused)
    while (sent.length > 0) await answer()
    await Promise.all(held)
    const many = Array.from({ length: WAITING_STATEMENTS_MAX + 2 }, (_, at) => rowOf(`${at}`))
    const writing = lane.write(many)
    await expect(lane.write([rowOf('c')])).rejects.toMatchObject(refused)
    expect(refusals).toBe(2)
    while (sent.length > 0) {
      for (const { done } of sent.splice(0)) done.resolve()
      await new Promise(setImmediate)
    }
    await writing
  })
})
