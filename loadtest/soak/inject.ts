/** What each fault does: it comes, lasts and goes, and says in a few words what was done. */
import assert from 'node:assert/strict'
import { systemClock as clock } from '../../shared/runtime/clock.ts'
import type { SoakAudience } from './audience.ts'
import type { BatchRuns } from './batch-runs.ts'
import type { Fault, FaultKind } from './schedule.ts'
import type { Stage } from './stage.ts'

export interface Scene {
  readonly stage: Stage
  readonly audience: SoakAudience
  readonly batch: BatchRuns
}

type Injection = (scene: Scene, fault: Fault) => Promise<string>

/** Resolves when the fault is healed; rejects when what it befell did not start or stop as it must. */
export function inject(scene: Scene, fault: Fault): Promise<string> {
  return INJECTIONS[fault.kind](scene, fault)
}

const INJECTIONS: Readonly<Record<FaultKind, Injection>> = {
  async 'gateway killed'({ stage: { gateways } }, { lastsMs, draw }) {
    const [gateway, place] = chosen(gateways, draw)
    await gateway.kill()
    await clock.sleep(lastsMs)
    await gateway.start()
    return `gateway ${place}`
  },

  async 'gateway drained'({ stage: { gateways } }, { lastsMs, draw }) {
    const [gateway, place] = chosen(gateways, draw)
    const code = await gateway.stop()
    assert.equal(code, 0, `gateway ${place} did not drain:\n${gateway.output}`)
    await clock.sleep(lastsMs)
    await gateway.start()
    return `gateway ${place}`
  },

  async 'gateway paused'({ stage: { gateways } }, { lastsMs, draw }) {
    const [gateway, place] = chosen(gateways, draw)
    gateway.signal('SIGSTOP')
    await clock.sleep(lastsMs)
    gateway.signal('SIGCONT')
    return `gateway ${place}`
  },

  async 'processor killed'({ stage }, { lastsMs, draw }) {
    const [processor, place] = chosen(stage.processors, draw)
    processor.signal('SIGKILL')
    await processor.ended
    await clock.sleep(lastsMs)
    await stage.replaceProcessor(place)
    return `processor ${place}`
  },

  async 'processor paused'({ stage: { processors } }, { lastsMs, draw }) {
    const [processor, place] = chosen(processors, draw)
    processor.signal('SIGSTOP')
    await clock.sleep(lastsMs)
    processor.signal('SIGCONT')
    return `processor ${place}`
  },

  async 'processor joins and leaves'({ stage }, { lastsMs, draw }) {
    const visitor = await stage.addVisitor()
    await clock.sleep(lastsMs)
    if (draw % 2 === 0) {
      await visitor.stop()
      return 'left'
    }
    visitor.signal('SIGKILL')
    await visitor.ended
    return 'left without a word'
  },

  async 'broker bounced'({ stage: { kafka } }, { lastsMs, draw }) {
    const [broker] = chosen(kafka.brokers, draw)
    const isKilled = draw % 2 === 0
    if (isKilled) await broker.kill()
    else await broker.stop()
    await clock.sleep(lastsMs)
    await broker.start()
    return `broker ${broker.nodeId} ${isKilled ? 'killed' : 'stopped'}`
  },

  async 'store unreachable'({ stage: { cassandra } }, { lastsMs, draw }) {
    const { proxy } = cassandra
    const [form] = chosen(['refuses', 'does not hear', 'is not heard'] as const, draw)
    if (form === 'refuses') proxy.refuse()
    else proxy.inject(form === 'does not hear' ? 'up' : 'down', { blackHole: true })
    await clock.sleep(lastsMs)
    proxy.heal()
    // No network loses bytes out of the middle of a connection that goes on.
    proxy.reset()
    return form
  },

  'batch killed': ({ batch }, { lastsMs }) => batch.kill(lastsMs),

  async 'producers send a later schema'({ audience }) {
    audience.sendLaterSchema()
    return 'from now on'
  },
}

function chosen<Item>(items: readonly Item[], draw: number): readonly [Item, number] {
  // Not by the lowest bit, which chooses the form of some faults.
  const place = Math.floor(draw / 2) % items.length
  const item = items[place]
  assert(item !== undefined, 'there is nothing to choose from')
  return [item, place]
}
