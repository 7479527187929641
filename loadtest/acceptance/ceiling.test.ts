import { expect, test } from 'vitest'
import type { MeasuredSecond } from '../load/report.ts'
import { highestStep } from './ceiling.ts'

/** Ten steps of 6 s, up to 100,000 a second. */
const command = {
  name: 'ceiling',
  options: { eventsPerSecond: 100_000, minutes: 1, eventsPerFrame: 100, connections: 50 },
  partitions: 12,
  processes: 1,
  kafkaClient: 'platformatic',
  driver: 'k6',
  variant: 'product',
} as const
const STEP_SECONDS = 6

/** A gateway that takes what is due up to `most` a second, at a core for each 50,000. */
function secondsUpTo(most: number): MeasuredSecond[] {
  return Array.from({ length: 10 * STEP_SECONDS }, (_, index) => {
    const due = (1 + Math.floor(index / STEP_SECONDS)) * 10_000
    const acknowledged = Math.min(due, most)
    const ackP99Ms = due > most ? 5_000 : 20
    return { ...NOTHING, atMs: 1_000 * (index + 1), events: due, acknowledged, ackP99Ms }
  }).map((second) => ({ ...second, gatewayCores: second.acknowledged / 50_000 }))
}

const NOTHING = {
  ackP50Ms: 1,
  slowed: 0,
  reconnects: 0,
  gatewayCores: 0,
  gatewayBytes: 0,
  brokerCores: 0,
}

test('the highest step that is held is found, with its events a core', () => {
  const step = highestStep({ command, seconds: secondsUpTo(65_000) })
  expect(step).toMatchObject({ eventsPerSecond: 60_000, eventsPerCoreSecond: 50_000, ackP99Ms: 20 })
  expect(step.span).toEqual({ fromMs: 32_000, toMs: 36_000 })
})

test('a step that keeps its rate only by a queue is not held', () => {
  const late = secondsUpTo(100_000).map((second) =>
    second.events > 30_000 ? { ...second, ackP99Ms: 1_500 } : second,
  )
  expect(highestStep({ command, seconds: late }).eventsPerSecond).toBe(30_000)
})

test('a step that what stands behind the log does not keep up with is not held', () => {
  const isFresh = ({ toMs }: { readonly toMs: number }) => toMs <= 24_000
  expect(highestStep({ command, seconds: secondsUpTo(65_000) }, isFresh).eventsPerSecond).toBe(
    40_000,
  )
})

test('a hiccup in a lower step does not hide a higher one', () => {
  const seconds = secondsUpTo(80_000).map((second) =>
    second.events === 50_000 ? { ...second, acknowledged: 30_000 } : second,
  )
  expect(highestStep({ command, seconds }).eventsPerSecond).toBe(80_000)
})

test('a line that took two seconds counts for two', () => {
  // Of each pair of seconds the first is never told: the second brings its events as well.
  const slow = secondsUpTo(65_000)
    .filter((_, index) => index % 2 === 1)
    .map((second) => ({ ...second, acknowledged: 2 * second.acknowledged }))
  expect(highestStep({ command, seconds: slow }).eventsPerSecond).toBe(60_000)
})

test('a load of which nothing is held has a ceiling of nothing', () => {
  expect(highestStep({ command, seconds: secondsUpTo(1_000) }).eventsPerSecond).toBe(0)
})
