import { expect, test } from 'vitest'
import { drawSchedule, FAULT_KINDS } from './schedule.ts'

const MINUTE_MS = 60_000

test('equal seeds give equal schedules, and a longer one begins with the shorter', () => {
  const short = drawSchedule(7, 2 * MINUTE_MS)
  expect(drawSchedule(7, 2 * MINUTE_MS)).toEqual(short)
  expect(drawSchedule(7, 30 * MINUTE_MS).slice(0, short.length)).toEqual(short)
  expect(drawSchedule(8, 2 * MINUTE_MS)).not.toEqual(short)
})

test('every kind comes before any comes again, and producers never go back', () => {
  for (let seed = 0; seed < 50; seed += 1) {
    const kinds = drawSchedule(seed, 30 * MINUTE_MS).map(({ kind }) => kind)
    expect(new Set(kinds.slice(0, FAULT_KINDS.length))).toEqual(new Set(FAULT_KINDS))
    expect(kinds.filter((kind) => kind === 'producers send a later schema')).toHaveLength(1)
  }
})

test('a processor is paused for longer than its group waits for it', () => {
  const paused = drawSchedule(1, 300 * MINUTE_MS).filter(({ kind }) => kind === 'processor paused')
  expect(Math.min(...paused.map(({ lastsMs }) => lastsMs))).toBeGreaterThan(6_000)
})
