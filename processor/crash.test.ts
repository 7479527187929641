import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { FailpointName } from '../shared/runtime/failpoints.ts'
import { REASSIGN_DEADLINE_MS } from './limits.ts'
import { SpeedMonitor } from './testing/monitored-speed-store.ts'
import { metricValue } from './testing/test-doubles.ts'
import {
  readView,
  TestMachine,
  totalOf,
  type MortalProcessor,
  type Ports,
} from './testing/test-machine.ts'

const STEPS: readonly FailpointName[] = [
  'processor.afterFetch',
  'processor.afterFold',
  'processor.afterSomeRows',
  'processor.afterRows',
  'processor.afterCheckpoint',
  'processor.afterOffsetCommit',
]

let machine: TestMachine
let monitor: SpeedMonitor
let sent: Map<string, number>

beforeEach(async () => {
  machine = await TestMachine.open()
  monitor = new SpeedMonitor()
  sent = new Map()
})
afterEach(() => machine.close())

const watched = (ports: Ports): Ports => ({ ...bare(ports), speed: monitor.watch(ports.speed) })
const bare = ({ log, speed, objects }: Ports): Ports => ({ log, speed, objects })

/** The next event of some session: starts, heartbeats, stalls, now and then one out of order. */
async function sendNext(turn: number): Promise<void> {
  const sessionId = `s${turn % 5}-${Math.floor(turn / 60)}`
  const seq = sent.get(sessionId) ?? 0
  const type = ['playbackRequest', 'playbackStart', 'playbackStall', 'heartbeat'][seq % 4] ?? ''
  const skipped = turn % 17 === 0 ? 1 : 0
  const inMs = turn % 23 === 0 ? -40_000 : 0
  sent.set(sessionId, seq + 1 + skipped)
  const events = [{ seq: seq + skipped, type, inMs }]
  await machine.send({ sessionId, cdn: turn % 2 === 0 ? 'a' : 'b', events })
  if (turn % 7 === 0) await machine.send({ sessionId, events })
}

/** Sends on until the processor is dead. */
async function sendUntilDead(processor: MortalProcessor, fromTurn: number): Promise<number> {
  let turn = fromTurn
  await machine.until(async () => {
    if (!processor.isDead) await sendNext(turn++)
    return processor.isDead
  }, 'the processor is dead')
  return turn
}

/** Runs a processor that appends nothing to the log itself to its end, and stops it. */
async function runToTheEnd(wrap: (ports: Ports) => Ports): Promise<MortalProcessor> {
  const processor = await machine.start({ settings: { PROCESSOR_TICKS: 'false' }, wrap })
  const isAtTheEnd = async () => {
    const statuses = processor.status()
    const ends = await Promise.all(statuses.map(({ partition }) => machine.endOffset(partition)))
    return statuses.every(({ nextOffset }, index) => nextOffset === ends[index])
  }
  await machine.until(isAtTheEnd, 'the log is read to its end')
  await processor.stop()
  return processor
}

/** What an uninterrupted processor makes of the same log, in stores of its own. */
async function goldView(sessionIds: readonly string[]) {
  const speed = await machine.openSpeed('gold-speed')
  const objects = await machine.openObjects('gold-objects')
  const gold = await runToTheEnd(({ log }) => ({ log, speed, objects }))
  const view = await readView(speed, gold.view, sessionIds)
  await speed.close()
  await objects.close()
  return view
}

describe('a processor that is killed at every step, one after the other', () => {
  it('ends with the rows of an uninterrupted run, and no reader saw a value go back', async () => {
    let turn = 0
    for (const name of STEPS) {
      const processor = await machine.start({ killAt: { name, times: 3 }, wrap: watched })
      turn = await sendUntilDead(processor, turn)
      await machine.closeStores()
      await machine.reopen()
    }
    const survivor = await runToTheEnd(watched)
    const sessionIds = [...sent.keys()]
    const view = await readView(machine.ports.speed, survivor.view, sessionIds)
    expect(view).toEqual(await goldView(sessionIds))
    expect(new Set(view.minutes.map(({ generation }) => generation))).toEqual(new Set([1]))
    expect(monitor.violations).toEqual([])
    expect(monitor.rowsSeen).toBeGreaterThan(200)
    expect(totalOf(view, 'events')).toBeGreaterThan(turn / 2)
    expect(totalOf(view, 'late')).toBeGreaterThan(0)
  })
})

describe('a processor that sleeps through a takeover', () => {
  it('loses by stamp, has its commit refused, drops its state and joins again', async () => {
    const zombie = await machine.start({ wrap: watched })
    for (let turn = 0; turn < 20; turn += 1) {
      await sendNext(turn)
      await machine.pass(125)
    }
    zombie.freeze()
    let heir: MortalProcessor | undefined
    void machine.start({ wrap: watched }).then((started) => (heir = started))
    await machine.until(() => heir?.status().length === 2, 'the other took both partitions over')
    for (let turn = 20; turn < 60; turn += 1) {
      await sendNext(turn)
      await machine.pass(125)
    }
    zombie.thaw()
    const thawedMs = machine.clock.monotonicMs()
    await machine.until(
      () =>
        zombie.status().length === 1 &&
        heir?.status().length === 1 &&
        [...zombie.status(), ...heir.status()].every(({ state }) => state === 'running'),
      'both share the partitions',
      10,
    )
    // The refused commit told it, not the wait for partitions that never come.
    expect(machine.clock.monotonicMs() - thawedMs).toBeLessThan(REASSIGN_DEADLINE_MS)
    expect(await metricValue(zombie.telemetry, 'processor_fenced_total')).toBe(1)
    expect(await metricValue(heir?.telemetry ?? zombie.telemetry, 'processor_fenced_total')).toBe(0)
    await sendNext(60)
    await machine.pass(1_000)
    await Promise.all([zombie.stop(), heir?.stop()])
    await runToTheEnd(watched)
    const sessionIds = [...sent.keys()]
    const view = await readView(machine.ports.speed, zombie.view, sessionIds)
    expect(view).toEqual(await goldView(sessionIds))
    expect(monitor.violations).toEqual([])
  })
})
