import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { logErrors } from '../shared/log/log-errors.ts'
import { partitionOf } from '../shared/log/partitioner.ts'
import { TOPICS } from '../shared/log/topics.ts'
import { ArmedFailpoints } from '../shared/runtime/failpoints.ts'
import { speedErrors } from '../shared/speed/speed-errors.ts'
import { CATCH_UP_AFTER_MS } from './limits.ts'
import { SpeedMonitor } from './testing/monitored-speed-store.ts'
import { metricValue, scriptedErrors } from './testing/test-doubles.ts'
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
const running: MortalProcessor[] = []

beforeEach(async () => {
  machine = await TestMachine.open()
})
afterEach(async () => {
  await Promise.all(running.splice(0).map((processor) => processor.stop()))
  await machine.close()
})

async function start(options?: Parameters<TestMachine['start']>[0]): Promise<MortalProcessor> {
  const processor = await machine.start(options)
  running.push(processor)
  return processor
}

function statusOf(processor: MortalProcessor, partition = PARTITION) {
  return processor.status().find((status) => status.partition === partition)
}

let seq = 0
beforeEach(() => {
  seq = 0
})
const send = (inMs = 0) =>
  machine.send({ sessionId: SESSION, events: [{ seq: seq++, type: 'heartbeat', inMs }] })

/** A speed store that is down until it is told to be up. */
function outage() {
  const state = { isDown: true, attempts: 0 }
  const guard =
    <Args extends unknown[]>(put: (...args: Args) => Promise<void>) =>
    (...args: Args) => {
      state.attempts += 1
      return state.isDown ? Promise.reject(speedErrors.create('SPEED_UNAVAILABLE')) : put(...args)
    }
  const wrap = ({ log, speed, objects }: Ports): Ports => ({
    log,
    objects,
    speed: over(speed, {
      putMinutes: guard((rows) => speed.putMinutes(rows)),
      putSessions: guard((rows, positions) => speed.putSessions(rows, positions)),
      putPartitions: guard((rows) => speed.putPartitions(rows)),
    }),
  })
  return { state, wrap }
}

describe('a partition whose store is down', () => {
  it('stops reading, shows its lag, commits nothing, and recovers alone', async () => {
    const { state, wrap } = outage()
    const processor = await start({ wrap, settings: { PROCESSOR_WRITE_STALL_MS: '1000' } })
    await send()
    await machine.until(() => statusOf(processor)?.pausedReason === 'store', 'it is paused')
    const folded = statusOf(processor)?.nextOffset
    for (let turn = 0; turn < 5; turn += 1) await send()
    await machine.pass(4_000)
    expect(statusOf(processor)).toMatchObject({ state: 'paused', nextOffset: folded })
    expect(statusOf(processor)?.lagRecords).toBeGreaterThanOrEqual(5)
    expect(statusOf(processor)?.lagMs).toBeGreaterThanOrEqual(4_000)
    const group = `backhaul-processor.${processor.view}`
    const committed = await machine.ports.log.committedOffset(group, TOPICS.events, PARTITION)
    expect(committed ?? 0).toBe(0)
    const labels = { partition: PARTITION, reason: 'store' }
    expect(await metricValue(processor.telemetry, 'processor_pauses_total', labels)).toBe(1)
    state.isDown = false
    await machine.settled(processor)
    const view = await readView(machine.ports.speed, processor.view, [SESSION])
    expect(totalOf(view, 'events')).toBe(6)
  })

  it('ends all the same when it is stopped, within its grace', async () => {
    const { state, wrap } = outage()
    const processor = await machine.start({ wrap, settings: { PROCESSOR_STOP_GRACE_MS: '500' } })
    await send()
    await machine.until(() => state.attempts > 0, 'a write is under way')
    const { offset } = await send()
    let stopped = false
    void processor.stop().then(() => (stopped = true))
    await machine.until(() => stopped, 'it has stopped')
    const next = await start()
    expect(next.status()).toHaveLength(PARTITIONS)
    await machine.settled(next)
    const view = await readView(machine.ports.speed, next.view, [SESSION])
    expect(totalOf(view, 'events')).toBe(2)
    expect(statusOf(next)?.nextOffset).toBeGreaterThan(offset)
  })
})

