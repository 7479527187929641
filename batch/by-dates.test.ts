import { expect, it } from 'vitest'
import { tables } from '../shared/warehouse/tables.ts'
import type { InsertMissingRequest, ReplaceRowsRequest } from '../shared/warehouse/warehouse.ts'
import { insertByDates, replaceByDates } from './by-dates.ts'
import { DATES_PER_WRITE } from './limits.ts'
import { waitingGroups } from './waiting-groups.ts'

const DAY_MS = 86_400_000
const DATES = Array.from({ length: DATES_PER_WRITE * 2 + 1 }, (_, index) =>
  new Date(Date.parse('2020-01-01') + index * 2 * DAY_MS).toISOString().slice(0, 10),
)

/** Writes nothing, and keeps what it is asked. */
class AskedSession {
  readonly tables = Object.values(tables)
  readonly asked: (InsertMissingRequest | ReplaceRowsRequest)[] = []

  insertMissing(request: InsertMissingRequest): Promise<number> {
    this.asked.push(request)
    return Promise.resolve(request.dates.length)
  }

  replaceRows(request: ReplaceRowsRequest): Promise<{ removed: number; inserted: number }> {
    this.asked.push(request)
    return Promise.resolve({ removed: 1, inserted: request.dates.length })
  }
}

const write = {
  table: 'events',
  select: { sql: 'SELECT * FROM staged', parameters: { run: 1 } },
  key: [],
  jobId: 'job',
}

it('is one verb under its own job while it names few days', async () => {
  const session = new AskedSession()
  await insertByDates(session, { ...write, dates: DATES.slice(0, DATES_PER_WRITE) })
  expect(session.asked).toEqual([{ ...write, dates: DATES.slice(0, DATES_PER_WRITE) }])
})

it('is several of the next days each, of which every row is in one', async () => {
  const session = new AskedSession()
  expect(await insertByDates(session, { ...write, dates: DATES.toReversed() })).toBe(DATES.length)
  expect(session.asked.map(({ dates }) => dates.length)).toEqual([
    DATES_PER_WRITE,
    DATES_PER_WRITE,
    1,
  ])
  expect(session.asked.flatMap(({ dates }) => dates)).toEqual(DATES)
  expect(new Set(session.asked.map(({ jobId }) => jobId)).size).toBe(3)
  const bounds = session.asked.map(({ select }) => ({ run: 0, ...select.parameters }))
  const [endOfFirst, endOfSecond] = [DATES[DATES_PER_WRITE - 1], DATES[DATES_PER_WRITE * 2 - 1]]
  expect(bounds).toEqual([
    { run: 1, written_up_to: endOfFirst },
    { run: 1, written_after: endOfFirst, written_up_to: endOfSecond },
    { run: 1, written_after: endOfSecond },
  ])
  for (const { select } of session.asked) expect(select.sql).toContain('received_date')
})

it('replaces in as many, and adds up what went and came', async () => {
  const session = new AskedSession()
  const scope = { scope: ['run'], scopeSelect: { sql: 'SELECT 1 AS run' } }
  const { table, select, jobId } = write
  const done = await replaceByDates(session, { table, select, jobId, ...scope, dates: DATES })
  expect(done).toEqual({ removed: 3, inserted: DATES.length })
})

it('divides sessions that wait, never the copies of one', () => {
  const day = (sessionId: string, date: string) => ({ sessionId, date })
  const days = [
    day('a', '2020-01-01'),
    day('a', '2020-01-02'),
    day('b', '2020-01-02'),
    day('c', '2020-01-03'),
    day('d', '2020-01-03'),
    day('d', '2020-01-04'),
    day('d', '2020-01-05'),
    day('e', '2020-01-06'),
  ]
  expect(waitingGroups(days, 2)).toEqual([
    { firstSession: 'a', lastSession: 'b' },
    { firstSession: 'c', lastSession: 'c' },
    { firstSession: 'd', lastSession: 'd' },
    { firstSession: 'e', lastSession: 'e' },
  ])
  expect(waitingGroups(days, 6)).toEqual([{ firstSession: 'a', lastSession: 'e' }])
})
