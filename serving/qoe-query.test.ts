import { describe, expect, it } from 'vitest'
import { DEFAULT_CUT_IDS, parseCut } from '../shared/qoe/cuts.ts'
import { BackhaulError } from '../shared/runtime/errors.ts'
import { DEFAULT_SERVING_LIMITS } from './limits.ts'
import { parseQoeQuery, pinnedKeys, type QueryContext } from './qoe-query.ts'
import { parseTopQuery } from './top.ts'

const MINUTE_MS = 60_000
const nowMs = Date.parse('2026-03-01T12:34:56.789Z')
const context: QueryContext = {
  cuts: DEFAULT_CUT_IDS.map(parseCut),
  limits: DEFAULT_SERVING_LIMITS,
  nowMs,
}
const parse = (text: string, limits = {}) =>
  parseQoeQuery(text, { ...context, limits: { ...DEFAULT_SERVING_LIMITS, ...limits } })

function refusal(work: () => unknown): BackhaulError {
  try {
    work()
  } catch (error) {
    if (error instanceof BackhaulError) return error
    throw error
  }
  throw new Error('nothing was refused')
}

describe('the time range of a query', () => {
  it('covers the last 30 minutes with the current one when nothing is asked', () => {
    const query = parse('')
    expect(new Date(query.fromMs).toISOString()).toBe('2026-03-01T12:05:00.000Z')
    expect(new Date(query.toMs).toISOString()).toBe('2026-03-01T12:35:00.000Z')
    expect(query.stepMs).toBe(MINUTE_MS)
  })

  it('reads RFC 3339 with any offset and epoch milliseconds alike', () => {
    const expected = Date.parse('2026-03-01T10:00:00Z')
    for (const from of ['2026-03-01T10:00:00Z', '2026-03-01T12:00:00%2B02:00', `${expected}`]) {
      expect(parse(`from=${from}&to=2026-03-01T10:01:00.000Z`)).toMatchObject({
        fromMs: expected,
        toMs: expected + MINUTE_MS,
      })
    }
  })

  it('widens to whole steps counted from the epoch', () => {
    const query = parse('from=2026-03-01T10:07:30Z&to=2026-03-01T11:00:01Z&step=15m')
    expect(new Date(query.fromMs).toISOString()).toBe('2026-03-01T10:00:00.000Z')
    expect(new Date(query.toMs).toISOString()).toBe('2026-03-01T11:15:00.000Z')
  })

  it.each([
    ['step=1m', MINUTE_MS],
    ['step=2h', 120 * MINUTE_MS],
    ['step=1d', 1_440 * MINUTE_MS],
    ['step=300000', 5 * MINUTE_MS],
  ])('reads %s', (text, stepMs) => {
    expect(parse(text).stepMs).toBe(stepMs)
  })

  it.each([
    'from=yesterday',
    'from=2026-03-01',
    'from=2026-03-01T10:00:00',
    'from=2026-13-01T10:00:00Z',
    'to=-5',
    'to=9999999999999999',
    'step=90s',
    'step=0m',
    'step=90000',
    'step=1w',
    'series=0',
    'series=101',
    'form=1',
    'from=1&from=2',
  ])('refuses %s and names the parameter', (text) => {
    expect(refusal(() => parse(text)).code).toBe('SERVING_QUERY_INVALID')
  })

  it('refuses a range that runs backwards', () => {
    expect(refusal(() => parse('from=2000&to=1000')).code).toBe('SERVING_RANGE_INVALID')
    expect(refusal(() => parse('from=1000&to=1000')).code).toBe('SERVING_RANGE_INVALID')
    expect(refusal(() => parse('to=0')).code).toBe('SERVING_RANGE_INVALID')
  })

  it('takes the longest range and refuses one millisecond more', () => {
    const limits = { rangeMaxMs: 3_600_000 }
    expect(parse('from=0&to=3600000', limits).toMs).toBe(3_600_000)
    expect(refusal(() => parse('from=0&to=3600001', limits)).code).toBe('SERVING_RANGE_INVALID')
  })

  it('takes as many buckets as the limit and refuses one more', () => {
    const limits = { bucketsPerSeriesMax: 60 }
    expect(parse('from=0&to=3600000', limits).stepMs).toBe(MINUTE_MS)
    expect(refusal(() => parse('from=0&to=3600001', limits)).code).toBe('SERVING_RANGE_INVALID')
  })

  it.each([
    ['', 1],
    ['&window=5m', 5],
    ['&step=5m', 5],
    ['&step=15m&window=1h', 60],
    ['&window=1d', 1_440],
  ])('reads the window of "step=1m%s"', (text, minutes) => {
    expect(parse(`from=0&to=3600000${text}`).windowMs).toBe(minutes * MINUTE_MS)
  })

  it.each(['window=90s', 'step=5m&window=4m', 'window=1441m', 'window=1m&window=2m'])(
    'refuses %s',
    (text) => {
      expect(refusal(() => parse(text)).code).toBe('SERVING_QUERY_INVALID')
    },
  )

  it('takes as many sliding buckets over all series as the limit and refuses more', () => {
    const limits = { slidingBucketsMax: 120 }
    const hour = 'from=0&to=3600000'
    expect(parse(`${hour}&by=cdn&window=5m&series=2`, limits).seriesMax).toBe(2)
    const error = refusal(() => parse(`${hour}&by=cdn&window=5m&series=3`, limits))
    expect([error.code, error.message.includes('180')]).toEqual(['SERVING_RANGE_INVALID', true])
    expect(parse(`${hour}&window=5m&series=3`, limits).seriesMax).toBe(3)
    expect(parse(`${hour}&by=cdn&series=3`, limits).seriesMax).toBe(3)
  })

  it('refuses a query longer than the limit', () => {
    const max = DEFAULT_SERVING_LIMITS.queryMaxChars
    // As many conditions as may be, none of them too long: only their sum is.
    const conditions = Array.from({ length: 16 }, () => `where=cdn:${'a'.repeat(245)}`).join('&')
    const longest = conditions + 'a'.repeat(max - conditions.length)
    expect(parse(longest).where.get('cdn')?.size).toBe(2)
    const error = refusal(() => parse(`${longest}a`))
    expect(error.code).toBe('SERVING_QUERY_INVALID')
    expect(error.message).toContain(`at most ${max} characters`)
  })
})

