import { expect, test } from 'vitest'
import { parseSoakCommand } from './command-line.ts'

test('a soak is of half an hour, on one broker, with a seed of the moment', () => {
  expect(parseSoakCommand([], 17)).toEqual({
    minutes: 30,
    seed: 17,
    brokers: 1,
    eventsPerSecond: 400,
    recoveryMaxMs: 90_000,
  })
})

test('every option is taken', () => {
  const args = ['--minutes', '0.5', '--seed', '7', '--brokers', '3', '--eps', '900']
  expect(parseSoakCommand(args, 17)).toEqual({
    minutes: 0.5,
    seed: 7,
    brokers: 3,
    eventsPerSecond: 900,
    recoveryMaxMs: 90_000,
  })
})

test.each([
  [['--minutes', '0'], '--minutes is a number above 0 and up to 1440, received 0'],
  [['--seed', '1.5'], '--seed is an integer from 0 to 4294967295, received 1.5'],
  [['--brokers', '2'], '--brokers is 1 or 3, received 2'],
  [['--eps', 'all'], '--eps is a number above 0 and up to 2000, received all'],
  [['--hours', '1'], 'hours'],
])('%j is refused', (args, message) => {
  expect(() => parseSoakCommand(args, 17)).toThrow(message)
})
