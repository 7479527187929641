import { describe, expect, it } from 'vitest'
import { readProgress } from '../shared/speed/generations.ts'
import { mergeMinuteRows } from '../shared/speed/row-merge.ts'
import { minuteRow, partitionRow } from './testing/test-stores.ts'

const MINUTE_MS = 60_000
const PANE_LIFE_MS = 90 * MINUTE_MS
const START_MS = 1_000 * MINUTE_MS
const at = (minute: number) => START_MS + minute * MINUTE_MS

/** Plays counted in the minute, for rows under these partition rows. */
function plays(
  rows: Parameters<typeof mergeMinuteRows>[0],
  partitionRows: Parameters<typeof readProgress>[0],
  minute = 0,
): number | undefined {
  const progress = readProgress(partitionRows, 1, PANE_LIFE_MS)
  return mergeMinuteRows(rows, 'narrow', progress).get(at(minute))?.get('[]')?.plays
}
const row = (values: Parameters<typeof minuteRow>[0] & { plays: number }) =>
  minuteRow({ ...values, aggregates: { plays: values.plays } })

describe('merging the rows of a minute', () => {
  it('adds up partitions and topic epochs', () => {
    const rows = [
      row({ minuteStartMs: at(0), partition: 0, plays: 1 }),
      row({ minuteStartMs: at(0), partition: 1, plays: 10 }),
      row({ minuteStartMs: at(0), partition: 1, topicEpoch: 1, plays: 100 }),
    ]
    expect(plays(rows, [partitionRow(at(5))])).toBe(111)
  })

  it('keeps keys and minutes apart', () => {
    const progress = readProgress([], 1, PANE_LIFE_MS)
    const merged = mergeMinuteRows(
      [
        row({ minuteStartMs: at(0), key: '["a"]', plays: 1 }),
        row({ minuteStartMs: at(0), key: '["b"]', plays: 2 }),
        row({ minuteStartMs: at(1), key: '["a"]', plays: 3 }),
      ],
      'narrow',
      progress,
    )
    expect(merged.get(at(0))?.get('["a"]')?.plays).toBe(1)
    expect(merged.get(at(0))?.get('["b"]')?.plays).toBe(2)
    expect(merged.get(at(1))?.get('["a"]')?.plays).toBe(3)
  })

  it('takes a repair row instead of all others, the newest of several', () => {
    const rows = [
      row({ minuteStartMs: at(0), partition: 0, plays: 1 }),
      row({ minuteStartMs: at(0), partition: -1, plays: 7, stampUs: 1 }),
      row({ minuteStartMs: at(0), partition: 1, plays: 10 }),
      row({ minuteStartMs: at(0), partition: -1, plays: 8, stampUs: 2, generation: 1 }),
    ]
    expect(plays(rows, [partitionRow(at(5))])).toBe(8)
  })

  it('repairs one key without touching the others', () => {
    const progress = readProgress([], 1, PANE_LIFE_MS)
    const merged = mergeMinuteRows(
      [
        row({ minuteStartMs: at(0), key: '["a"]', partition: -1, plays: 5 }),
        row({ minuteStartMs: at(0), key: '["a"]', plays: 1 }),
        row({ minuteStartMs: at(0), key: '["b"]', plays: 2 }),
      ],
      'narrow',
      progress,
    ).get(at(0))
    expect([merged?.get('["a"]')?.plays, merged?.get('["b"]')?.plays]).toEqual([5, 2])
  })
})

