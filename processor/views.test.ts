/** Two views of one log beside each other, on the embedded stores. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { TOPICS } from '../shared/log/topics.ts'
import {
  activateView,
  formerViews,
  handoverOf,
  readActiveView,
} from '../shared/views/active-view.ts'
import { markDropped, readView as describedView } from '../shared/views/view-registry.ts'
import {
  PARTITIONS,
  readView,
  TestMachine,
  type MortalProcessor,
  type StartOptions,
} from './testing/test-machine.ts'

let machine: TestMachine
const running: MortalProcessor[] = []

beforeEach(async () => {
  machine = await TestMachine.open()
})

afterEach(async () => {
  for (const processor of running.splice(0)) if (!processor.isDead) await processor.stop()
  await machine.close()
})

async function start(settings: Record<string, string>, options: StartOptions = {}) {
  const processor = await machine.start({ ...options, settings })
  running.push(processor)
  return processor
}

const CANDIDATE = { PROCESSOR_VIEW: 'candidate' }

/** It folds and writes rows, and reaches no output topic any more. */
const WITHOUT_OUTPUTS: StartOptions = {
  wrap: (ports) => ({
    ...ports,
    log: new Proxy(ports.log, {
      get(log, name) {
        const method: unknown = Reflect.get(log, name)
        if (typeof method !== 'function') return method
        return (...args: unknown[]): unknown =>
          name === 'append' && args[0] === TOPICS.sessions
            ? new Promise(() => undefined)
            : Reflect.apply(method, log, args)
      },
    }),
  }),
}

/** Sessions of a few events each, which close when time has passed. */
async function watch(ids: readonly string[]): Promise<void> {
  for (const sessionId of ids)
    await machine.send({
      sessionId,
      events: [
        { seq: 0, type: 'playbackRequest' },
        { seq: 1, type: 'playbackStart' },
      ],
    })
}

interface PutOut {
  readonly sessionId: string
  readonly view: string | undefined
}

async function putOut(topic: string): Promise<PutOut[]> {
  const found: PutOut[] = []
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    const request = { fromOffset: 0, maxRecords: 10_000, maxBytes: 2 ** 24, waitMs: 0 }
    const { records } = await machine.ports.log.read(topic, partition, request)
    for (const { key = '', headers } of records)
      found.push({ sessionId: key, view: headers['view'] })
  }
  return found
}

async function switchTo(view: string): Promise<void> {
  const { objects, speed } = machine.ports
  const stored = await readActiveView(objects)
  if (stored === undefined) throw new Error('a view is active')
  const handover = handoverOf(await speed.readPartitions(stored.active.view))
  const former = formerViews(view, stored.active, handover)
  const atMs = machine.clock.nowMs()
  await activateView(
    objects,
    { view, ...former, by: 'switch', forced: false, atMs },
    stored.generation,
  )
}

const rowsOf = async (view: string, ids: readonly string[]) => {
  const content = await readView(machine.ports.speed, view, ids)
  return Object.values(content).map((rows: readonly object[]) =>
    rows.map((row) => ({ ...row, view: '', generation: 0 })),
  )
}

const allClosed = (topicView: string, ids: readonly string[]) =>
  machine.until(
    async () => {
      const closed = (await putOut(TOPICS.sessions)).filter(({ view }) => view === topicView)
      return ids.every((id) => closed.some(({ sessionId }) => sessionId === id))
    },
    `${topicView} puts out ${ids.join(', ')}`,
  )

