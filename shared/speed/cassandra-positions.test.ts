import { types } from 'cassandra-driver'
import { beforeEach, expect, test } from 'vitest'
import { ManualClock } from '../runtime/clock.ts'
import { POSITIONS_AGAIN_MAX, POSITIONS_AGAIN_MS } from './cassandra-limits.ts'
import { findPositions } from './cassandra-positions.ts'
import { positionsText } from './row-text.ts'
import { POSITIONS_PER_ROW, type PositionRow } from './rows.ts'
import { positionRow, sessionRow } from './speed-store.contract.ts'

const WHOLE = 2 * POSITIONS_PER_ROW + 3

let clock: ManualClock
/** What each look finds, the last one for ever. */
let looks: (readonly PositionRow[])[]
let looked: number

const unused = (): never => {
  throw new Error('columns are read by name')
}

const statements = {
  async readAll(): Promise<types.Row[]> {
    const rows = looks[Math.min(looked, looks.length - 1)] ?? []
    looked += 1
    return rows.map((row): types.Row => ({
      row_number: row.rowNumber,
      expires_at_ms: types.Long.fromNumber(row.expiresAtMs),
      positions: positionsText(row),
      stamp_us: types.Long.fromNumber(row.stampUs),
      get: unused,
      values: unused,
      keys: unused,
      forEach: unused,
    }))
  },
}

/** The rows that hold the session's first `count` positions. */
function rowsOf(count: number): PositionRow[] {
  const positions = Array.from({ length: count }, (_, offset) => ({ offset, loggedAtMs: offset }))
  const rows = Math.ceil(count / POSITIONS_PER_ROW)
  return Array.from({ length: rows }, (_, rowNumber) => {
    const first = rowNumber * POSITIONS_PER_ROW
    const held = positions.slice(first, first + POSITIONS_PER_ROW)
    return positionRow({ rowNumber, positions: held, expiresAtMs: clock.nowMs() + 60_000 })
  })
}

const countIn = (rows: readonly PositionRow[]) =>
  rows.reduce((sum, { positions }) => sum + positions.length, 0)

/** All that `findPositions` finds, while the clock goes on. */
async function find(count: number, fromRow = 0, limit = 100): Promise<PositionRow[]> {
  const session = sessionRow({ positionCount: count })
  const finding = findPositions(statements, { session, fromRow, limit }, clock)
  for (let turn = 0; turn <= POSITIONS_AGAIN_MAX; turn += 1) await clock.advance(POSITIONS_AGAIN_MS)
  return finding
}

beforeEach(() => {
  clock = new ManualClock(1_780_000_000_000)
  looked = 0
})

test('positions that a replica does not have yet are looked for again', async () => {
  looks = [[], rowsOf(POSITIONS_PER_ROW), rowsOf(WHOLE - 1), rowsOf(WHOLE)]
  expect(countIn(await find(WHOLE))).toBe(WHOLE)
  expect(looked).toBe(4)
})

test('those that never come are waited for a little, and what there is is told', async () => {
  looks = [rowsOf(WHOLE - 1)]
  expect(countIn(await find(WHOLE))).toBe(WHOLE - 1)
  expect(looked).toBe(POSITIONS_AGAIN_MAX + 1)
})

test('a page is whole with the positions of its rows, and so is one with more than are counted', async () => {
  looks = [rowsOf(WHOLE).slice(1, 2)]
  expect(await find(WHOLE, 1, 1)).toHaveLength(1)
  looks = [rowsOf(WHOLE)]
  expect(countIn(await find(WHOLE - 2))).toBe(WHOLE)
  looks = [[]]
  expect(await find(WHOLE, 3, 10)).toEqual([])
  expect(looked).toBe(3)
})

test('rows past their time count as missing', async () => {
  looks = [rowsOf(WHOLE).map((row) => ({ ...row, expiresAtMs: clock.nowMs() - 1 }))]
  expect(await find(WHOLE)).toEqual([])
})
