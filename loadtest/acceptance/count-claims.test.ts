import { expect, test } from 'vitest'
import { countClaims } from './count-claims.ts'
import { isReached } from './proof.ts'

/** What is not as it should be. */
function broken(sent: number, acknowledged: number, distinctEvents: number, foreignEvents = 0) {
  const summary = {
    eventsSent: sent,
    eventsAcknowledged: acknowledged,
    errors: 0,
    slowed: 0,
    reconnects: 0,
    ackP50Ms: 0,
    ackP99Ms: 0,
    ackMaxMs: 0,
    passed: true,
  }
  const inKafka = { records: 1, distinctEvents, repeatedEvents: 0, foreignEvents }
  return countClaims({ summary, inKafka })
    .filter((claim) => !isReached(claim))
    .map(({ kind, what, measured }) => `${kind}: ${measured} ${what}`)
}

test('sent, acknowledged and in Kafka are the same', () => {
  expect(broken(100, 100, 100)).toEqual([])
})

test('an acknowledged event that is not in Kafka breaks the run', () => {
  expect(broken(100, 100, 99)).toEqual(['correctness: 1 acknowledged and not in Kafka'])
})

test('an event that nobody sent breaks the run', () => {
  expect(broken(100, 100, 101)).toEqual(['correctness: 1 in Kafka and never sent'])
  expect(broken(100, 100, 100, 2)).toEqual(['correctness: 2 in Kafka and never sent'])
})

test('what is in Kafka and not yet acknowledged is a load that was too much, and nothing worse', () => {
  expect(broken(100, 60, 80)).toEqual(['floor: 40 sent and not acknowledged by the end'])
})
