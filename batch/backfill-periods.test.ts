import { expect, it } from 'vitest'
import { groupsOf, type PeriodBounds, periodsOf } from './backfill-periods.ts'
import { FACT_COPIES_PER_GROUP } from './limits.ts'

const MARCH = { fromDate: '2026-03-01', toDate: '2026-03-31' }

const march = (...days: readonly (readonly [number, number])[]) =>
  days.map(([day, copies]) => ({ day: `2026-03-${String(day).padStart(2, '0')}`, copies }))

/** First and last day of each period. */
function together(
  days: readonly { readonly day: string; readonly copies: number }[],
  bounds: Partial<PeriodBounds> = {},
) {
  const periods = periodsOf(days, { ...MARCH, copiesMax: 100, daysMax: 31, ...bounds })
  expect(periods.flatMap((period) => period.days)).toEqual(days.map(({ day }) => day))
  return periods.map(({ firstDay, lastDay, copies }) => [
    firstDay.slice(5),
    lastDay.slice(5),
    copies,
  ])
}

it('takes days together up to a number of copies, and a day with more by itself', () => {
  expect(together(march([1, 40], [2, 60], [3, 1], [4, 500], [5, 99], [6, 1]))).toEqual([
    ['03-01', '03-02', 100],
    ['03-03', '03-03', 1],
    ['03-04', '03-04', 500],
    ['03-05', '03-06', 100],
  ])
  expect(together([])).toEqual([])
})

it('takes no more days together than it may, days without anything counted', () => {
  const days = march([1, 1], [2, 1], [4, 1], [5, 1], [9, 1])
  expect(together(days, { daysMax: 4 })).toEqual([
    ['03-01', '03-04', 3],
    ['03-05', '03-05', 1],
    ['03-09', '03-09', 1],
  ])
})

it('reaches over a day that is not given only within the range, where nothing arrived on it', () => {
  const days = march([2, 1], [3, 1], [5, 1], [10, 1], [12, 1], [13, 1], [20, 1])
  expect(together(days, { fromDate: '2026-03-10', toDate: '2026-03-12' })).toEqual([
    ['03-02', '03-03', 2],
    ['03-05', '03-05', 1],
    ['03-10', '03-13', 3],
    ['03-20', '03-20', 1],
  ])
})

it('divides sessions into as many groups as their copies take, and no more than are asked for', () => {
  const groups = (copies: number) => groupsOf({ firstDay: '', lastDay: '', days: [], copies }, 16)
  expect([0, 1, 1.5, 15.5, 1_000].map((share) => groups(share * FACT_COPIES_PER_GROUP))).toEqual([
    1, 1, 2, 16, 16,
  ])
})
