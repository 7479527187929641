/** Every statement of docs/analysts.md, run on an audience whose plans say what must come out. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ExpectedPart } from '../loadtest/simulator/expected-metrics.ts'
import type { SimulatedSession } from '../loadtest/simulator/simulate-audience.ts'
import { estimateDistinct, mergeRegisters, registerOf } from '../shared/qoe/registers.ts'
import { FRAME_SCHEMA } from '../shared/log/record.ts'
import { allTables } from '../shared/warehouse/tables.ts'
import type { Row } from '../shared/warehouse/warehouse.ts'
import { QUALITY_CHECKS } from './quality-checks.ts'
import {
  DURATION_MS,
  genreOf,
  HAND_WORKED,
  HAND_WORKED_AT_MS,
  openAnalystsAudience,
  type AnalystsAudience,
  pseudonymOf,
} from './testing/analysts-audience.ts'
import { ANALYSTS_PAGE as PAGE, analystsStatements } from './testing/analysts-statements.ts'

const HOUR_MS = 3_600_000

let audience: AnalystsAudience
/** The rows of each statement, by the beginning of its heading. */
const answers = new Map<string, readonly Row[][]>()

beforeAll(async () => {
  audience = await openAnalystsAudience()
  for (const { heading, sql } of analystsStatements())
    answers.set(heading, [
      ...(answers.get(heading) ?? []),
      [...(await audience.machine.query(sql))],
    ])
}, 120_000)
afterAll(() => audience.machine.close())

function answer(heading: string, index = 0): readonly Row[] {
  const found = [...answers].find(([title]) => title.startsWith(heading))?.[1][index]
  if (found === undefined) throw new Error(`no statement ${index} under ${heading}`)
  return found
}

/** The parts of an evening as their plans add up, with their session. */
function parts(evening: number): { session: SimulatedSession; part: ExpectedPart }[] {
  return (audience.evenings[evening] ?? []).flatMap((session) =>
    session.expected(true).map((part) => ({ session, part })),
  )
}
const now = () => parts(1)
const sum = <Item>(items: readonly Item[], value: (item: Item) => number) =>
  items.reduce((total, item) => total + value(item), 0)
const total = (rows: readonly Row[], column: string) => sum(rows, (row) => Number(row[column]))

describe('the page', () => {
  it('has fifteen questions, each with a statement that gives rows', () => {
    const headings = analystsStatements().map(({ heading }) => heading)
    const numbered = new Set(headings.flatMap((heading) => /^(\d+)\./.exec(heading)?.[1] ?? []))
    expect([...numbered]).toEqual(Array.from({ length: 15 }, (_, index) => `${index + 1}`))
    for (const [heading, results] of answers)
      for (const rows of results) expect(rows.length, heading).toBeGreaterThan(0)
  })

  it('names every table with the column to filter on, and every check with its threshold', () => {
    for (const { name, partitionColumn } of allTables)
      expect(PAGE).toMatch(new RegExp(`\\| \`${name}\` +\\|.*\\| \`${partitionColumn}\` +\\|`))
    for (const [check, { meaning, threshold }] of Object.entries(QUALITY_CHECKS)) {
      const row = PAGE.split('\n').find((line) => line.startsWith(`| \`${check}\``))
      expect(
        row
          ?.split('|')
          .slice(2, 4)
          .map((cell) => cell.trim()),
      ).toEqual([meaning, `${threshold ?? '–'}`])
    }
  })
})

