import { describe, expect, it } from 'vitest'
import type { ResultColumn, Row } from '../../shared/warehouse/warehouse.ts'
import { rowsAsText, type RowFormat } from './rows-as-text.ts'

const columns: readonly ResultColumn[] = [
  { name: 'id', type: 'STRING' },
  { name: 'n', type: 'INT64' },
  { name: 'ratio', type: 'FLOAT64' },
  { name: 'seen_at', type: 'TIMESTAMP' },
  { name: 'ok', type: 'BOOL' },
]
const rows: readonly Row[] = [
  { id: 'a,"b"', n: 9007199254740993n, ratio: 0.5, seen_at: 0, ok: true },
  { id: 'né', n: null, ratio: Number.NaN, seen_at: null, ok: false },
  { id: '', n: -1n, ratio: 2, seen_at: 1795684484123, ok: null },
]
const textOf = (format: RowFormat, of = rows) => rowsAsText({ columns, rows: of }, format)

describe('rows as text', () => {
  it('are aligned for people, numbers to the right', () => {
    expect(textOf('aligned').split('\n')).toEqual([
      'id    | n                | ratio | seen_at                  | ok',
      '------+------------------+-------+--------------------------+------',
      'a,"b" | 9007199254740993 |   0.5 | 1970-01-01T00:00:00.000Z | true',
      'né    |             NULL |   NaN | NULL                     | false',
      '      |               -1 |     2 | 2026-11-26T09:14:44.123Z | NULL',
      '(3 rows)',
    ])
    expect(textOf('aligned', []).split('\n').at(-1)).toBe('(0 rows)')
  })

  it('are CSV, where an empty text is not null', () => {
    expect(textOf('csv').split('\n')).toEqual([
      'id,n,ratio,seen_at,ok',
      '"a,""b""",9007199254740993,0.5,1970-01-01T00:00:00.000Z,true',
      'né,,NaN,,false',
      '"",-1,2,2026-11-26T09:14:44.123Z,',
    ])
  })

  it('are JSON, one object a line, whole numbers with all their digits', () => {
    const lines = textOf('json').split('\n')
    expect(lines[0]).toBe(
      '{"id":"a,\\"b\\"","n":9007199254740993,"ratio":0.5,"seen_at":"1970-01-01T00:00:00.000Z","ok":true}',
    )
    expect(JSON.parse(lines[1] ?? '')).toEqual({
      id: 'né',
      n: null,
      ratio: 'NaN',
      seen_at: null,
      ok: false,
    })
  })

  it('never carry what a client wrote to the terminal as a command', () => {
    const text = textOf('aligned', [{ id: 'x\u001b[2J\n\u202ey', n: 1n }])
    expect(text).toContain('x\\u001b[2J\\u000a\\u202ey')
    expect(text.split('\n')).toHaveLength(4)
  })

  it('show a time beyond the calendar as its number', () => {
    expect(textOf('csv', [{ seen_at: 9e15 }])).toContain('9000000000000000 ms')
  })
})
