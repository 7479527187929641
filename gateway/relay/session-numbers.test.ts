import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SEQ_MAX } from '../../shared/events/schema.ts'
import { SessionNumbers } from './session-numbers.ts'

const SESSIONS_MAX = 3

/** Messages of a feed at positions 0, 1, …: which session, how many events, whether it ends. */
const feed = fc.array(
  fc.record({
    source: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
    count: fc.integer({ min: 0, max: 4 }),
    ends: fc.boolean(),
  }),
  { maxLength: 40 },
)

type Message = { source: string; count: number; ends: boolean }

function number(numbers: SessionNumbers, message: Message, at: number) {
  const { sessionId, firstSeq, step } = numbers.take({ ...message, startKey: `${at}` })
  const ids = Array.from({ length: message.count }, (_, n) => `${sessionId}/${firstSeq + n}`)
  return { ids, step }
}

test('from a saved state the same messages get the same identities', () => {
  fc.assert(
    fc.property(feed, fc.nat(), (messages, cutSeed) => {
      const cut = messages.length === 0 ? 0 : cutSeed % messages.length
      const first = new SessionNumbers(SESSIONS_MAX)
      // What is durable follows by the steps alone, as it does behind the log.
      const durable = new SessionNumbers(SESSIONS_MAX)
      const all = messages.map((message, at) => {
        const { ids, step } = number(first, message, at)
        if (at < cut) durable.apply(step)
        return ids
      })
      const next = new SessionNumbers(SESSIONS_MAX, durable.sessions)
      const again = messages.slice(cut).map((message, at) => number(next, message, cut + at).ids)
      expect(again).toEqual(all.slice(cut))
    }),
  )
})

test('no two events have one identity, and those of a session are dense', () => {
  fc.assert(
    fc.property(feed, (messages) => {
      const numbers = new SessionNumbers(SESSIONS_MAX)
      const ids = messages.flatMap((message, at) => number(numbers, message, at).ids)
      expect(new Set(ids).size).toBe(ids.length)
      const next = new Map<string, number>()
      for (const id of ids) {
        const [sessionId = '', seq] = id.split('/')
        expect(Number(seq)).toBe(next.get(sessionId) ?? 0)
        next.set(sessionId, Number(seq) + 1)
      }
      expect(numbers.size).toBeLessThanOrEqual(SESSIONS_MAX)
    }),
  )
})

test('one that begins and ends at once makes nobody forgotten', () => {
  const numbers = new SessionNumbers(2, [
    ['a', 'of-a', 1],
    ['b', 'of-b', 1],
  ])
  numbers.take({ source: 'c', count: 1, ends: true, startKey: 'x' })
  expect(numbers.sessions.map(([source]) => source)).toEqual(['a', 'b'])
})

test('a session that has used its numbers goes on as another', () => {
  const numbers = new SessionNumbers(SESSIONS_MAX, [['a', 'old', SEQ_MAX - 1]])
  const taken = { source: 'a', ends: false }
  const last = numbers.take({ ...taken, count: 1, startKey: 'x' })
  expect([last.sessionId, last.firstSeq]).toEqual(['old', SEQ_MAX - 1])
  const { sessionId, firstSeq } = numbers.take({ ...taken, count: 2, startKey: 'y' })
  expect([sessionId === 'old', firstSeq]).toEqual([false, 0])
})