describe('a second view', () => {
  it('is built from the earliest record, beside the first, which alone puts anything out', async () => {
    const first = await start({})
    const early = ['a1', 'a2', 'a3']
    await watch(early)
    await allClosed(first.view, early)

    const second = await start(CANDIDATE)
    expect([first.isPrimary, second.isPrimary]).toEqual([true, false])
    expect(second.view).not.toBe(first.view)
    const late = ['b1', 'b2', 'b3']
    await watch(late)
    await allClosed(first.view, late)
    await machine.settled(first)
    await machine.settled(second)
    const ids = [...early, ...late]
    const rows = await rowsOf(second.view, ids)
    expect(rows).toEqual(await rowsOf(first.view, ids))
    expect(rows.map((of) => of.length > 3)).toEqual([true, true, true])
    for (const topic of [TOPICS.sessions, TOPICS.exceptions])
      expect((await putOut(topic)).filter(({ view }) => view === second.view)).toEqual([])
    expect(await describedView(machine.ports.objects, second.view)).toMatchObject({
      name: 'candidate',
      cuts: [{ id: 'total' }, { id: 'cdn' }, { id: 'content' }, { id: 'cdn+content' }],
    })
  })

  it('takes over by a switch, and gives back, with no closed session left out', async () => {
    const first = await start({})
    const second = await start(CANDIDATE)
    const groups = [
      ['a1', 'a2', 'a3', 'a4'],
      ['b1', 'b2', 'b3', 'b4'],
      ['c1', 'c2', 'c3', 'c4'],
    ] as const
    // Each switch falls into the time in which sessions of the group before it close.
    await watch(groups[0])
    await machine.pass(9_500)
    await switchTo(second.view)
    await machine.until(() => second.isPrimary && !first.isPrimary, 'the second one is primary')
    await watch(groups[1])
    await allClosed(second.view, groups[1])
    await switchTo(first.view)
    await machine.until(() => first.isPrimary && !second.isPrimary, 'the first one is primary')
    await watch(groups[2])
    await allClosed(first.view, groups[2])
    const closed = new Set((await putOut(TOPICS.sessions)).map(({ sessionId }) => sessionId))
    expect([...closed].toSorted()).toEqual(groups.flat())
    const ofSecond = (await putOut(TOPICS.sessions)).filter(({ view }) => view === second.view)
    expect(ofSecond.filter(({ sessionId }) => sessionId.startsWith('c'))).toEqual([])
  })

  it('has its former primary deliver what it owes, though it was killed before the switch', async () => {
    const ids = ['a1', 'a2', 'a3', 'a4']
    const first = await start({}, WITHOUT_OUTPUTS)
    const second = await start(CANDIDATE)
    await watch(ids)
    await machine.pass(20_000)
    await machine.settled(first)
    await machine.settled(second)
    for (const processor of [first, second]) processor.kill()
    await machine.closeStores()
    await machine.reopen()
    await switchTo(second.view)
    expect((await start(CANDIDATE)).isPrimary).toBe(true)
    expect((await start({})).isPrimary).toBe(false)
    await allClosed(first.view, ids)
  })

  it('has one before the previous deliver what it owes, after two switches that nobody saw', async () => {
    const ids = ['a1', 'a2', 'a3', 'a4']
    // No checkpoint says what it owes: only the record can.
    const first = await start({ PROCESSOR_CHECKPOINT_INTERVAL_MS: '600000' }, WITHOUT_OUTPUTS)
    const second = await start(CANDIDATE)
    const third = await start({ PROCESSOR_VIEW: 'third' })
    await watch(ids)
    await machine.pass(20_000)
    for (const processor of [first, second, third]) await machine.settled(processor)
    for (const processor of [first, second, third]) processor.kill()
    await machine.closeStores()
    await machine.reopen()
    await switchTo(second.view)
    await switchTo(third.view)
    expect((await start({ PROCESSOR_VIEW: 'third' })).isPrimary).toBe(true)
    expect((await start({})).isPrimary).toBe(false)
    await allClosed(first.view, ids)
  })

  it('of other settings takes the place of one without a name, and of no other', async () => {
    const { objects } = machine.ports
    const first = await start({})
    await first.stop()
    const other = await start({ PROCESSOR_REORDER_MS: '900' })
    expect(other.isPrimary).toBe(true)
    expect((await readActiveView(objects))?.active).toMatchObject({
      view: other.view,
      previous: first.view,
      by: 'start',
    })
    const named = await start(CANDIDATE)
    await switchTo(named.view)
    const again = await start({})
    expect(again.isPrimary).toBe(false)
    expect((await readActiveView(objects))?.active.view).toBe(named.view)
  })

  it('is never built again under the id of one that was dropped', async () => {
    const second = await start(CANDIDATE)
    await second.stop()
    await markDropped(machine.ports.objects, second.view)
    await expect(start(CANDIDATE)).rejects.toMatchObject({ code: 'VIEW_DROPPED' })
    await expect(start({ PROCESSOR_VIEW: 'another' })).resolves.toMatchObject({ isPrimary: false })
  })
})
