import { expect, test } from 'vitest'
import { ManualClock } from '../shared/runtime/clock.ts'
import { LanePacer, type PacedLane } from './lane-pacer.ts'
import { PACE_WINDOW_MS, SUSPECT_TURN_GAP_MS, SUSPECT_TURNS_MAX } from './limits.ts'
import { turn } from './testing/connection-bench.ts'

const BOUNDS = { lingerMinMs: 5, lingerMaxMs: 25, requestsPerSecond: 300 }

function setUp() {
  const clock = new ManualClock()
  const pacer = new LanePacer(BOUNDS, clock)
  /** When each lane had its turns. */
  const turns: { readonly name: string; readonly atMs: number }[] = []
  const lane = (name: string, isSuspect = false) => {
    const paced: PacedLane & { isSuspect: boolean } = {
      isSuspect,
      takeTurn: () => turns.push({ name, atMs: clock.monotonicMs() }),
    }
    return paced
  }
  return { clock, pacer, turns, lane }
}

test('all lanes that have asked go in one turn, and turns are the linger apart', async () => {
  const { clock, pacer, turns, lane } = setUp()
  pacer.ask(lane('a'), false)
  await clock.advance(0)
  for (const name of ['b', 'c', 'd']) {
    pacer.ask(lane(name), false)
    await clock.advance(1)
  }
  await clock.advance(10)
  expect(turns).toEqual([
    { name: 'a', atMs: 0 },
    { name: 'b', atMs: 5 },
    { name: 'c', atMs: 5 },
    { name: 'd', atMs: 5 },
  ])
})

test('a full batch takes all that have asked along at once', async () => {
  const { clock, pacer, turns, lane } = setUp()
  pacer.ask(lane('first'), false)
  await clock.advance(1)
  const b = lane('b')
  pacer.ask(b, false)
  pacer.ask(lane('full'), true)
  pacer.ask(lane('c'), false)
  await clock.advance(0)
  expect(turns.slice(1)).toEqual(['b', 'full', 'c'].map((name) => ({ name, atMs: 1 })))
  pacer.ask(b, false)
  await clock.advance(4)
  expect(turns).toHaveLength(4)
  await clock.advance(1)
  expect(turns.at(-1)).toEqual({ name: 'b', atMs: 6 })
})

/** A log that answers each turn with so many requests, under load that always has something. */
async function load(requestsPerTurn: number, forMs: number) {
  const { clock, pacer, turns, lane } = setUp()
  const busy = lane('busy')
  const takeTurn = () => {
    turns.push({ name: 'busy', atMs: clock.monotonicMs() })
    pacer.ask(loaded, false)
  }
  const loaded: PacedLane = { ...busy, takeTurn }
  pacer.ask(loaded, false)
  let answeredTurns = 0
  while (clock.monotonicMs() < forMs) {
    await clock.advance(1)
    for (; answeredTurns < turns.length; answeredTurns++)
      for (let request = 0; request < requestsPerTurn; request++) {
        // Two lanes of one request are answered together.
        pacer.answered()
        pacer.answered()
        await turn()
      }
  }
  const { lingerMs, requests } = pacer
  const settled = turns.filter(({ atMs }) => atMs > forMs - 1_000).length * requestsPerTurn
  return { lingerMs, requests, perSecond: settled, turns: turns.length, clock, pacer }
}

test('one request a turn is within the aim: the linger stays at its least', async () => {
  const { lingerMs, requests, turns, perSecond } = await load(1, 3_000)
  expect(lingerMs).toBe(5)
  expect(requests).toBe(turns)
  expect(perSecond).toBeLessThanOrEqual(200)
})

test('several requests a turn, as of several brokers, lengthen the linger until the aim is met', async () => {
  const { lingerMs, perSecond } = await load(4, 5_000)
  expect(lingerMs).toBeGreaterThan(10)
  expect(lingerMs).toBeLessThanOrEqual(16)
  expect(perSecond).toBeGreaterThan(220)
  expect(perSecond).toBeLessThanOrEqual(320)
})

test('the linger ends at its most, and comes down when the load is gone', async () => {
  const { lingerMs, pacer, clock } = await load(20, 4_000)
  expect(lingerMs).toBe(25)
  for (let round = 0; round < 5; round++) {
    pacer.ask({ isSuspect: false, takeTurn: () => undefined }, false)
    await clock.advance(PACE_WINDOW_MS + 25)
  }
  expect(pacer.lingerMs).toBe(5)
})

test('a suspect lane leaves the turn of the others', async () => {
  const { clock, pacer, turns, lane } = setUp()
  for (const [name, isSuspect] of [
    ['a', false],
    ['slow', true],
    ['b', false],
  ] as const)
    pacer.ask(lane(name, isSuspect), false)
  await clock.advance(0)
  expect(turns.map(({ name }) => name)).toEqual(['a', 'b'])
  await clock.advance(SUSPECT_TURN_GAP_MS)
  expect(turns.at(-1)).toEqual({ name: 'slow', atMs: SUSPECT_TURN_GAP_MS })
})

test('one slow lane among hundreds of suspects is found in a few rounds, at a bounded cost', async () => {
  const { clock, pacer } = setUp()
  const going: { readonly lane: PacedLane & { isSuspect: boolean }; readonly atMs: number }[] = []
  const lanes = Array.from({ length: 200 }, () => {
    const lane: PacedLane & { isSuspect: boolean } = {
      isSuspect: true,
      takeTurn: () => going.push({ lane, atMs: clock.monotonicMs() }),
    }
    return lane
  })
  const slow = lanes[77]
  let rounds = 0
  while (lanes.some((lane) => lane !== slow && lane.isSuspect)) {
    rounds += 1
    const asking = lanes.filter((lane) => lane.isSuspect)
    for (const lane of asking) pacer.ask(lane, false)
    await clock.advance(50)
    const went = going.splice(0)
    expect(went).toHaveLength(asking.length)
    const turnsTaken = new Set(went.map(({ atMs }) => atMs))
    expect(turnsTaken.size).toBeLessThanOrEqual(SUSPECT_TURNS_MAX)
    // Whoever shares a request with the slow one is as slow; all others are trusted again.
    const slowAtMs = went.find(({ lane }) => lane === slow)?.atMs
    for (const { lane, atMs } of went) lane.isSuspect = atMs === slowAtMs
  }
  expect(rounds).toBe(3)
  expect(slow?.isSuspect).toBe(true)
})

test('after the stop nothing takes a turn any more', async () => {
  const { clock, pacer, turns, lane } = setUp()
  pacer.ask(lane('slow', true), false)
  await clock.advance(0)
  pacer.ask(lane('a'), false)
  pacer.stop()
  await clock.advance(1_000)
  expect(turns).toEqual([])
})
