import { describe, expect, it } from 'vitest'
import type { TimelineEntry } from '../api-schemas.ts'
import { tickStepMs, toBands, type BandState } from './state-bands.ts'

const entry = (
  seq: number,
  eventTimeMs: number,
  state: BandState | undefined,
  rest: Partial<TimelineEntry> = {},
): TimelineEntry => ({
  seq,
  type: 'heartbeat',
  eventTimeMs,
  status: 'applied',
  receivedAtMs: 0,
  loggedAtMs: 0,
  offset: 0,
  fields: {},
  part: 0,
  ...(state === undefined ? {} : { state }),
  ...rest,
})

describe('bands of states', () => {
  it('run from one applied event to the next, in the state after the earlier one', () => {
    const bands = toBands([
      entry(0, 0, 'starting'),
      entry(1, 800, 'playing'),
      entry(2, 3_000, 'stalled'),
      entry(3, 4_500, 'playing'),
      entry(4, 6_000, 'ended'),
    ])
    expect(bands.map(({ state, fromMs, toMs }) => [state, fromMs, toMs])).toEqual([
      ['starting', 0, 800],
      ['playing', 800, 3_000],
      ['stalled', 3_000, 4_500],
      ['playing', 4_500, 6_000],
    ])
  })

  it('join where the state stays, and do not join over parts', () => {
    const bands = toBands([
      entry(0, 0, 'playing'),
      entry(1, 10, 'playing'),
      entry(2, 20, 'playing', { part: 1 }),
      entry(3, 30, 'playing', { part: 1 }),
    ])
    expect(bands.map(({ part, fromMs, toMs }) => [part, fromMs, toMs])).toEqual([
      [0, 0, 20],
      [1, 20, 30],
    ])
  })

  it('ignore what was not applied', () => {
    const bands = toBands([
      entry(0, 0, 'playing'),
      entry(1, 5, undefined, { status: 'late' }),
      entry(2, 7, undefined, { status: 'duplicate' }),
      entry(3, 10, 'paused'),
    ])
    expect(bands).toMatchObject([{ fromMs: 0, toMs: 10 }])
  })

  it('are none without two applied events at different times', () => {
    expect(toBands([])).toEqual([])
    expect(toBands([entry(0, 5, 'starting')])).toEqual([])
    expect(toBands([entry(0, 5, 'starting'), entry(1, 5, 'playing')])).toEqual([])
  })
})

describe('ticks of the axis', () => {
  it.each([
    [6_000, 8, 1_000],
    [199_000, 8, 30_000],
    [7_200_000, 8, 900_000],
    [1e12, 8, 86_400_000],
  ])('%d ms in about %d steps of %d ms', (lengthMs, wanted, stepMs) => {
    expect(tickStepMs(lengthMs, wanted)).toBe(stepMs)
  })
})
