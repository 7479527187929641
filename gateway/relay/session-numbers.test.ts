import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SEQ_MAX } from '../../shared/events/schema.ts'
import { SessionNumbers, type NumberingStep } from './session-numbers.ts'

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

function number(numbers: SessionNumbers, { source, count, ends }: Message, at: number) {
  const [, sessionId, firstSeq] = numbers.take(source, count, `${at}`)
  const step: NumberingStep = ends ? [source] : [source, sessionId, firstSeq + count]
  if (ends) numbers.apply(step)
  return { ids: Array.from({ length: count }, (_, n) => `${sessionId}/${firstSeq + n}`), step }
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

test('a session that has used its numbers goes on as another', () => {
  const numbers = new SessionNumbers(SESSIONS_MAX, [['a', 'old', SEQ_MAX - 1]])
  expect(numbers.take('a', 1, 'x')).toEqual(['a', 'old', SEQ_MAX - 1])
  const [, sessionId, firstSeq] = numbers.take('a', 2, 'y')
  expect([sessionId === 'old', firstSeq]).toEqual([false, 0])
})
