import { expect, test } from 'vitest'
import { ManualClock } from '../shared/runtime/clock.ts'
import { seededRandom } from '../shared/runtime/random.ts'
import type { AllowanceBounds } from './allowance.ts'
import { Rates, type RateScope } from './rates.ts'

function setUp(bounds: Partial<Record<RateScope, AllowanceBounds>>, entriesMax = 10) {
  const clock = new ManualClock()
  const all = { connection: {}, address: {}, subject: {}, ...bounds }
  return { clock, rates: new Rates({ bounds: all, entriesMax, clock, random: seededRandom(3) }) }
}

const cost = (events: number, bytes = 0) => ({ frames: 1, events, bytes })

test('without bounds nothing is refused and nobody is remembered', () => {
  const { rates } = setUp({})
  const connection = rates.openConnection()
  for (let round = 0; round < 100; round++)
    expect(rates.charge({ connection, address: 'a', subject: 's' }, cost(1e6, 1e9))).toBeUndefined()
  expect(rates.remembered).toEqual({ address: 0, subject: 0 })
  expect(rates.limitsAddresses).toBe(false)
})

test('all pay or none: who is refused by one is charged by no other', () => {
  const { rates } = setUp({
    connection: { events: { perSecond: 1, burst: 100 } },
    subject: { events: { perSecond: 1, burst: 10 } },
  })
  const connection = rates.openConnection()
  const payer = { connection, subject: 's' }
  expect(rates.charge(payer, cost(10))).toBeUndefined()
  for (let round = 0; round < 20; round++)
    expect(rates.charge(payer, cost(10))).toMatchObject({ scope: 'subject', unit: 'events' })
  expect(rates.charge({ connection }, cost(90))).toBeUndefined()
  expect(rates.charge({ connection }, cost(1))).toMatchObject({ scope: 'connection' })
})

test('the unit that takes longest decides the wait, and after it the frame is taken', async () => {
  const { clock, rates } = setUp({
    connection: {
      events: { perSecond: 100, burst: 100 },
      bytes: { perSecond: 100, burst: 1_000 },
    },
  })
  const connection = rates.openConnection()
  expect(rates.charge({ connection }, cost(100, 1_000))).toBeUndefined()
  const refusal = rates.charge({ connection }, cost(10, 200))
  expect(refusal).toEqual({ scope: 'connection', unit: 'bytes', retryAfterMs: 5_000 })
  await clock.advance(5_000)
  expect(rates.charge({ connection }, cost(10, 200))).toBeUndefined()
})

test('those who share an allowance are spread over as long again', () => {
  const { rates } = setUp({ address: { events: { perSecond: 10, burst: 100 } } })
  expect(rates.charge({ address: 'a' }, cost(100))).toBeUndefined()
  const waits = Array.from(
    { length: 50 },
    () => rates.charge({ address: 'a' }, cost(1))?.retryAfterMs ?? 0,
  )
  expect(Math.min(...waits)).toBeGreaterThanOrEqual(5_000)
  expect(Math.max(...waits)).toBeLessThanOrEqual(10_000)
  expect(new Set(waits).size).toBeGreaterThan(40)
})

test('the addresses and subjects remembered reach their bound and stay there', () => {
  const { rates } = setUp(
    {
      address: { events: { perSecond: 1, burst: 1 } },
      subject: { events: { perSecond: 1, burst: 1 } },
    },
    10,
  )
  for (let each = 0; each < 1_000; each++)
    expect(rates.charge({ address: `a${each}`, subject: `s${each}` }, cost(1))).toBeUndefined()
  expect(rates.remembered).toEqual({ address: 10, subject: 10 })
  // The last are remembered, the first were forgotten.
  expect(rates.charge({ address: 'a999' }, cost(1))).toMatchObject({ scope: 'address' })
  expect(rates.charge({ address: 'a0' }, cost(1))).toBeUndefined()
})