describe('questions', () => {
  it('1: stalled and watched time add up to what the plans say, by CDN', () => {
    const rows = answer('1.')
    const hand = rows.filter((row) => row['cdn'] === 'handmade')
    expect(hand).toEqual([
      {
        hour: Math.floor(HAND_WORKED_AT_MS / HOUR_MS) * HOUR_MS,
        cdn: 'handmade',
        stall_ms: 10_000n,
        watched_ms: 60_000n,
        stalled_percent: 16.67,
      },
    ])
    expect(total(rows, 'stall_ms')).toBe(10_000 + sum(now(), ({ part }) => part.stallMs))
    expect(total(rows, 'watched_ms')).toBe(60_000 + sum(now(), ({ part }) => part.watchedMs))
  })

  it('2: start-ups of each player version in both weeks', () => {
    const startups = (evening: number, name: string, version: string) =>
      parts(evening)
        .filter(
          ({ session }) =>
            session.plan.context.player?.name === name &&
            session.plan.context.player.version === version,
        )
        .flatMap(({ part }) => (part.startupMs === undefined ? [] : [part.startupMs]))
        .toSorted((a, b) => a - b)
    const quantile = (values: readonly number[], p: number) =>
      values[Math.max(0, Math.ceil(p * values.length) - 1)] ?? 0
    const rows = answer('2.').filter((row) => row['player_name'] !== 'hand')
    expect(rows.length).toBeGreaterThan(3)
    for (const row of rows) {
      const [name, version] = [String(row['player_name']), String(row['player_version'])]
      const [before, after] = [startups(0, name, version), startups(1, name, version)]
      expect(row).toMatchObject({
        startups: BigInt(after.length),
        p50_ms: BigInt(quantile(after, 0.5)),
        p95_slower_ms:
          before.length === 0 ? null : BigInt(quantile(after, 0.95) - quantile(before, 0.95)),
      })
    }
  })

  it('3: everyone who attempted is in a cohort, and who gave up in theirs', () => {
    const rows = answer('3.')
    const waits = now().map(({ part }) => ({ part, waitMs: part.startupMs ?? part.watchedMs }))
    const slow = waits.filter(({ waitMs }) => waitMs >= 4_000)
    expect(total(rows, 'attempts')).toBe(1 + waits.length)
    expect(total(rows, 'gave_up')).toBe(sum(waits, ({ part }) => part.ebvs))
    expect(rows.find((row) => row['waited'] === 'd: 4 s and more')).toMatchObject({
      attempts: BigInt(slow.length),
      gave_up: BigInt(sum(slow, ({ part }) => part.ebvs)),
    })
  })

  it('4: every failure once, with its device and code', () => {
    const expected = new Map<string, readonly [number, number]>()
    for (const { session, part } of now()) {
      if (part.failed === 0) continue
      const code = part.vsf === 1 ? 'MANIFEST_TIMEOUT' : 'SEGMENT_LOAD_ERROR'
      const key = `${session.plan.context.device?.type}/${code}`
      const [vsf, vpf] = expected.get(key) ?? [0, 0]
      expected.set(key, [vsf + part.vsf, vpf + part.vpf])
    }
    const found = answer('4.').map(
      (row) =>
        [
          `${String(row['device_type'])}/${String(row['code'])}`,
          [Number(row['start_failures']), Number(row['playback_failures'])],
        ] as const,
    )
    expect(new Map(found)).toEqual(expected)
  })

  it('5: the one event that was lost', () => {
    const [worst, ...others] = answer('5.')
    expect(worst).toMatchObject({ device_type: 'projector', events: 10n, lost: 1n })
    expect(worst?.['lost_percent']).toBe(9.091)
    expect(total(others, 'lost')).toBe(0)
    expect(total(others, 'events')).toBe(
      sum(audience.evenings[1] ?? [], ({ events }) => events.length),
    )
  })

  it('6: plays and playing time of the titles', () => {
    const both = [...parts(0), ...parts(1)]
    const rows = answer('6.')
    expect(rows.length).toBe(10)
    for (const row of rows.filter(({ content_id }) => content_id !== 'channel-99')) {
      const of = both.filter(({ part }) => part.contentId === row['content_id'])
      expect(Number(row['plays'])).toBe(sum(of, ({ part }) => part.play))
      expect(Number(row['playing_ms'])).toBe(sum(of, ({ part }) => part.playingMs))
    }
  })

  it('7: who left within 30 s of a stall, by CDN', () => {
    const expected = new Map([['handmade', 1]])
    for (const session of audience.evenings[1] ?? []) {
      const sent = session.events.map(({ event }) => event)
      const end = sent.find(({ type }) => type === 'sessionEnd')
      const stall = sent.findLast(
        ({ type, seq }) => type === 'playbackStall' && seq < (end?.seq ?? 0),
      )
      if (end === undefined || stall === undefined || end.at - stall.at > 30_000) continue
      const cdn = session.contexts[0]?.cdn ?? ''
      expected.set(cdn, (expected.get(cdn) ?? 0) + 1)
    }
    expect(expected.size).toBeGreaterThan(1)
    const found = answer('7.').map(
      (row) => [String(row['cdn']), Number(row['left_after_stall'])] as const,
    )
    expect(new Map(found)).toEqual(expected)
  })

  it('8: bits and media add up to what the plans say', () => {
    const rows = answer('8.')
    const others = rows.filter((row) => row['country'] !== 'IS')
    expect(rows.find((row) => row['country'] === 'IS')?.['average_kbps']).toBe(3_128)
    expect(total(others, 'bits_played')).toBe(sum(now(), ({ part }) => Number(part.bitsPlayed)))
    expect(total(others, 'rated_media_us')).toBe(sum(now(), ({ part }) => part.ratedMediaUs))
  })

  it('9: a peak for each hour', () => {
    const rows = answer('9.')
    expect(rows.length).toBeGreaterThanOrEqual(2)
    for (const row of rows) expect(Number(row['peak_plays'])).toBeGreaterThan(0)
  })

  it('10: viewers, exactly and from the registers, numbers and text alike', () => {
    const viewers = new Set([
      pseudonymOf(HAND_WORKED),
      ...(audience.evenings[1] ?? []).map(({ plan }) => pseudonymOf(plan.context.viewerId ?? '')),
    ])
    const registers = [...viewers].map((viewer) => {
      const { register, rank } = registerOf(viewer)
      return [[register, rank]] as const
    })
    const estimate = BigInt(estimateDistinct(mergeRegisters(registers)))
    expect(answer('10.')).toEqual([
      { viewers_estimated: estimate, viewers_exact: BigInt(viewers.size) },
    ])
    expect(answer('Reading', 1)).toEqual([{ viewers: estimate }])
  })

  it('11: the funnel narrows as the plans say', () => {
    const [row] = answer('11.')
    expect(Number(row?.['attempts'])).toBe(1 + sum(now(), ({ part }) => part.attempt))
    expect(Number(row?.['plays'])).toBe(1 + sum(now(), ({ part }) => part.play))
    const minute = now().filter(({ part }) => part.playingMs >= 60_000)
    expect(Number(row?.['played_a_minute'])).toBe(minute.length)
    const finished = now().filter(({ part }) => part.endReason === 'finish')
    expect(Number(row?.['finished'])).toBe(finished.length)
  })

  it('12: an ad break of 15 s and one that did not end', () => {
    expect(answer('12.')).toMatchObject([
      { position: 'mid', breaks: 1n, not_ended: 1n, break_ms: 0n },
      { position: 'pre', breaks: 1n, not_ended: 0n, break_ms: 15_000n },
    ])
  })

  it('13: the latencies of the channel', () => {
    expect(answer('13.')).toEqual([
      { content_id: 'channel-99', measured: 2n, p50_ms: 4_000n, p95_ms: 6_000n },
    ])
  })

  it('14: what came twice, and what is lost, in each run', () => {
    const whole = answer('14.').filter((row) => row['player_name'] === null)
    expect(whole).toHaveLength(6)
    const found = (run: bigint, check: string) =>
      Number(whole.find((row) => row['run'] === run && row['check_name'] === check)?.['found'])
    expect(found(1n, 'duplicate')).toBe(0)
    expect(found(2n, 'duplicate')).toBe(audience.duplicates)
    expect(audience.duplicates).toBeGreaterThan(10)
    expect(found(2n, 'lost')).toBe(1)
  })

  it('15: the file of every event of a session', () => {
    const rows = answer('15.')
    expect(rows.map((row) => Number(row['seq']))).toEqual([0, 1, 2, 3, 4, 5, 6, 8, 9, 10])
    const files = new Set(rows.map((row) => String(row['file'])))
    expect([...files].every((file) => file.startsWith('raw/topic=playback.events/'))).toBe(true)
  })

  it('and: every event is of one schema and version', () => {
    const rows = answer('And')
    const sent = sum(audience.evenings.flat(), ({ events }) => events.length) + 10
    expect(total(rows, 'events')).toBe(sent)
    expect(new Set(rows.map((row) => row['schema']))).toEqual(new Set([FRAME_SCHEMA]))
  })

  it('and: plays and stalls add up to what the plans say, by genre of the content', () => {
    const rows = answer('And: what do genres')
    expect(rows.map((row) => row['of_genre'])).toEqual(['drama', 'news', 'unknown'])
    for (const row of rows.filter(({ of_genre }) => of_genre !== 'unknown')) {
      const of = now().filter(({ part }) => genreOf(part.contentId) === row['of_genre'])
      expect(Number(row['plays'])).toBe(sum(of, ({ part }) => part.play))
      expect(Number(row['stall_ms'])).toBe(sum(of, ({ part }) => part.stallMs))
    }
    expect(rows.at(-1)).toMatchObject({ plays: 1n, stall_ms: 10_000n, watched_ms: 60_000n })
  })

  it('and: the share played of titles whose duration is known', () => {
    const rows = answer('And: how much of a title')
    for (const row of rows) {
      const of = now().filter(
        ({ part }) => part.contentId === row['catalogue_title'] && part.play === 1,
      )
      expect(row['catalogue_genre']).toBe(genreOf(String(row['catalogue_title'])))
      expect(Number(row['plays'])).toBe(of.length)
      const share = sum(of, ({ part }) => part.mediaUs) / (1_000 * DURATION_MS * of.length)
      expect(row['share_played']).toBeCloseTo(share, 3)
    }
  })

  it('reading: p50 from the histogram is that of the plans, within a bucket', () => {
    const startups = [2_000, ...now().flatMap(({ part }) => part.startupMs ?? [])]
    const middle = startups.toSorted((a, b) => a - b)[Math.ceil(startups.length / 2) - 1] ?? 0
    const [row] = answer('Reading')
    expect(Number(row?.['startups'])).toBe(startups.length)
    expect(Math.abs(Number(row?.['p50_ms']) - middle)).toBeLessThanOrEqual(middle / 64)
  })
})
