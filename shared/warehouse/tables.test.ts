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

describe.each(allTables.map((table) => [table.name, table] as const))('table %s', (_, table) => {
  const names = table.columns.map(({ name }) => name)

  it('has every column once, in snake_case, with one sentence about it', () => {
    expect(new Set(names).size).toBe(names.length)
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