describe('a partition that cannot read', () => {
  it('shows how long it has been behind, also before its first record', async () => {
    await send()
    const state = { isDown: true }
    const wrap = ({ log, speed, objects }: Ports): Ports => ({
      speed,
      objects,
      log: over(log, {
        read: (...asked) =>
          state.isDown ? Promise.reject(logErrors.create('LOG_UNAVAILABLE')) : log.read(...asked),
      }),
    })
    const processor = await start({ wrap })
    await machine.until(() => statusOf(processor)?.lagRecords === 1, 'it knows of the record')
    await machine.pass(4_000)
    expect(statusOf(processor)?.nextOffset).toBe(0)
    expect(statusOf(processor)?.lagMs).toBeGreaterThanOrEqual(4_000)
    expect(statusOf(processor, OTHER)?.lagMs).toBe(0)
    state.isDown = false
    await machine.settled(processor)
    expect(statusOf(processor)).toMatchObject({ nextOffset: 1, lagMs: 0 })
  })
})

describe('a partition’s bounds', () => {
  it('on changed rows pauses it until they are written', async () => {
    const { state, wrap } = outage()
    const settings = {
      PROCESSOR_DIRTY_ROWS_MAX: '6',
      PROCESSOR_WRITES_IN_FLIGHT_MAX: '1',
      PROCESSOR_ROWS_PER_WRITE_MAX: '1',
      PROCESSOR_FETCH_RECORDS_MAX: '1',
    }
    const processor = await start({ wrap, settings })
    for (let content = 0; content < 10; content += 1) {
      const contentId = `movie-${content}`
      await machine.send({
        sessionId: SESSION,
        contentId,
        events: [{ seq: content, type: 'heartbeat' }],
      })
    }
    await machine.until(() => statusOf(processor)?.pausedReason === 'rows', 'it is paused')
    expect(statusOf(processor)?.lagRecords).toBeGreaterThan(0)
    state.isDown = false
    await machine.settled(processor)
    expect(statusOf(processor)?.lagRecords).toBe(0)
  })

  it('on outputs pauses it until they are durable', async () => {
    const state = { isDown: true }
    const wrap = ({ log, speed, objects }: Ports): Ports => ({
      speed,
      objects,
      log: over(log, {
        append: (topic, partition, records) =>
          topic === TOPICS.exceptions && state.isDown
            ? Promise.reject(logErrors.create('LOG_UNAVAILABLE'))
            : log.append(topic, partition, records),
      }),
    })
    const settings = {
      PROCESSOR_OUTPUTS_PENDING_MAX: '2',
      PROCESSOR_OUTPUTS_PER_APPEND_MAX: '2',
      PROCESSOR_FETCH_RECORDS_MAX: '1',
    }
    const processor = await start({ wrap, settings })
    for (let turn = 0; turn < 4; turn += 1) await send(-60_000)
    await machine.until(() => statusOf(processor)?.pausedReason === 'outputs', 'it is paused')
    expect(statusOf(processor)?.nextOffset).toBe(2)
    state.isDown = false
    const end = async () => (await machine.ports.log.offsets(TOPICS.exceptions, PARTITION)).end
    await machine.until(async () => (await end()) === 4, 'all exceptions are durable')
  })

  it('on a turn give the event loop to others again and again', async () => {
    for (let turn = 0; turn < 40; turn += 1) await send()
    let turns = 0
    let counting = true
    const failpoints = new ArmedFailpoints()
    failpoints.arm('processor.afterFetch', () => {
      const count = () => {
        turns += 1
        if (counting) setImmediate(count)
      }
      setImmediate(count)
    })
    failpoints.arm('processor.afterFold', () => void (counting = false))
    const settings = { PROCESSOR_TURN_RECORDS_MAX: '5', PROCESSOR_TICKS: 'false' }
    const processor = await start({ failpoints, settings })
    await machine.until(() => (statusOf(processor)?.nextOffset ?? 0) >= 40, 'all is read')
    // The first and the last turn may fall outside the count.
    expect(turns).toBeGreaterThanOrEqual(40 / 5 - 2)
  })
})