describe('generations of a partition', () => {
  const both = [
    row({ minuteStartMs: at(0), generation: 0, plays: 50 }),
    row({ minuteStartMs: at(0), generation: 1, plays: 40 }),
  ]
  const old = (watermarkMs: number) => partitionRow(watermarkMs, { generation: 0 })
  const rebuilt = (watermarkMs: number, generationStartMs: number) =>
    partitionRow(watermarkMs, { generation: 1, generationStartMs })

  it('are never added up: the highest counts', () => {
    const longBefore = at(0) - PANE_LIFE_MS
    expect(plays(both, [old(at(3)), rebuilt(at(3), longBefore)])).toBe(40)
  })

  it('take the highest when the partition has said nothing', () => {
    expect(plays(both, [])).toBe(40)
  })

  it('stay with the older one until the rebuild has come as far', () => {
    const longBefore = at(0) - PANE_LIFE_MS
    expect(plays(both, [old(at(3)), rebuilt(at(3) - 1, longBefore)])).toBe(50)
  })

  it('stay with a row that is further than the older one had said, until the rebuild is too', () => {
    const rows = [
      row({ minuteStartMs: at(0), generation: 0, plays: 50, lastOffset: 9 }),
      row({ minuteStartMs: at(0), generation: 1, plays: 40, lastOffset: 7 }),
    ]
    const longBefore = at(0) - PANE_LIFE_MS
    const upTo = (narrowOffset: number) => [
      { ...old(at(3)), narrowOffset: 8 },
      { ...rebuilt(at(3), longBefore), narrowOffset },
    ]
    expect(plays(rows, upTo(9))).toBe(50)
    expect(plays(rows, upTo(10))).toBe(40)
  })

  it('stay with the oldest one while of two rebuilds neither has come as far', () => {
    const longBefore = at(0) - PANE_LIFE_MS
    const rebuiltAgain = { ...rebuilt(at(2), longBefore), generation: 2 }
    const rows = [...both, row({ minuteStartMs: at(0), generation: 2, plays: 40 })]
    expect(plays(rows, [old(at(3)), rebuilt(at(2), longBefore), rebuiltAgain])).toBe(50)
  })

  it('stay with the older one for minutes the rebuild cannot know whole', () => {
    const start = at(0) - PANE_LIFE_MS
    expect(plays(both, [old(at(3)), rebuilt(at(9), start + 1)])).toBe(50)
    expect(plays(both, [old(at(3)), rebuilt(at(9), start)])).toBe(40)
  })

  it('take the rebuild for a minute that the older one had not finished', () => {
    expect(plays(both, [old(at(1) - 1), rebuilt(at(9), at(0))])).toBe(40)
    expect(plays(both, [old(at(1)), rebuilt(at(9), at(0))])).toBe(50)
  })

  it('walk down several rebuilds one by one', () => {
    const rows = [0, 1, 2].map((generation) =>
      row({ minuteStartMs: at(0), generation, plays: 10 + generation }),
    )
    const partitions = [
      old(at(5)),
      rebuilt(at(6), at(0) - PANE_LIFE_MS),
      partitionRow(at(7), { generation: 2, generationStartMs: at(0) }),
    ]
    expect(plays(rows, partitions)).toBe(11)
  })

  it('do not fall back to a key’s older row when the chosen generation has none', () => {
    const longBefore = at(0) - PANE_LIFE_MS
    const [older] = both
    expect(plays(older ? [older] : [], [old(at(3)), rebuilt(at(3), longBefore)])).toBeUndefined()
  })

  it('judge wide cuts by the watermark of wide rows', () => {
    const partitions = [
      old(at(3)),
      { ...rebuilt(at(4), at(0) - PANE_LIFE_MS), wideWatermarkMs: at(2) },
    ]
    const progress = readProgress(partitions, 1, PANE_LIFE_MS)
    expect(mergeMinuteRows(both, 'wide', progress).get(at(0))?.get('[]')?.plays).toBe(50)
    expect(mergeMinuteRows(both, 'narrow', progress).get(at(0))?.get('[]')?.plays).toBe(40)
  })
})

describe('how far the rows reach', () => {
  it('is the slowest partition’s watermark of the width', () => {
    const progress = readProgress(
      [
        partitionRow(at(5), { partition: 0, wideWatermarkMs: at(1) }),
        partitionRow(at(4), { partition: 1, wideWatermarkMs: at(3) }),
      ],
      2,
      PANE_LIFE_MS,
    )
    expect([progress.asOfMs('narrow'), progress.asOfMs('wide')]).toEqual([at(4), at(1)])
  })

  it('is unknown while a partition has written nothing', () => {
    expect(readProgress([partitionRow(at(5))], 2, PANE_LIFE_MS).asOfMs('narrow')).toBeUndefined()
  })

  it('is unknown for a width before its first rows are written', () => {
    const progress = readProgress(
      [partitionRow(at(5), { wideWatermarkMs: -2_000 })],
      1,
      PANE_LIFE_MS,
    )
    expect([progress.asOfMs('narrow'), progress.asOfMs('wide')]).toEqual([at(5), undefined])
  })

  it('does not go back while a rebuild catches up', () => {
    const progress = readProgress(
      [partitionRow(at(5)), partitionRow(at(2), { generation: 1 })],
      1,
      PANE_LIFE_MS,
    )
    expect(progress.asOfMs('narrow')).toBe(at(5))
  })

  it('follows the latest topic epoch', () => {
    const progress = readProgress(
      [partitionRow(at(9)), partitionRow(at(2), { topicEpoch: 1, appliedOffset: 7 })],
      1,
      PANE_LIFE_MS,
    )
    expect(progress.asOfMs('narrow')).toBe(at(2))
    expect(progress.latest(0)?.appliedOffset).toBe(7)
  })
})