describe('the cut that answers', () => {
  it.each([
    ['', 'total'],
    ['by=total', 'total'],
    ['by=cdn', 'cdn'],
    ['by=player', 'player+playerVersion'],
    ['by=cdn&where=content:movie-1', 'cdn+content'],
    ['by=content', 'content'],
    ['by=cdn,player&where=content:movie-1', 'content+cdn+player'],
    ['by=player&where=cdn:a', 'content+cdn+player'],
    ['where=country:DE', 'country'],
  ])('for "%s" is %s: the one that covers it with the fewest dimensions', (text, cut) => {
    expect(parse(text).cut.id).toBe(cut)
  })

  it('among equals is the narrow one, because it is fresher', () => {
    const cuts = ['content+cdn', 'cdn+country'].map(parseCut)
    expect(parseQoeQuery('by=cdn', { ...context, cuts }).cut.id).toBe('cdn+country')
  })

  it('is the smallest, wherever it stands in the configuration, even when it is wide', () => {
    const chosen = (...ids: string[]) =>
      parseQoeQuery('by=cdn', { ...context, cuts: ids.map(parseCut) }).cut.id
    expect(chosen('cdn+country', 'cdn')).toBe('cdn')
    expect(chosen('cdn+country+deviceType', 'cdn+content')).toBe('cdn+content')
  })

  it('does not exist for country with cdn: the refusal names the configured cuts', () => {
    const error = refusal(() => parse('by=country,cdn'))
    expect(error.code).toBe('SERVING_CUT_UNKNOWN')
    expect(error.spec.status).toBe(400)
    for (const id of DEFAULT_CUT_IDS) expect(error.message).toContain(id)
  })

  it('refuses an unknown and a repeated dimension', () => {
    expect(refusal(() => parse('by=isp')).code).toBe('SERVING_QUERY_INVALID')
    expect(refusal(() => parse('by=cdn,cdn')).code).toBe('SERVING_QUERY_INVALID')
  })
})

