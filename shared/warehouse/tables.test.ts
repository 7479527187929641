import { describe, expect, it } from 'vitest'
import { eventVariants } from '../events/schema.ts'
import { COUNTER_NAMES } from '../qoe/aggregates.ts'
import { contextColumns, eventColumns } from './event-columns.ts'
import { allTables, tables } from './tables.ts'

const column = (columns: typeof eventColumns, name: string) =>
  columns.find((candidate) => candidate.name === name)

describe('columns of events', () => {
  it('flattens the context, keeps a map as JSON, and says where each value stands', () => {
    expect(column(contextColumns, 'device_os_version')).toMatchObject({
      type: 'STRING',
      required: false,
      path: ['device', 'osVersion'],
      json: false,
    })
    expect(column(contextColumns, 'labels')).toMatchObject({ type: 'STRING', json: true })
    expect(column(contextColumns, 'autoplay')).toMatchObject({ type: 'BOOL' })
    expect(column(contextColumns, 'session_id')).toMatchObject({ required: true })
  })

  it('has the fields of every event type once, required only where every type requires them', () => {
    const fields = new Set(eventVariants.flatMap((variant) => Object.keys(variant.shape)))
    expect(eventColumns.map(({ path }) => path.join('.'))).toEqual([...fields])
    expect(eventColumns.filter(({ required }) => required).map(({ name }) => name)).toEqual([
      'seq',
      'at_ms',
      'type',
    ])
    expect(column(eventColumns, 'seq')).toMatchObject({ type: 'INT64' })
    expect(column(eventColumns, 'playback_rate')).toMatchObject({ type: 'FLOAT64' })
  })

  it('tells the CDN that an event names from the CDN of its context', () => {
    expect(column(eventColumns, 'event_cdn')).toMatchObject({ path: ['cdn'] })
    expect(column(eventColumns, 'cdn')).toBeUndefined()
  })
})

/** BigQuery's reserved words. */
const RESERVED = new Set(
  `all and any array as asc assert_rows_modified at between by case cast collate contains create
  cross cube current default define desc distinct else end enum escape except exclude exists extract
  false fetch following for from full group grouping groups hash having if ignore in inner intersect
  interval into is join lateral left like limit lookup merge natural new no not null nulls of on or
  order outer over partition preceding proto qualify range recursive respect right rollup rows select
  set some struct tablesample then to treat true unbounded union unnest using when where window with
  within`.split(/\s+/),
)

describe.each(allTables.map((table) => [table.name, table] as const))('table %s', (_, table) => {
  const names = table.columns.map(({ name }) => name)

  it('has every column once, in snake_case and no word of SQL, with a sentence about it', () => {
    expect(new Set(names).size).toBe(names.length)
    expect(names.filter((name) => RESERVED.has(name))).toEqual([])
    for (const { name, description } of table.columns) {
      expect(name).toMatch(/^[a-z][a-z0-9_]*$/)
      expect(description).toMatch(/^\p{L}?.{5,}[.…]$/u)
    }
  })

  it('is partitioned by a required DATE and sorted and told apart by columns of its own', () => {
    expect(table.columns.find(({ name }) => name === table.partitionColumn)).toMatchObject({
      type: 'DATE',
      required: true,
    })
    for (const name of [...table.key, ...table.clusterColumns]) expect(names).toContain(name)
  })

  it('names the unit of every time and duration', () => {
    const without = table.columns.filter(
      ({ name, description }) =>
        (name.endsWith('_ms') && !/\bms\b/.test(description)) ||
        (name.endsWith('_us') && !description.includes('microseconds')),
    )
    expect(without).toEqual([])
  })
})

it('has a column of qoe_minute for every counter of the live view', () => {
  const names = tables.qoeMinute.columns.map(({ name }) => name)
  for (const counter of COUNTER_NAMES)
    expect(names).toContain(counter.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`))
})
