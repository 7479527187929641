import { describe, expect, it } from 'vitest'
import { ManualClock, systemClock } from '../shared/runtime/clock.ts'
import { Turn, TurnQueue } from './turn.ts'

describe('a turn', () => {
  it('is over after its records, and the next one counts anew', async () => {
    const turn = new Turn(new TurnQueue(systemClock), new ManualClock(), {
      turnRecordsMax: 3,
      turnMaxMs: 1_000,
    })
    expect([turn.spend(), turn.spend(), turn.spend()]).toEqual([false, false, true])
    await turn.next()
    expect(turn.spend()).toBe(false)
  })

  it('is over after its time, however few records it had', async () => {
    const clock = new ManualClock()
    const turn = new Turn(new TurnQueue(clock), clock, { turnRecordsMax: 100, turnMaxMs: 8 })
    await clock.advance(7)
    expect(turn.spend()).toBe(false)
    await clock.advance(1)
    expect(turn.spend()).toBe(true)
  })

  it('lets what waits on the event loop run before the next', async () => {
    const turn = new Turn(new TurnQueue(systemClock), new ManualClock(), {
      turnRecordsMax: 1,
      turnMaxMs: 8,
    })
    let served = false
    setImmediate(() => (served = true))
    await turn.next()
    expect(served).toBe(true)
  })

  it('is handed out to one partition per round of the event loop, in order', async () => {
    const queue = new TurnQueue(systemClock)
    const ran: string[] = []
    let rounds = 0
    const count = () => {
      rounds += 1
      if (ran.length < 4) setImmediate(count)
    }
    const partition = async (name: string) => {
      for (let turn = 0; turn < 2; turn += 1) {
        await queue.next()
        ran.push(`${name} ${rounds}`)
      }
    }
    setImmediate(count)
    await Promise.all([partition('a'), partition('b')])
    expect(ran.map((entry) => entry[0])).toEqual(['a', 'b', 'a', 'b'])
    expect(new Set(ran.map((entry) => entry.slice(2))).size).toBe(4)
  })
})