describe('a partition that starts far behind', () => {
  it('lets its rows wait until it has come to the end of the log', async () => {
    for (let turn = 0; turn < 5; turn += 1) await send()
    await machine.pass(2 * CATCH_UP_AFTER_MS)
    const gate = { first: Promise.withResolvers<void>(), second: Promise.withResolvers<void>() }
    // Each read brings one record, and the second and third begin when the test says so.
    const gates = [Promise.resolve(), gate.first.promise, gate.second.promise]
    let reads = 0
    const wrap = ({ log, speed, objects }: Ports): Ports => ({
      speed,
      objects,
      log: over(log, {
        async read(topic, partition, request) {
          if (topic !== TOPICS.events || partition !== PARTITION)
            return log.read(topic, partition, request)
          await gates[reads++]
          return log.read(topic, partition, { ...request, maxRecords: 1 })
        },
      }),
    })
    const processor = await start({ wrap })
    const mayWaitMs = () =>
      metricValue(processor.telemetry, 'processor_rows_may_wait_ms', { partition: PARTITION })
    const written = async () =>
      totalOf(await readView(machine.ports.speed, processor.view, []), 'events')
    await machine.until(() => reads === 2, 'one record is folded')
    await machine.pass(2_000)
    gate.first.resolve()
    await machine.until(() => reads === 3, 'two records are folded')
    await machine.pass(2_000)
    expect(await mayWaitMs()).toBeGreaterThan(2 * CATCH_UP_AFTER_MS)
    expect(await written()).toBeLessThan(2)
    gate.second.resolve()
    await machine.settled(processor)
    expect(await mayWaitMs()).toBe(0)
    expect(await written()).toBe(5)
  })
})

describe('a failure that no repeat can mend', () => {
  it('stops its partition, names its code, and leaves the others running', async () => {
    const wrap = ({ log, speed, objects }: Ports): Ports => ({
      log,
      objects,
      speed: over(speed, {
        putMinutes: (rows) =>
          rows.some(({ partition }) => partition === PARTITION)
            ? Promise.reject(scriptedErrors.create('SCRIPTED_DEFECT'))
            : speed.putMinutes(rows),
      }),
    })
    const processor = await start({ wrap })
    await send()
    await machine.until(() => statusOf(processor)?.state === 'failed', 'it has failed')
    expect(statusOf(processor)?.failureCode).toBe('SCRIPTED_DEFECT')
    const labels = { partition: PARTITION, state: 'failed' }
    expect(await metricValue(processor.telemetry, 'processor_partition_state', labels)).toBe(1)
    await machine.until(() => statusOf(processor, OTHER)?.state === 'running', 'others run')
    await processor.stop()
    expect(processor.status()).toEqual([])
  })
})

describe('members that come and go', () => {
  it('cost no event and let no value go back', async () => {
    const monitor = new SpeedMonitor()
    const wrap = ({ log, speed, objects }: Ports): Ports => ({
      log,
      objects,
      speed: monitor.watch(speed),
    })
    const first = await start({ wrap })
    for (let round = 0; round < 3; round += 1) {
      await send()
      const guest = await machine.start({ wrap })
      expect(guest.status()).toHaveLength(1)
      await send()
      await machine.pass(500)
      await guest.stop()
      await machine.until(() => first.status().length === PARTITIONS, 'the first owns all again')
    }
    await machine.settled(first)
    const view = await readView(machine.ports.speed, first.view, [SESSION])
    expect(totalOf(view, 'events')).toBe(6)
    expect(view.minutes.every(({ generation }) => generation === 1)).toBe(true)
    expect(monitor.violations).toEqual([])
  })
})