describe('conditions', () => {
  it('take the value as it stands after the first colon', () => {
    const query = parse(`where=${encodeURIComponent('content:a:b,c')}`)
    expect([...(query.where.get('content') ?? [])]).toEqual(['a:b,c'])
  })

  it('on one dimension are alternatives and pin the keys of the cut', () => {
    const query = parse('where=cdn:a&where=cdn:b&where=content:m')
    expect(pinnedKeys(query)).toEqual(['["a","m"]', '["b","m"]'])
  })

  it('pin nothing while a dimension of the cut is open', () => {
    expect(pinnedKeys(parse('by=cdn&where=content:m'))).toBeUndefined()
  })

  it.each(['where=cdn', 'where=cdn:', 'where=:a', 'where=isp:a'])('refuses %s', (text) => {
    expect(refusal(() => parse(text)).code).toBe('SERVING_QUERY_INVALID')
  })

  it('are bounded in number and length', () => {
    const many = Array.from({ length: 17 }, (_, index) => `where=cdn:${index}`).join('&')
    expect(refusal(() => parse(many)).code).toBe('SERVING_QUERY_INVALID')
    expect(parse(many.slice(0, many.lastIndexOf('&'))).where.get('cdn')?.size).toBe(16)
    expect(refusal(() => parse(`where=cdn:${'x'.repeat(253)}`)).code).toBe('SERVING_QUERY_INVALID')
    expect(parse(`where=cdn:${'x'.repeat(252)}`).where.size).toBe(1)
  })
})

describe('a query for the top keys', () => {
  it('ranks contents by plays over the last half hour by default', () => {
    expect(parseTopQuery('', context)).toMatchObject({
      metric: 'plays',
      order: 'highest',
      samplesMin: 0,
      by: ['content'],
      limit: 10,
      withRest: false,
    })
  })

  it('demands samples of a ratio and a percentile, of no count', () => {
    const samplesOf = (text: string) => parseTopQuery(text, context).samplesMin
    expect(samplesOf('metric=stalledTimeRatio')).toBe(DEFAULT_SERVING_LIMITS.lowSampleBelow)
    expect(samplesOf('metric=startupMsP95')).toBe(DEFAULT_SERVING_LIMITS.lowSampleBelow)
    expect(samplesOf('metric=playingHours')).toBe(0)
    expect(samplesOf('metric=stalledTimeRatio&samples=1')).toBe(1)
  })

  it.each([
    'metric=lowSample',
    'metric=stall',
    'order=up',
    'samples=0',
    'samples=1000001',
    'rest=yes',
    'by=total',
    'limit=101',
    'step=1m',
  ])('refuses %s', (text) => {
    expect(refusal(() => parseTopQuery(text, context)).code).toBe('SERVING_QUERY_INVALID')
  })

  it('refuses distinct viewers of a cut that does not count them', () => {
    const cuts = [{ ...parseCut('content'), viewers: false }]
    const error = refusal(() => parseTopQuery('metric=distinctViewers', { ...context, cuts }))
    expect([error.code, error.message.includes('content')]).toEqual(['SERVING_QUERY_INVALID', true])
    cuts[0] = { ...parseCut('content'), viewers: true }
    expect(parseTopQuery('metric=distinctViewers', { ...context, cuts }).samplesMin).toBe(0)
  })
})
